"""Prompts through the tokenizer's own template: Llama-3.1-like ones, and no date that changes."""

import ast
import importlib.util
from datetime import datetime
from pathlib import Path

import pytest
from serving import LIKE_LLAMA

from radbook.student.base import load_tokenizer
from radbook.student.prompts import encode_prompts, freeze_date, template_hash
from radbook.student.training.trainer import tokenize

# In the manner of Llama 3.1: a system turn that says what day it is, headers, and an end for every turn.
WITHOUT_ASKING = "{{ bos_token }}{{ strftime_now('%d %b %Y') }}: {{ messages[0]['content'] }}"
ANSWER = "<|start_header_id|>assistant<|end_header_id|>\n\n"


def llama_31():
    """Llama-3.1's template in the copy that Unsloth brings, read without importing Unsloth, which changes libraries."""
    package = importlib.util.find_spec("unsloth")
    if package is None:
        pytest.skip("Unsloth is not installed")
    tree = ast.parse((Path(package.origin).parent / "chat_templates.py").read_text(encoding="utf-8"))
    texts = {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)}
    return ast.literal_eval(texts["llama31_template"])


@pytest.fixture(params=[LIKE_LLAMA, WITHOUT_ASKING], ids=["like Llama", "without asking"])
def dated(request):
    tokenizer = load_tokenizer("tiny-taught")
    tokenizer.chat_template = request.param
    return tokenizer


def today():
    return datetime.now().strftime("%d %b %Y").lower()


def test_a_prompt_never_holds_the_date_of_the_day(dated):
    turn = [{"role": "user", "content": "Clear lungs."}]
    assert today() in dated.apply_chat_template(turn, tokenize=False).lower(), "else this test tests nothing"
    text = dated.decode(encode_prompts(dated, ["Clear lungs."])[0])
    assert today() not in text and "26 jul 2024" in text and "clear lungs." in text


def test_a_frozen_template_writes_the_same_words_without_being_told_the_date(dated):
    expected = dated.decode(encode_prompts(dated, ["Clear lungs."])[0])
    before = template_hash(dated, "short")
    dated.chat_template = freeze_date(dated.chat_template)
    turn = [{"role": "user", "content": "Clear lungs."}]
    assert (
        dated.apply_chat_template(turn, tokenize=False, add_generation_prompt=True).lower()
        == expected.lower()
    )
    assert template_hash(dated, "short") == before
    assert freeze_date(dated.chat_template) == dated.chat_template


def test_behind_such_a_template_the_reply_alone_is_learned(instructions):
    tokenizer = load_tokenizer("tiny-taught")
    tokenizer.chat_template = LIKE_LLAMA
    rows = tokenize(instructions.head(8), tokenizer)
    for row, ids, labels in zip(
        instructions.head(8).itertuples(), rows["input_ids"], rows["labels"], strict=True
    ):
        first = labels.index(next(label for label in labels if label != -100))
        assert tokenizer.decode(ids[:first]).endswith(row.prompt.lower() + "<|eot_id|>" + ANSWER)
        assert tokenizer.decode(ids[first:]) == row.completion.lower() + tokenizer.eos_token
        assert labels[:first] == [-100] * first and labels[first:] == ids[first:]


def test_the_template_of_llama_31_writes_our_date_and_frozen_the_same_words():
    tokenizer = load_tokenizer("tiny-taught")
    tokenizer.chat_template = llama_31()
    text = tokenizer.decode(encode_prompts(tokenizer, ["Clear lungs."])[0])
    assert "today date: 26 jul 2024" in text and text.endswith("clear lungs.<|eot_id|>" + ANSWER)
    tokenizer.chat_template = freeze_date(tokenizer.chat_template)
    turn = [{"role": "user", "content": "Clear lungs."}]
    served = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert served.lower() == text.lower()


def test_the_hash_follows_the_template():
    plain, other = load_tokenizer("tiny-taught"), load_tokenizer("tiny-taught")
    other.chat_template = LIKE_LLAMA
    assert template_hash(plain, "short") != template_hash(other, "short")
