"""Killed at any point, the same call ends with the same adapter."""

import signal

import killing
import pandas as pd
import pytest

from radbook.core.schema import INSTRUCTIONS, write_table
from radbook.student.base import load_tokenizer
from radbook.student.training.checkpoints import newest

OPTIONS = {
    "base_model": "tiny-taught",
    "epochs": 3.0, "batch_size": 16, "rank": 4, "alpha": 8, "checkpoint_steps": 3, "learning_rate": 1e-3,
    "backend": "peft",
}  # fmt: skip


def result_of(home):
    adapter = {p.name: p.read_bytes() for p in (home / "adapter").iterdir()}
    return adapter, pd.read_parquet(home / "losses.parquet").drop(columns="seconds")


@pytest.fixture(scope="module")
def table(instructions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    return write_table(instructions, folder / "instructions.parquet", INSTRUCTIONS)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """With a base of random weights that is smaller still than the packaged one."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder, tokenizer = tmp_path_factory.mktemp("base"), load_tokenizer("tiny-taught")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    config.prompt_style = "short"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {**OPTIONS, "base_model": str(folder)}


@pytest.fixture(scope="module")
def whole(table, options, tmp_path_factory):
    home = tmp_path_factory.mktemp("whole") / "student"
    home.mkdir()
    code, said = killing.train(table, home, options)
    assert code == 0 and "continuing" not in said
    adapter, losses = result_of(home)
    assert len(losses) == 12
    return adapter, losses


@pytest.mark.parametrize("point", killing.POINTS)
def test_killed_at_any_point_it_ends_with_the_same_adapter(table, options, whole, tmp_path, point):
    home = tmp_path / "student"
    home.mkdir()
    assert killing.train(table, home, options, point=point)[0] == -signal.SIGKILL
    code, said = killing.train(table, home, options)
    assert code == 0
    early = point in (
        "in the second step, before any checkpoint",
        "in the first checkpoint, no optimizer yet",
    )
    assert ("continuing from step" in said) == (not early and "already trained" not in said)
    adapter, losses = result_of(home)
    assert adapter == whole[0]
    pd.testing.assert_frame_equal(losses, whole[1])
    left = sorted(p.name for p in home.iterdir())
    assert left == ["adapter", "losses.parquet", "said.txt", "settings.json", "training.json"]


def test_an_earlier_student_stays_until_the_new_one_is_trained(table, options, whole, tmp_path):
    home = tmp_path / "student"
    earlier = {"settings.json": '{"data_hash": "another"}', "adapter/a.txt": "a", "losses.parquet": "b"}
    for name, text in earlier.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    for point in ("in the second step, before any checkpoint", "between two checkpoints"):
        assert killing.train(table, home, options, point=point)[0] == -signal.SIGKILL
        assert {name: (home / name).read_text() for name in earlier} == earlier
    code, said = killing.train(table, home, options)
    assert code == 0 and "continuing from step" in said
    adapter, losses = result_of(home)
    assert adapter == whole[0]
    pd.testing.assert_frame_equal(losses, whole[1])


def test_killed_twice_it_ends_with_the_same_adapter(table, options, whole, tmp_path):
    home = tmp_path / "student"
    home.mkdir()
    for point in ("in the second checkpoint, half an optimizer", "between two checkpoints"):
        assert killing.train(table, home, options, point=point)[0] == -signal.SIGKILL
    code, said = killing.train(table, home, options)
    assert code == 0 and "continuing from step 6" in said
    assert result_of(home)[0] == whole[0]


def checkpoint(folder, step, processes=1):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for name in ["rng_state.pth"] if processes == 1 else [f"rng_state_{k}.pth" for k in range(processes)]:
        (path / name).write_bytes(b"0123456789")
    return path


def test_a_checkpoint_counts_once_the_state_of_the_trainer_is_in_it(tmp_path):
    assert newest(tmp_path / "none") is None
    for step in (8, 12):
        (checkpoint(tmp_path, step) / "trainer_state.json").write_text('{"global_step": 8}')
    late = checkpoint(tmp_path, 100) / "trainer_state.json"
    assert newest(tmp_path).name == "checkpoint-12", "of the last there is no state yet"
    late.write_text('{"global_')
    assert newest(tmp_path).name == "checkpoint-12", "nor a whole one"
    late.write_text('{"global_step": 100}')
    assert newest(tmp_path).name == "checkpoint-100"


def test_a_checkpoint_of_two_processes_is_none_of_one(tmp_path):
    (checkpoint(tmp_path, 12, 2) / "trainer_state.json").write_text('{"global_step": 12}')
    assert newest(tmp_path) is None
    assert newest(tmp_path, processes=2).name == "checkpoint-12"
