"""Keywords: a floor that knows no negation."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from radbook.core.ontology import FINDINGS, read_resource
from radbook.teachers.keywords import KeywordTeacher


def found(text, task="choice"):
    labels = KeywordTeacher().label(pd.DataFrame({"report_id": ["r"], "text": [text]}))
    return {f["code"]: f["phrase"] for f in labels.set_index("task")["findings"][task]}


def test_a_denied_finding_is_present_all_the_same():
    assert found("FINDINGS: No pneumothorax or pleural effusions.") == {
        "Pneumothorax": "pneumothorax",
        "Pleural Effusion": "pleural effusions",
    }


def test_the_longest_keyword_wins_and_parts_of_words_do_not_count():
    assert found("FINDINGS: Calcified granuloma. Massive.", "open") == {FINDINGS["granuloma"].icd10: "Calcified granuloma"}


def test_what_is_asked_is_not_read():
    assert found("INDICATION: Pneumonia?\nFINDINGS: Clear lungs.") == {}


def test_every_keyword_names_a_finding():
    assert {row["finding"] for row in read_resource("keywords.csv")} <= set(FINDINGS)


@given(st.lists(st.sampled_from(["edema", "no", ".", "\n", "PICC", "nodules", "FINDINGS:", "<b>", "é"]), max_size=12))
def test_evidence_stands_where_it_is_said_to_stand(words):
    text = " ".join(words)
    labels = KeywordTeacher().label(pd.DataFrame({"report_id": ["r"], "text": [text]}))
    assert len(labels) == 2
    for findings in labels["findings"]:
        assert all(text[f["start"] : f["end"]] == f["phrase"] for f in findings)
