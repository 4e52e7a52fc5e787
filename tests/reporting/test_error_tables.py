"""The table of every error to sort: it links to cases, holds only escaped words, and names no report of a closed corpus."""

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.reporting.error_report import TOP, examine, sortable

EVIL = "<script>alert(1)</script>"


def missed(report_id: str = f"r1{EVIL}"):
    """Return the errors of a student and a teacher that both miss an edema, in the second of two reports."""
    ids = ["r0", report_id]
    reports = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": "Possibly wet lungs."})
    curated = pd.DataFrame([label_row(report_id, "curated", "choice", [finding("Edema", start=9, end=18)])])
    student, rules = (pd.DataFrame([label_row(r, name, "choice", []) for r in ids]) for name in (f"student:{EVIL}", "rules"))
    given = {"curated": curated, "student": student, "teacher": rules, "readers": {}}
    return examine("choice", **given, reports=reports, train=reports, policy="certain")


def test_the_sortable_table_links_to_cases_and_escapes_everything():
    html = sortable([missed()], shown="always").html
    assert EVIL not in html and "&lt;script&gt;alert" in html and html.count("<tr>") == 1 + 2
    # The student's error has cases to link to, the teacher's has none.
    assert html.count('<td><a href="#cases-choice-edema-present-not-mentioned">') == 1
    assert "<td>shared</td>" in html


def test_an_error_whose_label_has_no_cases_has_no_link(monkeypatch):
    monkeypatch.setitem(TOP, "choice", 0)
    assert "#cases-" not in sortable([missed()], shown="always").html


def test_the_sortable_table_of_a_closed_corpus_has_numbers_for_names():
    html = sortable([missed()], shown="never").html
    assert "r1" not in html and ">2</a>" in html and "<td>2</td>" in html
