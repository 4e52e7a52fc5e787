"""Requests of the chat teacher, answered without a server."""

import json

import pytest

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.student.base import load_base
from radbook.student.generation.chat import answer
from radbook.student.generation.generate import generate
from radbook.tasks import CHOICE
from radbook.teachers.llm.prompts import build_messages, response_schema

BODY = "The heart is mildly enlarged. Small left effusion. No pneumothorax."


def test_a_base_that_knows_no_conversation_is_refused(loaded, monkeypatch):
    monkeypatch.setattr(loaded[1], "chat_template", None)
    with pytest.raises(RadbookError, match="no chat template; name another model"):
        answer(*loaded, [{"messages": [{"role": "user", "content": BODY}], "max_tokens": 5}])


@pytest.mark.slow
def test_replies_come_in_order_and_a_schema_holds_them():
    model, tokenizer, _ = load_base("smollm2", backend="peft")
    question = "What is the capital of France? Answer in one word."
    free = {"messages": [{"role": "user", "content": question}], "max_tokens": 20}
    messages = build_messages(CHOICE, BODY)
    held = {"messages": messages, "max_tokens": 100, "response_format": response_schema(CHOICE)}
    lines = []
    replies = answer(model, tokenizer, [free, held, free | {"max_tokens": 1}], progress=lines.append)
    assert replies[0].text == generate(model, tokenizer, [question], max_new_tokens=20)[0]
    assert replies[0].complete and not replies[2].complete and replies[2].completion_tokens == 1
    assert lines[-1].startswith("3 of 3 replies")
    found = json.loads(replies[1].text)["findings"]
    assert replies[1].complete and all(set(item) == {"category", "quote"} for item in found)
    assert {item["category"] for item in found} <= set(CATEGORIES)
