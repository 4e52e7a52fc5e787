import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import radbook
from radbook.core.errors import RadbookError
from radbook.core.schema import INSTRUCTIONS, write_table
from radbook.student import base
from radbook.student.base import load_base, load_tokenizer, resolve_base
from radbook.student.prompts import encode_prompts, template_hash
from radbook.tasks import CHOICE

TAUGHT = resolve_base("tiny-taught")[0]


def test_importing_the_student_loads_no_heavy_library():
    code = "import radbook.student, sys; print([m for m in ('torch', 'transformers', 'unsloth', 'trl') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_packaged_base_is_small_complete_and_safe():
    files = list(Path(TAUGHT).iterdir())
    assert sum(f.stat().st_size for f in files) <= 12e6
    names = {f.name for f in files}
    assert {"config.json", "tokenizer.json", "model.safetensors", "README.md"} <= names
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pkl", ".py"))]
    card = (Path(TAUGHT) / "README.md").read_text(encoding="utf-8")
    for said in ("grammar", "seed", "steps", "minutes", "Micro-F1", "cohort"):
        assert said in card


def test_the_whole_package_and_its_wheel_stay_small():
    files = [p for p in Path(radbook.__file__).parent.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) <= 22 * 2**20  # two bases of ten
    assert sum(len(zlib.compress(p.read_bytes(), 1)) for p in files) <= 20 * 2**20, "as the wheel packs them"


def test_packaged_base_loads_in_float32_on_a_cpu():
    import torch

    model, tokenizer, backend = load_base("tiny-taught", backend="peft")
    assert backend == "peft"
    if model.device.type == "cpu":
        assert model.dtype == torch.float32
    assert model.config.vocab_size == len(tokenizer)
    assert base.prompt_style("tiny-taught") == "short"


def test_the_tokenizer_ignores_case_splits_digits_and_knows_the_deidentification_mark():
    tokenizer = load_tokenizer("tiny-taught")
    assert tokenizer("EFFUSION")["input_ids"] == tokenizer("effusion")["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("has XXXX of 12 mm")["input_ids"])
    assert "\u0120xxxx" in tokens
    assert {"1", "2"} <= {t.strip("\u0120") for t in tokens}
    text = "nodule \u2265 5 mm \u2014 na\u00efve \U0001f600"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_chat_of_one_turn_is_the_plain_prompt():
    tokenizer = load_tokenizer("tiny-taught")
    prompt = CHOICE.prompt("The heart is enlarged.")
    ids = encode_prompts(tokenizer, [prompt])[0]
    assert ids == [tokenizer.bos_token_id, *tokenizer(prompt)["input_ids"]]


def test_completions_join_the_prompt_without_another_token_at_the_seam():
    tokenizer = load_tokenizer("tiny-taught")
    prompt = CHOICE.prompt("The heart is enlarged.")
    whole = tokenizer(prompt + " [Edema]")["input_ids"]
    assert whole == tokenizer(prompt)["input_ids"] + tokenizer(" [Edema]")["input_ids"]


def test_the_template_hash_follows_the_style():
    tokenizer = load_tokenizer("tiny-taught")
    assert template_hash(tokenizer, "short") != template_hash(tokenizer, "full")
    assert template_hash(tokenizer, "short") == template_hash(load_tokenizer(TAUGHT), "short")


@pytest.mark.parametrize("value", ["/nowhere/model", "./model", "models", "", 3])
def test_a_missing_base_is_refused_by_name(value):
    with pytest.raises(RadbookError, match="base_model"):
        resolve_base(value)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(RadbookError, match=r"model\.safetensors"):
        resolve_base(str(tmp_path))


def test_a_hub_model_that_cannot_be_had_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RadbookError, match="base_model 'nobody/no-such-model' cannot be loaded"):
        load_tokenizer("nobody/no-such-model")


def test_a_damaged_base_is_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(RadbookError, match="base_model"):
        load_base(str(tmp_path), backend="peft")


def test_an_unknown_backend_is_refused():
    with pytest.raises(RadbookError, match="backend='jax' is none of auto, unsloth, peft"):
        load_base("tiny-taught", backend="jax")


def test_without_unsloth_peft_takes_over_and_says_so_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "unsloth", None)  # what `import unsloth` meets where it is not installed
    with pytest.warns(UserWarning, match="plain PEFT takes over") as told:
        _, _, backend = load_base("tiny-taught", backend="auto")
    assert backend == "peft"
    assert len([w for w in told if "Unsloth" in str(w.message)]) == 1
    with pytest.raises(RadbookError, match="set backend to peft"):
        load_base("tiny-taught", backend="unsloth")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("unsloth") is None, reason="Unsloth is not installed")
@pytest.mark.parametrize("late", [True, False])
def test_unsloth_imported_too_late_says_so_and_is_quiet_otherwise(late):
    code = "from radbook.student.base import prepare_training; prepare_training('tiny-taught', 'auto'); import trl"
    done = subprocess.run(
        [sys.executable, "-c", ("import trl; " if late else "") + code], capture_output=True, text=True
    )
    assert done.returncode == 0 and ("Unsloth should be imported before" in done.stderr) is late


def test_chapter_6_prepares_the_training_before_it_imports_what_unsloth_changes():
    path = Path(__file__).parents[2] / "notebooks" / "06_lora_finetuning.ipynb"
    cells = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    prepared = next(k for k, source in enumerate(cells) if "prepare_training(base_model" in source)
    assert not [s for s in cells[:prepared] if "import torch" in s or "import transformers" in s or "from transformers" in s]


HUB = """
import sys
from radbook.core.errors import RadbookError
from radbook.core.schema import INSTRUCTIONS, read_table
from radbook.student import Student
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune
settings = Settings(base_model="nobody/small", epochs=0.1, backend="peft")
made = finetune(read_table(sys.argv[1], INSTRUCTIONS), sys.argv[2], settings)
try:
    Student.load(sys.argv[2]).model()
    print(made["base_commit"])
except RadbookError as error:
    print(error)
"""


@pytest.mark.slow
def test_new_weights_under_the_same_hub_id_are_refused(instructions, tmp_path):
    cache = tmp_path / "cache" / "models--nobody--small"
    old, new = "a" * 40, "b" * 40
    for commit in (old, new):
        shutil.copytree(TAUGHT, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    table = write_table(instructions.head(4), tmp_path / "instructions.parquet", INSTRUCTIONS)
    told = []
    for commit in (old, new):
        (cache / "refs" / "main").write_text(commit)
        variables = {**os.environ, "HF_HUB_CACHE": str(cache.parent), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-c", HUB, table, tmp_path / "student"]
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.strip())
    assert told[0] == old
    assert told[1].startswith(f"base_model nobody/small is commit {new} now, and the student was trained on {old}")
