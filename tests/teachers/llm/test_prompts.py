"""What is asked and what is read back: examples, JSON and lists, quotes that are there and quotes that are not."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.core.ontology import CATEGORIES
from radbook.corpora import load_corpus
from radbook.corpora.sections import report_body
from radbook.icd10 import check_code, is_leaf
from radbook.tasks import CHOICE, OPEN, TASKS
from radbook.teachers.llm.prompts import build_messages, read_reply, response_schema

TEXT = (
    "INDICATION: pneumothorax?\nFINDINGS: The heart is mildly\n  enlarged. Small left pleural effusion.\n"
    "IMPRESSION: Effusion, cardiomegaly."
)


def examples(task, body: str, *, structured: bool = True) -> dict[str, str]:
    """Every worked example that some seed draws for a report: text -> answer."""
    drawn = {}
    for seed in range(60):
        said = [m["content"] for m in build_messages(task, body, structured=structured, seed=seed)[1:-1]]
        drawn.update(zip(said[::2], said[1::2], strict=True))
    return drawn


def answer(*items: dict) -> str:
    return json.dumps({"findings": list(items)})


def test_the_worked_examples_quote_their_reports_and_their_codes_pass_the_gate():
    for task in TASKS.values():
        assert len(task.examples) >= 11
        for text, found in task.examples:
            assert all(f["start"] is not None and text[f["start"] : f["end"]] == f["phrase"] for f in found)
    assert all(f["code"] in CATEGORIES for _, found in CHOICE.examples for f in found)
    coded = [f for _, found in OPEN.examples for f in found]
    assert all(is_leaf(f["code"]) and check_code(f["code"], f["phrase"])[0] for f in coded)


def test_an_example_is_read_back_as_it_was_written():
    for task in TASKS.values():
        for structured in (True, False):
            replies = examples(task, "Another report.", structured=structured)
            assert len(replies) == len(task.examples)
            for text, found in task.examples:
                got, status, note = read_reply(task, replies[text], text)
                assert (status, note) == ("ok", "")
                assert {(f["code"], f["phrase"]) for f in got} == {(f["code"], f["phrase"]) for f in found}


def test_the_draw_depends_on_the_report_and_the_seed_alone_and_uses_the_whole_pool():
    bodies = [report_body(text) for text in load_corpus("synthetic", n_reports=60, seed=1)[0]["text"]]
    drawn = [[m["content"] for m in build_messages(OPEN, body)[1:-1:2]] for body in bodies]
    assert drawn == [[m["content"] for m in build_messages(OPEN, body)[1:-1:2]] for body in bodies]
    assert drawn != [[m["content"] for m in build_messages(OPEN, body, seed=1)[1:-1:2]] for body in bodies]
    assert set(Counter(map(len, drawn))) == {3}
    assert {text for row in drawn for text in row} == {text for text, _ in OPEN.examples}


def test_a_report_is_never_its_own_example():
    for text, _ in CHOICE.examples:
        assert set(examples(CHOICE, "  " + text)) == {other for other, _ in CHOICE.examples} - {text}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_schema_is_strict_and_describes_what_the_examples_answer(task):
    form = response_schema(task)["json_schema"]
    items = form["schema"]["properties"]["findings"]["items"]
    assert form["strict"] and items["additionalProperties"] is False
    for reply in examples(task, "Another report.").values():
        assert all(set(item) == set(items["required"]) for item in json.loads(reply)["findings"])


def test_quotes_are_found_whatever_their_case_and_blanks():
    reply = answer({"category": "Cardiomegaly", "quote": "HEART is mildly enlarged"})
    found, status, note = read_reply(CHOICE, reply, TEXT)
    assert (status, note) == ("ok", "")
    assert found[0]["phrase"] == "heart is mildly\n  enlarged" == TEXT[found[0]["start"] : found[0]["end"]]


def test_a_slip_in_a_quote_is_repaired_and_noted():
    found, status, note = read_reply(
        CHOICE, answer({"category": "Pleural Effusion", "quote": "smal left plueral effusion"}), TEXT
    )
    assert (
        status == "repaired" and note == "'smal left plueral effusion' read as 'Small left pleural effusion'"
    )
    assert found[0]["phrase"] == "Small left pleural effusion"


@pytest.mark.parametrize(
    "quote", ["right basal consolidation", "pneumothorax", "no effusion of any kind anywhere"]
)
def test_a_quote_that_is_not_in_findings_or_impression_fails_the_reply(quote):
    items = [
        {"category": "Cardiomegaly", "quote": "cardiomegaly"},
        {"category": "Pneumothorax", "quote": quote},
    ]
    found, status, note = read_reply(CHOICE, answer(*items), TEXT)
    assert (found, status) == ([], "failed") and repr(quote) in note


def test_lists_are_held_to_their_quotes_too():
    assert read_reply(OPEN, "[cardiomegaly (I51.7), effusion (J90)]", TEXT)[1] == "ok"
    assert read_reply(OPEN, "[cardiomegaly (I51.7), scoliosis (M41.9)]", TEXT)[1] == "failed"
    listed = "[Cardiomegaly, Pleural Effusion]\nCardiomegaly: cardiomegaly\nPleural Effusion: Effusion"
    assert read_reply(CHOICE, listed, TEXT)[1:] == ("ok", "")
    found, status, note = read_reply(CHOICE, "[Cardiomegaly]", TEXT)
    assert (len(found), status, note) == (1, "repaired", "no quote for Cardiomegaly")
    assert read_reply(OPEN, "[scoliosis (M41.9)]", TEXT, quoted=False)[1] == "ok"


def test_a_code_that_names_something_else_is_mended_or_left_out():
    text = "Chest tube in place. Small effusion."
    items = [{"quote": "Chest tube", "icd10": "Z48.02"}, {"quote": "effusion", "icd10": "J91.0"}]
    found, status, note = read_reply(OPEN, answer(*items), text)
    assert [f["code"] for f in found] == ["J90"] and status == "repaired"
    assert "'Chest tube' left out (Z48.02 means" in note and "'effusion' coded J90" in note


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ('{"findings": []}', "ok"),
        ('```json\n{"findings": [{"category": "Cardiomegaly", "quote": "cardiomegaly"}]}\n```', "ok"),
        ('[{"category": "Cardiomegaly", "quote": "cardiomegaly"}]', "ok"),
        ('{"findings": [{"category": "ateletasis", "quote": "cardiomegaly"}]}', "repaired"),
        ('{"findings": [{"category": "Scoliosis", "quote": "cardiomegaly"}]}', "failed"),
        ('{"findings": [3, null, {"quote": ["a"]}]}', "failed"),
        ('{"findings": [{"category": "Cardiomeg', "failed"),
        ('{"labels": []}', "failed"),
        ("[" * 5000, "failed"),
        ('[{"a":' * 5000, "failed"),
        ("", "failed"),
        ("I cannot help with that.", "failed"),
    ],
)
def test_every_form_of_reply_gets_a_status(reply, status):
    assert read_reply(CHOICE, reply, TEXT)[1] == status


FIELDS = st.sampled_from(["findings", "quote", "category", "icd10"])
OBJECTS = st.recursive(
    st.none() | st.text(max_size=12) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner),
    max_leaves=8,
).map(json.dumps)


@given(
    st.text() | st.text('{}[]",: findgsEdmaquoty\n') | OBJECTS,
    st.text(max_size=80),
    st.sampled_from([CHOICE, OPEN]),
)
def test_any_reply_about_any_text_is_read_without_an_error(reply, text, task):
    found, status, note = read_reply(task, reply, text)
    assert status in ("ok", "repaired", "failed") and (status == "ok") == (note == "")
    assert all(f["start"] is None or text[f["start"] : f["end"]] == f["phrase"] for f in found)


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=60), st.data())
def test_any_piece_of_a_text_is_found_in_it(text, data):
    words = text.split()
    if not words:
        return
    start = data.draw(st.integers(0, len(words) - 1))
    quote = " ".join(words[start : start + 3])
    found, status, note = read_reply(
        CHOICE, answer({"category": "Edema", "quote": quote}), "FINDINGS: " + text
    )
    assert status in ("ok", "repaired") or "does not say" in note
    assert all(
        f["start"] is None or ("FINDINGS: " + text)[f["start"] : f["end"]] == f["phrase"] for f in found
    )
