from pathlib import Path

import pytest

from radbook.core.errors import RadbookError
from radbook.student.training.config import Settings, read_config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0), ("rank", 2.5), ("rank", True), ("alpha", -1), ("learning_rate", "1e-3"), ("learning_rate", 0.0),
        ("learning_rate", float("nan")), ("epochs", -1.0), ("epochs", None), ("batch_size", 0), ("accumulation", 0),
        ("warmup", -0.1), ("warmup", 1.5), ("weight_decay", -0.01), ("seed", -1), ("seed", "a"), ("backend", "jax"),
        ("targets", ""), ("targets", 4), ("checkpoint_steps", 0), ("load_in_4bit", 1),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(RadbookError, match=rf"^{name}\b.* is "):
        Settings(**{name: value})


def config(tmp_path, text):
    path = tmp_path / "train.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_configuration_names_the_table_the_folder_and_any_option(tmp_path):
    path = config(tmp_path, "instructions: a.parquet\nout_dir: student\nlearning_rate: 1e-4\nrank: 8\n")
    assert read_config(path) == ("a.parquet", "student", Settings(learning_rate=1e-4, rank=8))
    path = config(tmp_path, '{"instructions": "a.parquet", "out_dir": "student"}')
    assert read_config(path) == ("a.parquet", "student", Settings())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instructions: a.parquet", "train.yaml out_dir: give a path, it is None"),
        ("instructions: 3\nout_dir: student", "train.yaml instructions: give a path, it is 3"),
        ("instructions: a\nout_dir: b\nlearning_rat: 1", "key='learning_rat' is none of .*; did you mean learning_rate"),
        ("instructions: a\nout_dir: b\nlora_targets_or_so: 1", "is none of instructions, out_dir, base_model"),
        ("instructions: a\nout_dir: b\nlearning_rate: fast", "learning_rate is 'fast': give a number above 0"),
        ("instructions: a\nout_dir: b\nrank: 0", "rank is 0"),
        ("- a", "is not a mapping"),
        ("a: [", "cannot be read"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_meant_is_refused_by_key(tmp_path, text, message):
    with pytest.raises(RadbookError, match=message):
        read_config(config(tmp_path, text))


def test_a_missing_configuration_is_refused(tmp_path):
    with pytest.raises(RadbookError, match=r"none\.yaml cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_the_papers_profile_is_the_papers_setting(tmp_path):
    from radbook.pipeline.parameters import load_profile

    _, values = load_profile("paper", Path(__file__).parents[3])
    assert (values["n_open"], values["n_choice"]) == (9000, 4500)
    assert (values["lora_rank"], values["lora_alpha"], values["lora_targets"]) == (8, 16, "q_proj,v_proj")
    assert values["batch_size"] * values["accumulation"] == 128 and values["epochs"] == 1.0
    assert values["learning_rate"] == 1e-5 and values["weight_decay"] == 0.01
    assert 0 < values["warmup"] < 1, "a fraction of the steps"

    from transformers import TrainingArguments

    steps = -(-(9000 + 4500) // 128)
    arguments = TrainingArguments(output_dir=str(tmp_path), warmup_steps=values["warmup"], use_cpu=True)
    assert (steps, arguments.get_warmup_steps(steps)) == (106, 100)
