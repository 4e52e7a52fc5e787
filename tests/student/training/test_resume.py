"""Killed at any point, the same call ends with the same adapter."""

import signal

import killing
import pandas as pd
import pytest

from radbook.core.schema import INSTRUCTIONS, write_table
from radbook.student.base import load_tokenizer
from radbook.student.training.checkpoints import newest, remove_broken, seal

OPTIONS = {
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

    folder, tokenizer = tmp_path_factory.mktemp("base"), load_tokenizer("tiny")
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


def test_killed_twice_it_ends_with_the_same_adapter(table, options, whole, tmp_path):
    home = tmp_path / "student"
    home.mkdir()
    for point in ("in the second checkpoint, half an optimizer", "between two checkpoints"):
        assert killing.train(table, home, options, point=point)[0] == -signal.SIGKILL
    code, said = killing.train(table, home, options)
    assert code == 0 and "continuing from step 6" in said
    assert result_of(home)[0] == whole[0]


@pytest.fixture
def checkpoints(tmp_path):
    for step in (4, 8, 12):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in ("optimizer.pt", "rng_state.pth"):
            (folder / name).write_bytes(b"0123456789")
        seal(folder)
    return tmp_path


def test_the_newest_whole_checkpoint_is_taken_and_the_broken_ones_are_removed(checkpoints):
    (checkpoints / "checkpoint-12" / ".sealed.json.7").write_text("{")  # of a process that was killed as it sealed
    assert newest(checkpoints).name == "checkpoint-12"
    killing.cut(checkpoints / "checkpoint-12" / "optimizer.pt")
    assert newest(checkpoints).name == "checkpoint-8"
    (checkpoints / "checkpoint-8" / "rng_state.pth").write_bytes(b"012345678X")  # as long, and not the same
    assert newest(checkpoints).name == "checkpoint-4"
    remove_broken(checkpoints)
    assert [p.name for p in checkpoints.iterdir()] == ["checkpoint-4"]
    (checkpoints / "checkpoint-4" / "sealed.json").write_text("{")
    assert newest(checkpoints) is None
    assert newest(checkpoints / "none") is None


def test_a_checkpoint_of_two_processes_is_none_of_one(checkpoints):
    seal(checkpoints / "checkpoint-12", processes=2)
    assert newest(checkpoints).name == "checkpoint-8"
    assert newest(checkpoints, processes=2).name == "checkpoint-12"
