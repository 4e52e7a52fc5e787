import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.schema import INSTRUCTIONS, write_table
from radbook.student.base import load_base, load_tokenizer, resolve_base
from radbook.student.training.checkpoints import newest
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune
from radbook.student.training.trainer import length_grouped, make_trainer, tokenize

TAUGHT = resolve_base("tiny-taught")[0]

# Other tests have imported what Unsloth changes, long before a training here imports Unsloth.
pytestmark = pytest.mark.filterwarnings("ignore:.*Unsloth should be imported before:UserWarning")
QUICK = {"epochs": 3.0, "batch_size": 8, "rank": 4, "alpha": 8, "checkpoint_steps": 4, "learning_rate": 1e-3}
QUICK |= {"base_model": "tiny-taught"}
RUN = """
import sys, pandas as pd
from radbook.core.schema import INSTRUCTIONS, read_table
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune
if __name__ == "__main__":
    settings = Settings(**{quick})
    finetune(read_table(sys.argv[1], INSTRUCTIONS), sys.argv[2], settings, progress=lambda line: print(line, flush=True))
"""


@pytest.fixture(scope="module")
def trained(instructions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "student"
    lines = []
    return folder, finetune(instructions, folder, Settings(**QUICK), progress=lines.append), lines


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
    tokenizer = load_tokenizer("tiny-taught")
    rows = tokenize(instructions, tokenizer)
    for row, ids, labels in zip(instructions.itertuples(), rows["input_ids"], rows["labels"], strict=True):
        learned = [i for i, label in zip(ids, labels, strict=True) if label != -100]
        assert tokenizer.decode(learned) == row.completion.lower() + "</s>"
        first = next(k for k, label in enumerate(labels) if label != -100)
        assert labels[:first] == [-100] * first and labels[first:] == ids[first:]
        assert tokenizer.decode(ids[:first]) == "<s>" + row.prompt.lower()


def test_the_trainer_sees_exactly_these_labels(instructions, tmp_path):
    model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    rows = tokenize(instructions, tokenizer)
    trainer = make_trainer(model, tokenizer, rows, tmp_path, Settings(batch_size=4))
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
    assert stored["prompt_style"] == "short"
    assert stored["backend_used"] == "unsloth", "`make setup` installs it, and it trains on a CPU too"
    assert lines[0] == "loading the base model" and lines[-1].startswith("step 24 of 24, loss ")


@pytest.mark.parametrize(("warmup", "steps"), [(0.25, 6), (3, 3), (0, 0)])
def test_warmup_is_a_fraction_below_one_and_steps_from_one_on(instructions, tmp_path, warmup, steps):
    model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    rows = tokenize(instructions, tokenizer)
    trainer = make_trainer(model, tokenizer, rows, tmp_path, Settings(warmup=warmup))
    assert trainer.args.get_warmup_steps(24) == steps


def test_the_adapter_loads_in_plain_peft_onto_the_packaged_base(trained, instructions):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder, result, _ = trained
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None, "a path on this machine means nothing on another"
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["target_modules"] == sorted(config["target_modules"])
    card = (folder / "adapter" / "README.md").read_text()
    assert TAUGHT not in card and result["base_hash"] in card and result["template_hash"] in card
    base = AutoModelForCausalLM.from_pretrained(TAUGHT, dtype=torch.float32).eval()
    rows = tokenize(instructions.head(1), load_tokenizer("tiny-taught"))
    ids, labels = torch.tensor(rows["input_ids"]), torch.tensor(rows["labels"])
    with torch.inference_mode():
        before = base(input_ids=ids, labels=labels).loss
        after = PeftModel.from_pretrained(base, str(folder / "adapter"))(input_ids=ids, labels=labels).loss
    assert after < before


def test_a_finished_student_returns_at_once(trained, instructions):
    folder, result, _ = trained
    before = (folder / "settings.json").stat().st_mtime_ns
    lines = []
    assert finetune(instructions, folder, Settings(**QUICK), progress=lines.append) == result
    assert (folder / "settings.json").stat().st_mtime_ns == before
    assert lines == ["the student is already trained with these settings and data"]


def test_other_settings_or_data_start_afresh(trained, instructions, tmp_path):
    options = {**QUICK, "epochs": 0.25, "backend": "peft"}
    lines = []
    first = finetune(instructions, tmp_path, Settings(**options), progress=lines.append)
    said = f"replacing the earlier student in {tmp_path}, once this one is trained"
    assert said not in lines
    (tmp_path / "checkpoints" / "checkpoint-99").mkdir(parents=True)
    second = finetune(instructions, tmp_path, Settings(**options | {"seed": 1}), progress=lines.append)
    assert said in lines and not (tmp_path / "checkpoints").exists()
    assert second["steps"] == 2 and second["seed"] == 1 and second["last_loss"] != first["last_loss"]
    third = finetune(instructions.head(32), tmp_path, Settings(**options | {"seed": 1}))
    assert third["rows"] == 32 and third["data_hash"] != second["data_hash"]


@pytest.mark.slow
def test_killed_training_goes_on_and_ends_with_the_same_adapter(instructions, tmp_path):
    table = write_table(instructions, tmp_path / "instructions.parquet", INSTRUCTIONS)
    home, whole = tmp_path / "student", tmp_path / "whole"
    script = tmp_path / "train.py"
    script.write_text(RUN.replace("{quick}", repr(QUICK)))
    command = [sys.executable, str(script), str(table), str(home)]
    # Uninterrupted in a process of its own, too: in this one Unsloth found imported what it changes, and may sum otherwise.
    subprocess.run([*command[:-1], str(whole)], check=True, capture_output=True, timeout=300)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 240
        while newest(home / "checkpoints") is None:
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
    assert (home / name).read_bytes() == (whole / name).read_bytes()
    columns = ["step", "epoch", "loss", "learning_rate"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(home / "losses.parquet")[columns], pd.read_parquet(whole / "losses.parquet")[columns]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": "fast"}, "^learning_rate is 'fast'"),
        ({"rank": 0}, "^rank is 0"),
        ({"targets": "q_proj,value"}, "targets names value, which base_model tiny-taught does not have.*q_proj"),
        ({"base_model": "/nowhere"}, "base_model '/nowhere'"),
        ({"load_in_4bit": "yes"}, "^load_in_4bit is 'yes'"),
    ],
)
def test_bad_parameters_are_refused_by_name(instructions, tmp_path, change, message):
    with pytest.raises(RadbookError, match=message):
        finetune(instructions, tmp_path, Settings(**{**QUICK, "backend": "peft", **change}))


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": "q_proj,vproj"}, "targets names vproj"),
        ({"load_in_4bit": True}, "load_in_4bit is true"),
        ({"instructions": "long"}, "longer than the 2048 tokens"),
    ],
)
def test_what_is_refused_leaves_the_finished_student_as_it_was(trained, instructions, change, message):
    import torch

    if "load_in_4bit" in change and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    folder, _, _ = trained
    before = contents(folder)
    if "instructions" in change:
        change, long = {}, "choice\n" + "effusion " * 3000 + "\nfindings:"
        instructions = instructions.head(1).assign(prompt=long)
    with pytest.raises(RadbookError, match=message):
        finetune(instructions, folder, Settings(**{**QUICK, "backend": "peft", **change}))
    assert contents(folder) == before


@pytest.mark.parametrize(
    "files",
    [
        {"checkpoints/thesis.txt": "mine", "adapter/a.txt": "mine", "settings.json": "{}"},
        {"merged/model.safetensors": "mine"},
        {"training.json": Path(TAUGHT, "training.json").read_text(encoding="utf-8")},  # of `tools.pretrain`
    ],
)
def test_a_folder_with_files_of_others_under_our_names_is_refused(instructions, tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    with pytest.raises(RadbookError, match=f"^out_dir {tmp_path} holds .*name another folder"):
        finetune(instructions, tmp_path, Settings(**QUICK))
    assert contents(tmp_path) == before


def test_four_bits_are_refused_on_a_cpu(instructions, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RadbookError, match="load_in_4bit is true, but there is no CUDA device here"):
        finetune(instructions, tmp_path, Settings(load_in_4bit=True, **QUICK))


def test_every_epoch_has_an_order_of_its_own_that_a_restart_finds_again(instructions, tmp_path):
    model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    rows = tokenize(instructions, tokenizer)
    orders = []
    for epoch in (0.0, 1.0, 1.75):
        trainer = make_trainer(model, tokenizer, rows, tmp_path, Settings(batch_size=4))
        trainer.state.epoch = epoch
        orders.append(list(trainer._get_train_sampler()))
    assert orders[0] != orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(len(instructions)))


def test_rows_of_like_length_come_together_and_none_is_lost():
    lengths = [(7 * k) % 200 + 10 for k in range(330)]
    order = length_grouped(lengths, 16, seed=3)
    assert sorted(order) == list(range(330)) and order == length_grouped(lengths, 16, seed=3)
    assert order != length_grouped(lengths, 16, seed=4)
    steps = [[lengths[k] for k in order[i : i + 16]] for i in range(0, 330, 16)]
    assert max(steps[0]) == max(lengths), "the longest first"
    padded = sum(max(step) * len(step) for step in steps)
    assert padded < 1.1 * sum(lengths)
    assert length_grouped([5, 4, 3], 16, seed=0) == [0, 1, 2]


def test_bad_tables_are_refused(instructions, tmp_path):
    with pytest.raises(RadbookError, match="nothing to train on"):
        finetune(instructions.head(0), tmp_path)
    with pytest.raises(RadbookError, match="build them again"):
        finetune(instructions.assign(prompt="What is wrong?"), tmp_path)
    long = instructions.head(1).assign(prompt="choice\n" + "effusion " * 3000 + "\nfindings:")
    with pytest.raises(RadbookError, match="1 instruction rows are longer than the 2048 tokens"):
        finetune(long, tmp_path, Settings(backend="peft"))
