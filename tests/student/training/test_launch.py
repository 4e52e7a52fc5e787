"""The same training in two processes, as `accelerate launch` starts them; on a CPU they talk over gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.schema import INSTRUCTIONS, write_table
from radbook.student.training import finetune as module
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune, main

OPTIONS = {
    "base_model": "tiny-taught",
    "epochs": 2.0, "batch_size": 16, "rank": 4, "alpha": 8, "learning_rate": 1e-3, "backend": "peft",
    "checkpoint_steps": 3,
}  # fmt: skip
# What each process reads, and the step in which the first is killed, beside what
# `python -m radbook.student.training.finetune` does.
RECORD = """
import json, os, signal, sys
import radbook.student.training.finetune as module
import radbook.student.training.trainer as trainer_module
make, seen = trainer_module.make_trainer, []
def recording(*args, **kwargs):
    trainer = make(*args, **kwargs)
    step = trainer.training_step
    def training_step(model, inputs, *rest):
        seen.append(inputs["input_ids"].tolist())
        if os.environ["RANK"] == "0" and str(len(seen)) == os.environ.get("KILL_IN_STEP"):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(model, inputs, *rest)
    trainer.training_step = training_step
    return trainer
trainer_module.make_trainer = recording
code = module.main(sys.argv[1:])
with open(f"{sys.argv[1]}.{os.environ['RANK']}.json", "w") as file:
    json.dump(seen, file)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def config(instructions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("launch")
    table = write_table(instructions, folder / "instructions.parquet", INSTRUCTIONS)
    path = folder / "train.json"
    path.write_text(json.dumps({"instructions": str(table), "out_dir": str(folder / "student"), **OPTIONS}))
    return path


def launch(config, *, recorded=True, **variables):
    script = config.parent / "record.py"
    script.write_text(RECORD)
    command = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--main_process_port", "29671"]
    command += [str(script)] if recorded else ["-m", "radbook.student.training.finetune"]
    command += [str(config)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_processes_share_the_rows_and_leave_one_student(config, instructions, tmp_path):
    done = launch(config)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loading the base model") == 1, "only the first process speaks"
    student = config.parent / "student"
    assert sorted(p.name for p in student.iterdir()) == [
        "adapter", "losses.parquet", "settings.json", "training.json",
    ]  # fmt: skip
    settings = json.loads((student / "settings.json").read_text())
    assert settings["processes"] == 2 and settings["batch_size"] == 16
    assert settings["steps"] == 2 * len(instructions) // 16

    rows = [json.loads(Path(f"{config}.{rank}.json").read_text()) for rank in (0, 1)]
    assert all(len(batch) == 8 for seen in rows for batch in seen), "the batch is shared, not doubled"
    padded = [[tuple(t for t in ids if t) for batch in seen for ids in batch] for seen in rows]
    steps = len(rows[0]) // 2
    one_epoch = [seen[: steps * 8] for seen in padded]
    assert len(one_epoch[0] + one_epoch[1]) == len(instructions) == len({*one_epoch[0], *one_epoch[1]})

    alone = finetune(instructions, tmp_path / "alone", Settings(**OPTIONS))
    assert alone["steps"] == settings["steps"]
    theirs, ours = (pd.read_parquet(f / "losses.parquet")["loss"] for f in (student, tmp_path / "alone"))
    assert theirs.mean() == pytest.approx(ours.mean(), rel=0.1)
    assert theirs.tail(4).mean() == pytest.approx(ours.tail(4).mean(), rel=0.25)
    # In this process alone the student counts as finished, too: a step sees as many rows.
    assert finetune(instructions, student, Settings(**OPTIONS)) == settings


@pytest.mark.slow
def test_two_killed_processes_go_on_and_end_with_the_same_adapter(config, tmp_path):
    whole = config.parent / "student" / "adapter" / "adapter_model.safetensors"
    assert whole.is_file() or launch(config).returncode == 0
    again = tmp_path / "again.json"
    again.write_text(json.dumps({**json.loads(config.read_text()), "out_dir": str(tmp_path / "student")}))
    assert launch(again, KILL_IN_STEP="7").returncode != 0
    assert not (tmp_path / "student" / "settings.json").exists()
    done = launch(again, recorded=False)  # the command as the book gives it
    assert done.returncode == 0, done.stderr
    assert "continuing from step 6" in done.stdout
    assert (tmp_path / "student" / "adapter" / "adapter_model.safetensors").read_bytes() == whole.read_bytes()


def test_a_step_sees_as_many_rows_with_any_number_of_processes():
    for processes in (1, 2, 4, 8):
        batch_size, accumulation = Settings(batch_size=2, accumulation=64).per_process(processes)
        assert (batch_size, accumulation * processes) == (2, 64)
    with pytest.raises(RadbookError, match="3 processes can share neither accumulation 1 nor batch_size 16"):
        Settings(batch_size=16).per_process(3)


def test_the_module_says_in_one_line_what_is_wrong(capsys, tmp_path):
    assert main([]) == 2
    assert (
        capsys.readouterr().err == "give one configuration file: python -m radbook.student.training.finetune CONFIG\n"
    )
    path = tmp_path / "train.yaml"
    path.write_text(f"instructions: nowhere.parquet\nout_dir: {tmp_path / 'student'}\n")
    assert main([str(path)]) == 2
    said = capsys.readouterr().err
    assert "nowhere.parquet" in said and said.count("\n") == 1
    assert module.__name__ == "radbook.student.training.finetune"
