"""The rule teacher against traps of our own, and properties that no typing habit may break."""

import string
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES, FINDINGS
from radbook.core.schema import LABELS, check
from radbook.teachers.rules import RuleTeacher
from radbook.teachers.rules.lexicon import expand, load_lexicon, load_triggers

GROUPS = yaml.safe_load((Path(__file__).parents[2] / "traps.yaml").read_text(encoding="utf-8"))
TRAPS = [
    pytest.param(text, expected, id=f"{group}-{i}")
    for group, traps in GROUPS.items()
    for i, (text, expected) in enumerate(traps)
]
SENTENCES = [trap.values[0] for trap in TRAPS]


def label(*texts: str) -> pd.DataFrame:
    return RuleTeacher().label(
        pd.DataFrame({"report_id": [str(i) for i in range(len(texts))], "text": list(texts)})
    )


def states(text: str, task: str = "choice") -> dict[str, str]:
    labels = label(text)
    return {f["code"]: f["presence"] for f in labels[labels.task == task].findings.iloc[0]}


@pytest.mark.parametrize(("text", "expected"), TRAPS)
def test_traps(text, expected):
    assert states(text) == {k: v for k, v in expected.items() if k in CATEGORIES}
    codes = states(text, "open")
    for finding, state in expected.items():
        if finding not in CATEGORIES:
            assert codes.get(FINDINGS[finding].icd10, "none") == state, finding


def test_every_report_comes_out_twice_with_a_status():
    labels = label("", "  \n", "No effusion.", "Lungs are clear.")
    assert labels.status.tolist() == ["failed"] * 4 + ["ok"] * 4
    assert set(labels.note[:4]) == {"empty report"}
    assert labels.task.tolist() == ["choice", "open"] * 4
    check(labels, LABELS)


def test_missing_text_is_an_empty_report():
    reports = pd.DataFrame({"report_id": ["a", "b", "c"], "text": [None, float("nan"), pd.NA]})
    assert RuleTeacher().label(reports).status.tolist() == ["failed"] * 6


def test_a_report_of_nothing_but_its_history_is_empty():
    labels = label("HISTORY: cough.", "INDICATION: pneumonia? COMPARISON: none.", "HISTORY: cough. FINDINGS: Clear lungs.")
    assert labels.status.tolist() == ["failed"] * 4 + ["ok"] * 2


def test_no_reports():
    assert len(RuleTeacher().label(pd.DataFrame({"report_id": [], "text": []}))) == 0


def test_evidence_is_the_text_at_its_place():
    text = "INDICATION: pneumonia?\nFINDINGS: The heart\n  is mildly  enlarged. No\npleural-effusion.\n"
    text += "IMPRESSION: PICC tip in SVC."
    for findings in label(text).findings:
        assert findings
        for found in findings:
            assert text[found["start"] : found["end"]] == found["phrase"]
            assert found["rule"]
    first = label(text).findings[0][0]
    assert (first["phrase"], first["rule"]) == (
        "The heart\n  is mildly  enlarged",
        "cardiomegaly/enlarged-heart",
    )


def test_the_rule_names_its_trigger():
    rules = {
        f["code"]: f["rule"] for f in label("No evidence of pneumothorax. Possible effusion.").findings[0]
    }
    assert rules == {
        "Pneumothorax": "pneumothorax/name|neg:no evidence of",
        "Pleural Effusion": "pleural_effusion/name|hedge:possible",
    }


def test_offsets_survive_letters_that_grow_when_lowered():
    text = "\u0130\u0130 LEFT EFFUSION."
    found = label(text).findings[0][0]
    assert text[found["start"] : found["end"]] == found["phrase"] == "EFFUSION"


def test_a_very_long_report_works_and_is_quick():
    text = "No pneumothorax and the left lung base is hazy with a small effusion seen again today " * 1400
    start = time.process_time()
    found = {f["code"]: f["presence"] for f in label(text).findings[0]}
    assert time.process_time() - start < 4
    assert found["Pleural Effusion"] == "present"


def test_processes_change_nothing(monkeypatch):
    reports = pd.DataFrame({"report_id": [str(i) for i in range(90)]})
    reports["text"] = [f"No effusion on film {i}. Nodule {i}." for i in range(90)]
    alone = RuleTeacher().label(reports)
    monkeypatch.setattr("radbook.teachers.rules.teacher._WORTH_PROCESSES", 100)
    pd.testing.assert_frame_equal(alone, RuleTeacher(n_process=2).label(reports))


def test_errors_name_what_is_wrong():
    with pytest.raises(RadbookError, match="n_process is 0"):
        RuleTeacher(n_process=0)
    with pytest.raises(RadbookError, match="lacks the columns text"):
        RuleTeacher().label(pd.DataFrame({"report_id": ["a"]}))
    with pytest.raises(RadbookError, match="nested"):
        expand("pleural (effusion(s|)|fluid)")


def test_every_finding_with_a_code_or_category_has_an_entry():
    named = {rule.finding for rule in load_lexicon().rules}
    left_out = {"sternal_wires", "cardiac_device", "blunted_angle", "lung_collapse_volume_loss"}
    assert {f.id for f in FINDINGS.values() if f.icd10 or f.category} - named <= left_out


def test_every_entry_names_a_finding_and_groups_that_exist():
    lexicon = load_lexicon()
    groups = set().union(*lexicon.sites.values(), *lexicon.states.values())
    assert all(rule.finding in FINDINGS and rule.sites | rule.states <= groups for rule in lexicon.rules)


def test_an_addendum_takes_back_what_it_denies_and_nothing_else():
    text = "FINDINGS: Scoliosis. Hiatal hernia. Effusion.\nADDENDUM: There is no hiatal hernia. No new effusion."
    assert states(text, "open") == {"M41.9": "present", "K44.9": "absent", "J90": "present"}


def test_triggers_are_words():
    assert "no" in load_triggers()["negation_before"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_string_gives_a_table(text):
    labels = label(text)
    assert len(labels) == 2
    for findings in labels.findings:
        for found in findings:
            assert text[found["start"] : found["end"]] == found["phrase"]


REPORTS = st.lists(
    st.sampled_from([s for s in SENTENCES if s.endswith(".") and "\n" not in s]), min_size=1, max_size=4
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(REPORTS)
def test_letter_case_changes_nothing(text):
    assert states(text) == states(text.upper()) == states(text.lower())


@settings(max_examples=60, deadline=None)
@given(REPORTS, st.integers(12, 60), st.sampled_from(["\n", "\r\n", "\n   "]))
def test_line_wrapping_changes_nothing(text, width, end):
    wrapped, line = "", 0
    for word in text.split(" "):
        if line + len(word) > width:
            wrapped, line = wrapped.rstrip(" ") + end, 0
        wrapped += word + " "
        line += len(word) + 1
    assert states(text) == states(wrapped)


@settings(max_examples=60, deadline=None)
@given(REPORTS)
def test_final_full_stops_change_nothing(text):
    assert (
        states(text)
        == states(text.rstrip("."))
        == states(text.replace(".", "..") if not any(c in text for c in string.digits) else text)
    )


@settings(max_examples=40, deadline=None)
@given(
    REPORTS,
    st.sampled_from(
        [
            "The bowel gas pattern is unremarkable.",
            "Dr. Smith was informed by telephone.",
            "Two views were obtained.",
        ]
    ),
)
def test_an_unrelated_sentence_changes_nothing(text, other):
    assert states(text) == states(f"{text} {other}") == states(f"{other} {text}")
