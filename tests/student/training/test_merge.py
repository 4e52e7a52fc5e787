"""The merged student: a folder that plain transformers loads and serves, and that answers as the student does."""

import json
import shutil
from pathlib import Path

import pytest
from serving import LIKE_LLAMA, transformers_serve

from radbook.core.errors import RadbookError
from radbook.corpora.synthetic import generate_reports
from radbook.student import Student
from radbook.student.base import load_tokenizer, resolve_base
from radbook.student.prompts import encode_prompts
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune
from radbook.student.training.merge import merge
from radbook.tasks import CHOICE
from radbook.teachers.llm import ChatTeacher

TAUGHT = resolve_base("tiny-taught")[0]

QUICK = {"base_model": "tiny-taught", "epochs": 1.0, "batch_size": 8, "rank": 4, "alpha": 8, "backend": "peft"}


@pytest.fixture(scope="module")
def run(instructions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    finetune(instructions, folder / "student", Settings(**QUICK))
    return folder


@pytest.fixture(scope="module")
def merged(run):
    return merge(run, run / "student" / "merged")


@pytest.fixture(scope="module")
def reports():
    return generate_reports(25, style="cohort", seed=5)[0]


def test_the_folder_is_complete_and_says_what_it_is(merged):
    folder = Path(merged["path"])
    names = {p.name for p in folder.iterdir()}
    assert {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "README.md",
    } <= names  # fmt: skip
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pkl"))]
    assert merged["dtype"] == "float32" and merged["megabytes"] > 10
    card = (folder / "README.md").read_text()
    assert "license: mit" in card and "Not a medical device" in card and TAUGHT not in card
    assert json.loads((folder / "config.json").read_text())["prompt_style"] == "short"


def test_plain_transformers_loads_it_and_it_computes_what_base_and_adapter_compute(run, merged):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    whole = AutoModelForCausalLM.from_pretrained(merged["path"]).eval()
    assert whole.dtype == torch.float32
    base = AutoModelForCausalLM.from_pretrained(TAUGHT, dtype=torch.float32)
    parts = PeftModel.from_pretrained(base, str(run / "student" / "adapter")).eval()
    tokenizer = AutoTokenizer.from_pretrained(merged["path"])
    prompt = CHOICE.prompt("The heart is mildly enlarged.", "short")
    ids = torch.tensor(encode_prompts(tokenizer, [prompt]))
    assert ids.tolist() == encode_prompts(load_tokenizer("tiny-taught"), [prompt])
    with torch.inference_mode():
        assert torch.allclose(whole(ids).logits, parts(ids).logits, atol=1e-3)
        with parts.disable_adapter():
            assert not torch.allclose(whole(ids).logits, parts(ids).logits, atol=1e-3)
    assert GenerationConfig.from_pretrained(merged["path"]).eos_token_id == tokenizer.eos_token_id


def test_saved_and_loaded_again_it_gives_the_same_fifty_replies(run, merged, reports):
    student, again = Student.load(run).label(reports), Student.untuned(merged["path"]).label(reports)
    assert len(student) == 50
    assert student["reply"].tolist() == again["reply"].tolist()
    assert student["findings"].tolist() == again["findings"].tolist()


def test_a_merged_student_that_would_be_asked_in_other_words_is_refused(merged, reports, tmp_path):
    copy = tmp_path / "merged"
    shutil.copytree(merged["path"], copy)
    template = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").write_text("Dear model, " + template)
    with pytest.raises(RadbookError, match="prompts have changed since the merged student"):
        Student.untuned(str(copy)).label(reports.head(1))


def test_only_its_own_folder_is_written_over(run, merged, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RadbookError, match="holds something else than a merged student"):
        merge(run, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    partial = Path(merged["path"]).with_name(".merged.partial")
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"cut")  # what a killed attempt leaves
    assert merge(run, merged["path"]) == merged
    assert not partial.exists()
    with pytest.raises(RadbookError, match="no finished student"):
        merge(tmp_path, tmp_path / "out")


def test_a_base_that_dates_its_prompts_is_frozen_and_its_license_comes_along(instructions, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(TAUGHT, base)
    (base / "chat_template.jinja").write_text(LIKE_LLAMA)
    (base / "LICENSE.txt").write_text("Terms of somebody else.")
    finetune(instructions.head(8), tmp_path / "student", Settings(**QUICK | {"base_model": str(base)}))
    folder = Path(merge(tmp_path / "student", tmp_path / "merged")["path"])
    assert (folder / "LICENSE.txt").read_text() == "Terms of somebody else."
    assert "license: other" in (folder / "README.md").read_text()
    served = load_tokenizer(str(folder))
    text = served.apply_chat_template(
        [{"role": "user", "content": "Clear lungs."}], tokenize=False, add_generation_prompt=True
    )
    assert (
        served(text, add_special_tokens=False)["input_ids"]
        == encode_prompts(load_tokenizer(str(base)), ["Clear lungs."])[0]
    )


@pytest.mark.slow
def test_served_it_answers_our_chat_teacher_as_it_answers_here(run, merged, reports, tmp_path):
    few = reports.head(8)
    with transformers_serve(merged["path"], tmp_path / "serve.log") as url:
        teacher = ChatTeacher(
            merged["path"], base_url=url, cache=tmp_path / "chat.sqlite", style="short", max_new_tokens=150
        )
        served = teacher.label(few)
    assert [r.strip() for r in served["reply"]] == Student.load(run).label(few)["reply"].tolist()
