import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from radbook.errors import RadbookError
from radbook.schema import INSTRUCTIONS, write_table
from radbook.student.base import load_base, load_tokenizer
from radbook.student.finetune import _CHECKPOINT_FILES, _newest_checkpoint, _trainer, finetune, tokenize
from radbook.student.settings import Settings

QUICK = {"epochs": 3.0, "batch_size": 8, "rank": 4, "alpha": 8, "checkpoint_steps": 4, "learning_rate": 1e-3}
RUN = """
import sys, pandas as pd
from radbook.schema import INSTRUCTIONS, read_table
from radbook.student.finetune import finetune
if __name__ == "__main__":
    finetune(read_table(sys.argv[1], INSTRUCTIONS), sys.argv[2], progress=lambda line: print(line, flush=True), **{quick})
"""


@pytest.fixture(scope="module")
def trained(instructions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "student"
    lines = []
    return folder, finetune(instructions, folder, progress=lines.append, **QUICK), lines


def test_a_finished_student_is_recognized_without_loading_a_library(trained, instructions, tmp_path):
    folder, _, _ = trained
    table = write_table(instructions, tmp_path / "instructions.parquet", INSTRUCTIONS)
    script = tmp_path / "train.py"
    script.write_text(RUN.replace("{quick}", repr(QUICK)) + "    print('torch' in sys.modules)\n")
    done = subprocess.run(
        [sys.executable, str(script), str(table), str(folder)], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_only_the_reply_and_the_end_token_are_trained(instructions):
    tokenizer = load_tokenizer("tiny")
    rows = tokenize(instructions, tokenizer)
    for row, ids, labels in zip(instructions.itertuples(), rows["input_ids"], rows["labels"], strict=True):
        learned = [i for i, label in zip(ids, labels, strict=True) if label != -100]
        assert tokenizer.decode(learned) == row.completion.lower() + "</s>"
        first = next(k for k, label in enumerate(labels) if label != -100)
        assert labels[:first] == [-100] * first and labels[first:] == ids[first:]
        assert tokenizer.decode(ids[:first]) == "<s>" + row.prompt.lower()


def test_the_trainer_sees_exactly_these_labels(instructions, tmp_path):
    model, tokenizer, _ = load_base("tiny", backend="peft")
    rows = tokenize(instructions, tokenizer)
    trainer = _trainer(model, tokenizer, rows, tmp_path, Settings(batch_size=4))
    seen = 0
    for batch in trainer.get_train_dataloader():
        for ids, labels, mask in zip(
            batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
        ):
            ids, labels = ids[mask == 1].tolist(), labels.tolist()
            assert ids in rows["input_ids"]
            assert labels[: len(ids)] == rows["labels"][rows["input_ids"].index(ids)]
            assert set(labels[len(ids) :]) <= {-100}
            seen += 1
    assert seen == len(instructions)


def test_what_a_finished_student_leaves(trained):
    folder, result, lines = trained
    assert sorted(p.name for p in folder.iterdir()) == [
        "adapter",
        "losses.parquet",
        "settings.json",
        "training.json",
    ]
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    losses = pd.read_parquet(folder / "losses.parquet")
    assert list(losses.columns) == ["step", "epoch", "loss", "learning_rate", "seconds"]
    assert losses["step"].tolist() == list(range(1, 25))
    assert losses["loss"].tail(4).mean() < losses["loss"].head(4).mean()
    assert losses["seconds"].is_monotonic_increasing
    stored = json.loads((folder / "settings.json").read_text())
    assert stored == result
    assert stored["steps"] == 24 and stored["rows"] == 64 and stored["tokens_per_second"] > 0
    assert stored["prompt_style"] == "short" and stored["versions"]["peft"]
    assert lines[0] == "loading the base model" and lines[-1].startswith("step 24 of 24, loss ")


@pytest.mark.parametrize(("warmup", "steps"), [(0.25, 6), (3, 3), (0, 0)])
def test_warmup_is_a_fraction_below_one_and_steps_from_one_on(instructions, tmp_path, warmup, steps):
    model, tokenizer, _ = load_base("tiny", backend="peft")
    rows = tokenize(instructions, tokenizer)
    trainer = _trainer(model, tokenizer, rows, tmp_path, Settings(warmup=warmup))
    assert trainer.args.get_warmup_steps(24) == steps


def test_a_finished_student_returns_at_once(trained, instructions):
    folder, result, _ = trained
    before = (folder / "settings.json").stat().st_mtime_ns
    lines = []
    assert finetune(instructions, folder, progress=lines.append, **QUICK) == result
    assert (folder / "settings.json").stat().st_mtime_ns == before
    assert lines == ["the student is already trained with these settings and data"]


def test_other_settings_or_data_start_afresh(trained, instructions, tmp_path):
    options = {**QUICK, "epochs": 0.25, "backend": "peft"}
    first = finetune(instructions, tmp_path, **options)
    (tmp_path / "checkpoints" / "checkpoint-99").mkdir(parents=True)
    second = finetune(instructions, tmp_path, **{**options, "seed": 1})
    assert second["steps"] == 2 and second["seed"] == 1 and second["last_loss"] != first["last_loss"]
    third = finetune(instructions.head(32), tmp_path, **{**options, "seed": 1})
    assert third["rows"] == 32 and third["data_hash"] != second["data_hash"]


def test_killed_training_goes_on_and_ends_with_the_same_adapter(trained, instructions, tmp_path):
    folder, _, _ = trained
    table = write_table(instructions, tmp_path / "instructions.parquet", INSTRUCTIONS)
    home = tmp_path / "student"
    script = tmp_path / "train.py"
    script.write_text(RUN.replace("{quick}", repr(QUICK)))
    command = [sys.executable, str(script), str(table), str(home)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 240
        while _newest_checkpoint(home / "checkpoints") is None:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (home / "settings.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "continuing from step" in done.stdout
    name = Path("adapter") / "adapter_model.safetensors"
    assert (home / name).read_bytes() == (folder / name).read_bytes()
    columns = ["step", "epoch", "loss", "learning_rate"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(home / "losses.parquet")[columns], pd.read_parquet(folder / "losses.parquet")[columns]
    )


def test_an_incomplete_checkpoint_is_passed_over(tmp_path):
    for step in (4, 8, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
        for name in _CHECKPOINT_FILES:
            (tmp_path / f"checkpoint-{step}" / name).touch()
    assert _newest_checkpoint(tmp_path).name == "checkpoint-12"
    (tmp_path / "checkpoint-12" / "trainer_state.json").unlink()
    (tmp_path / "checkpoint-8" / "rng_state.pth").unlink()
    assert _newest_checkpoint(tmp_path).name == "checkpoint-4"
    assert _newest_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": "fast"}, "^learning_rate is 'fast'"),
        ({"rank": 0}, "^rank is 0"),
        ({"targets": "q_proj,value"}, "targets names value, which base_model tiny does not have.*q_proj"),
        ({"base_model": "/nowhere"}, "base_model '/nowhere'"),
    ],
)
def test_bad_parameters_are_refused_by_name(instructions, tmp_path, change, message):
    with pytest.raises(RadbookError, match=message):
        finetune(instructions, tmp_path, **{**QUICK, "backend": "peft", **change})


def test_bad_tables_are_refused(instructions, tmp_path):
    with pytest.raises(RadbookError, match="nothing to train on"):
        finetune(instructions.head(0), tmp_path)
    with pytest.raises(RadbookError, match="build them again"):
        finetune(instructions.assign(prompt="What is wrong?"), tmp_path)
    long = instructions.head(1).assign(prompt="choice\n" + "effusion " * 3000 + "\nfindings:")
    with pytest.raises(RadbookError, match="1 instruction rows are longer than the 2048 tokens"):
        finetune(long, tmp_path, backend="peft")
