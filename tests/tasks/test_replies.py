"""Replies of models that were not tuned: reasoning, lists of every form, answers by name, hedges; nothing left out in silence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.core.ontology import CATEGORIES
from radbook.tasks import CHOICE, OPEN


def read(task, reply):
    findings, status, note = task.parse(reply)
    assert bool(note) == (status != "ok")
    return {f["code"]: f["presence"] for f in findings}, status, note


BOTH = {"Edema": "present", "Pneumonia": "present"}


@pytest.mark.parametrize(
    "reply",
    [
        "<think>Perhaps [Fracture]?</think>[Edema, Pneumonia]",
        "<thinking>\n[Fracture]\n</thinking>\n\n[Edema, Pneumonia]",
        "First I see [Fracture], but no.</think>\n[Edema, Pneumonia]",
        "<think>a</think><think>[Fracture]</think>[Edema, Pneumonia]",
        "[THINK][Fracture][/THINK][Edema, Pneumonia]",
        "[Edema, Pneumonia]<think>or [Fracture]",
        '<reasoning>{"findings": [{"category": "Fracture"}]}</reasoning>{"findings": ["Edema", "Pneumonia"]}',
        "<|channel|>analysis<|message|>[Fracture]<|end|><|channel|>final<|message|>[Edema, Pneumonia]",
    ],
)
def test_what_a_model_thinks_aloud_is_skipped_and_said(reply):
    found, status, note = read(CHOICE, reply)
    assert (found, status) == (BOTH, "repaired") and "reasoning before the list" in note


def test_a_reply_of_reasoning_alone_fails():
    assert read(CHOICE, "<think>It may be [Edema], but")[:2] == ({}, "failed")


@pytest.mark.parametrize(
    "reply",
    [
        "- Edema\n- Pneumonia",
        "* Edema\n* Pneumonia",
        "\u2022 Edema\n\u2022 Pneumonia",
        "1. Edema\n2. Pneumonia",
        "a. Edema\nb. Pneumonia",
        "Edema\nPneumonia",
        "Findings:\n\n- **Edema**\n- **Pneumonia**\n",
        "The findings are:\n1. Edema\n2. Pneumonia",
        "[Edema] [Pneumonia]",
        "[Edema]\n[Pneumonia]",
        "[Edema] and [Pneumonia]",
        "[1. Edema, 2. Pneumonia]",
        "[- Edema\n- Pneumonia]",
        "[\u201cEdema\u201d, \u201cPneumonia\u201d]",
        "[\u2018Edema\u2019, \u2018Pneumonia\u2019]",
        "\u201cEdema\u201d, \u201cPneumonia\u201d",
        '["Edema", "Pneumonia"]',
        '```json\n["Edema", "Pneumonia"]\n```',
        '{"findings": ["Edema", "Pneumonia"]}',
        "Edema and Pneumonia",
        "Edema, and Pneumonia",
        "[Edema and Pneumonia]",
        "Edema \u2022 Pneumonia",
        "Edema | Pneumonia",
        "Final answer: Edema; Pneumonia",
        '{"Edema": true, "Pneumonia": true, "Fracture": false}',
        "{'Edema': True, 'Pneumonia': True, 'Fracture': False}",
        "{\u201cEdema\u201d: 1, \u201cPneumonia\u201d: 1, \u201cFracture\u201d: 0}",
        '{"Edema": "yes", "Pneumonia": "present", "Fracture": null}',
        '{"present": ["Edema", "Pneumonia"], "absent": ["Fracture"]}',
        '{"Edema": {"present": true}, "Pneumonia": {"present": true}}',
        "Edema: yes\nPneumonia: yes\nFracture: no",
        "| Edema | Yes |\n| Pneumonia | Yes |\n| Fracture | No |",
        "Present:\n- Edema\n- Pneumonia\nAbsent:\n- Fracture",
        "Present: [Edema, Pneumonia]\nNot present: [Fracture]",
    ],
)
def test_a_list_of_any_form_is_read_whole(reply):
    found, _, note = read(CHOICE, reply)
    assert found == BOTH
    assert ("Fracture" in reply) == ("negated item" in note)


@pytest.mark.parametrize(
    "mark", ["- {}\n", "* {}\n", "[{}] ", "\u2022 {}\n", "{},", "{};", "{}\n", '"{}",', "\u201c{}\u201d, "]
)
@given(names=st.lists(st.sampled_from(CATEGORIES), min_size=2, unique=True))
def test_as_many_names_as_are_listed_are_read_or_named(mark, names):
    found, _, note = read(CHOICE, "".join(mark.format(name) for name in names))
    assert all(name in found or name in note for name in names) and found


@given(st.dictionaries(st.sampled_from(CATEGORIES), st.booleans(), min_size=1), st.booleans())
def test_an_object_of_truths_says_what_is_present_and_names_the_rest(truths, python):
    found, status, note = read(CHOICE, str(truths) if python else json.dumps(truths))
    assert found == {name: "present" for name, true in truths.items() if true}
    assert status != "failed" and all(true or name in note for name, true in truths.items())


@pytest.mark.parametrize(
    "item",
    [
        "Edema (possible)",
        "Edema (possibly mild)",
        "Edema (cannot be excluded)",
        "Edema (not ruled out)",
        "Edema: uncertain",
        "Edema - maybe",
        "Edema?",
        "? Edema",
        "suspected Edema",
        "cannot exclude edema",
        "edema cannot be excluded",
        "Edema (?)",
        "equivocal edema",
    ],
)
@pytest.mark.parametrize(
    "form",
    ["[{}, Pneumonia]", "- {}\n- Pneumonia", '["{}", "Pneumonia"]', '{{"findings": ["{}", "Pneumonia"]}}'],
)
def test_a_hedge_on_an_item_makes_it_uncertain(item, form):
    found, status, note = read(CHOICE, form.format(item))
    assert found == {"Edema": "uncertain", "Pneumonia": "present"}
    assert status == "repaired" and "hedged item" in note


def test_a_hedge_beside_a_code_is_no_part_of_the_phrase():
    for reply in ("[edema (possible) (J81.1)]", "[edema (J81.1, possible)]", "- possible edema (J81.1)"):
        findings, _, note = OPEN.parse(reply)
        assert [(f["code"], f["presence"], f["phrase"]) for f in findings] == [
            ("J81.1", "uncertain", "edema")
        ] and "hedged" in note
    findings, _, _ = OPEN.parse("1. effusion (J90)\n2. edema (J81.1)")
    assert {f["code"]: f["phrase"] for f in findings} == {"J90": "effusion", "J81.1": "edema"}
    assert read(OPEN, "[effusion (J90)] [edema (J81.1)]") == (
        {"J81.1": "present", "J90": "present"},
        "ok",
        "",
    )
    assert len(read(OPEN, "[effusion (J90) and edema (J81.1)]")[0]) == 2


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("- Edema\n- Kidney stone", "unknown item 'Kidney stone' left out"),
        ("[Edema] [cyst]", "unknown item 'cyst' left out"),
        ("[Edema]\n- Pneumonia", "'- Pneumonia' left out beside the list"),
        ("[Edema]\nPneumonia: lower lobe", "evidence for Pneumonia, which the list lacks"),
        ("Edema: yes\nPneumonia: no", "negated item 'Pneumonia: no' left out"),
        ("Edema and cyst\nFracture", "unknown item 'Edema and cyst' left out"),
    ],
)
def test_what_is_left_out_is_named(reply, named):
    found, status, note = read(CHOICE, reply)
    assert status == "repaired" and found and named in note


def test_the_words_of_a_quote_are_no_list():
    reply = "[Edema]\nEdema: the lungs [sic] are wet"
    findings, status, _ = CHOICE.parse(reply, "FINDINGS: The lungs [sic] are wet.")
    assert status == "ok" and findings[0]["phrase"] == "The lungs [sic] are wet"
