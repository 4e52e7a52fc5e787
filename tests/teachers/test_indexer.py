"""The indexer: terms of the packaged archive, or of a folder in its form."""

import re

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES, read_resource
from radbook.corpora import load_corpus
from radbook.corpora.openi import automatic_terms, packaged_archive, published_test_ids
from radbook.evaluation import score
from radbook.teachers.indexer import IndexerTeacher

XML = """<eCitation><uId id="CXR{uid}"/><MeSH><major>normal</major>{terms}</MeSH></eCitation>"""
TERMS = {
    "1": ["Pleural effusions", "Bilateral Pleural Effusion", "Emphysema"],
    "2": [],
    "3": ["Pericardial effusion"],
}


@pytest.fixture
def folder(tmp_path):
    for uid, terms in TERMS.items():
        named = "".join(f"<automatic>{term}</automatic>" for term in terms)
        (tmp_path / f"{uid}.xml").write_text(XML.format(uid=uid, terms=named), encoding="utf-8")
    return tmp_path


def reports_of(*texts):
    return pd.DataFrame({"report_id": [f"CXR{k}" for k in range(1, len(texts) + 1)], "text": texts})


def test_terms_become_categories_and_codes_with_their_evidence(folder):
    text = "FINDINGS: Pleural\neffusions and emphysema."
    labels = IndexerTeacher(folder).label(reports_of(text, "FINDINGS: Clear."))
    found = {(r.report_id, r.task): r.findings for r in labels.itertuples()}
    (choice,) = found["CXR1", "choice"]
    assert (choice["code"], choice["presence"], choice["rule"]) == ("Pleural Effusion", "present", "Pleural effusions")
    assert text[choice["start"] : choice["end"]] == "Pleural\neffusions"
    assert [f["code"] for f in found["CXR1", "open"]] == ["J90", "J43.9"]
    assert found["CXR2", "choice"] == found["CXR2", "open"] == []
    assert set(labels["status"]) == {"ok"} and set(labels["source"]) == {"indexer"}


def test_what_is_no_chest_finding_names_no_category(folder):
    labels = IndexerTeacher(folder).label(reports_of("a", "b", "Findings: Pericardial effusion."))
    assert labels.set_index(["report_id", "task"])["findings"]["CXR3", "choice"] == []


def test_empty_and_unknown_reports_fail_with_a_note(folder):
    reports = pd.DataFrame({"report_id": ["CXR1", "CXR99"], "text": [None, "FINDINGS: Clear."]})
    labels = IndexerTeacher(folder).label(reports)
    assert labels["status"].tolist() == ["failed"] * 4
    assert labels["note"].tolist() == ["empty report"] * 2 + ["no record of Open-i"] * 2


def test_the_csv_form_is_refused_because_it_leaves_the_terms_out(tmp_path):
    path = tmp_path / "reports.csv"
    path.write_text("uid,MeSH,indication,comparison,findings,impression\n1,normal,,,Clear.,\n", encoding="utf-8")
    with pytest.raises(RadbookError, match="has no automatic terms: the archive and its XML files have them"):
        IndexerTeacher(path)


def test_every_pattern_names_a_category_and_meets_a_term_of_the_archive():
    terms = {term.lower() for found in automatic_terms(packaged_archive()).values() for term in found}
    rows = read_resource("indexer13.csv")
    assert {row["category"] for row in rows} <= set(CATEGORIES)
    assert [row["pattern"] for row in rows if not any(re.search(row["pattern"], term) for term in terms)] == []


def test_it_is_a_weak_teacher_that_misses_more_than_it_invents():
    reports, curated = load_corpus("openi")
    test = reports[reports["split"] == "test"]
    assert set(test["report_id"]) == published_test_ids() & set(reports["report_id"])
    scores = score(curated, IndexerTeacher().label(test), task="choice", reports=test, n_bootstrap=40)
    micro = scores[scores["label"] == "micro"].set_index("metric")["value"]
    assert 0.78 < micro["f1"] < 0.85
    assert micro["precision"] > micro["recall"] + 0.05
