"""Conventions: the wording is one the lexicon knows, our reading is the rules', and the other turns that wording alone."""

import pandas as pd
import pytest

from radbook.core.ontology import CATEGORIES
from radbook.tasks import present_codes
from radbook.teachers.rules import RuleTeacher, find_mentions
from radbook.teachers.rules.conventions import CONVENTIONS, relabel
from radbook.teachers.rules.lexicon import load_lexicon

TEXTS = {
    "blunted costophrenic angle": "Blunting of the left costophrenic angle. No edema.",
    "borderline heart size": "Borderline heart size. No edema.",
    "vascular congestion": "Mild vascular congestion. No effusion.",
    "surgical clips": "Surgical clips in the right axilla. No edema.",
}
each = pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: c["wording"])


def reports(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"report_id": [str(i) for i in range(len(texts))], "text": list(texts)})


def read_mentions(table: pd.DataFrame) -> dict[str, list[dict]]:
    return dict(zip(table["report_id"], find_mentions(table["text"]), strict=True))


def decided(ours: pd.DataFrame, other: pd.DataFrame, category: str) -> list[str]:
    first, second = (present_codes(labels, task="choice") for labels in (ours, other))
    return [i for i in first if (category in first[i]) != (category in second[i])]


def presences(labels: pd.DataFrame) -> dict[str, str]:
    return {f["code"]: str(f["presence"]) for f in labels["findings"].iloc[0]}


def test_without_a_convention_the_labels_are_the_rules():
    table = reports(*TEXTS.values(), "", "No effusion. Effusion on the left. Possible edema.")
    rules = RuleTeacher().label(table)
    ours = relabel(read_mentions(table))
    for wanted, found in zip(rules[rules["task"] == "choice"]["findings"], ours["findings"], strict=True):
        assert {(f["code"], str(f["presence"])) for f in wanted} == {(f["code"], str(f["presence"])) for f in found}


@each
def test_every_wording_is_one_of_the_lexicon(convention):
    known = {f"{rule.finding}/{rule.id}" for rule in load_lexicon().rules}
    assert any(name.startswith(convention["rule"]) for name in known)
    assert convention["category"] in CATEGORIES
    (found,) = read_mentions(reports(TEXTS[convention["wording"]])).values()
    assert [m["rule"].startswith(convention["rule"]) for m in found] == [True, False]


@each
def test_the_other_reading_turns_that_wording_alone(convention):
    mentions = read_mentions(reports(TEXTS[convention["wording"]]))
    ours, other = presences(relabel(mentions)), presences(relabel(mentions, convention))
    assert ours.pop(convention["category"], "no category") == convention["ours"]
    assert other.pop(convention["category"], "") == convention["other"]
    assert ours == other != {}
    assert decided(relabel(mentions), relabel(mentions, convention), convention["category"]) == ["0"]


@each
def test_a_report_that_says_it_in_plain_words_is_not_decided_by_convention(convention):
    plain = {
        "Pleural Effusion": "Large effusion.",
        "Cardiomegaly": "Cardiomegaly.",
        "Edema": "Pulmonary edema.",
        "Support Devices": "A pacemaker.",
    }
    text = " ".join((TEXTS[convention["wording"]], plain[convention["category"]]))
    mentions = read_mentions(reports(text))
    assert decided(relabel(mentions), relabel(mentions, convention), convention["category"]) == []


def test_what_is_denied_stays_denied():
    mentions = read_mentions(reports("No blunting of the costophrenic angles. No vascular congestion."))
    assert presences(relabel(mentions, CONVENTIONS[0])) == {"Edema": "absent", "Pleural Effusion": "absent"}
    assert presences(relabel(mentions, CONVENTIONS[2])) == {"Edema": "absent"}
