"""Kept replies: what a file cannot hold is replaced, and a write that fails leaves the file open for the next."""

import json

import pytest

from radbook.core.findings import label_row
from radbook.core.schema import LABELS, check
from radbook.tasks import CHOICE
from radbook.teachers.llm.cache import Reply, ReplyCache
from radbook.teachers.llm.prompts import read_reply


def test_half_a_character_in_a_reply_is_replaced_and_kept(tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    reply = Reply(json.loads('"[Edema] \\ud83d and \\ud83d\\ude00"'))
    cache.put("k", "model", reply)
    assert cache.get("k").text == reply.text == "[Edema] \ufffd and \U0001f600"


def test_half_a_character_escaped_in_a_json_reply_stops_no_table():
    import pandas as pd

    items = '{"category": "Edema", "quote": "wet \\ud83d lungs"}, {"category": "\\ud83d", "quote": ""}'
    for reply in (f'{{"findings": [{items}]}}', '{"findings": [{"category": "Edema", "quote": "wet lungs"}]} \ud83d'):
        found, status, note = read_reply(CHOICE, reply, "FINDINGS: wet lungs.")
        check(pd.DataFrame([label_row("1", "chat:m", "choice", found, status=status, note=note)]), LABELS)


def test_a_write_that_fails_does_not_jam_the_file(tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    with pytest.raises(UnicodeEncodeError):
        cache.put("k", "model \ud83d", Reply("[Edema]"))
    assert cache.get("k") is None
    cache.put("k", "model", Reply("[Edema]"))
    assert cache.get("k").text == "[Edema]"
