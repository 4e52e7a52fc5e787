"""The table of every error to sort: it links to cases, holds only escaped words, and names no report of a closed corpus."""

import pandas as pd

from radbook.evaluation.error_slices import BUCKETS
from radbook.reporting.error_report.tables import sortable

EVIL = "<script>alert(1)</script>"


def errors() -> pd.DataFrame:
    names = {
        "report_id": f"r1{EVIL}",
        "task": "choice",
        "code": "Edema",
        "source": EVIL,
        "kind": "miss",
        "curated": "present",
    }
    names |= {"predicted": "not mentioned", "status": "ok", "fate": "added"}
    return pd.DataFrame([names | dict.fromkeys(BUCKETS, False) | {"hedge": True}])


def test_the_sortable_table_links_to_cases_and_escapes_everything():
    rows, reports = errors(), pd.DataFrame({"report_id": [f"r1{EVIL}"]})
    html = sortable(rows, reports, linked={"choice": rows}, shown="always").html
    assert EVIL not in html and "&lt;script&gt;alert" in html
    assert html.count('<td><a href="#cases-choice-edema-present-not-mentioned">') == 1
    unlinked = sortable(rows, reports, linked={"choice": rows.iloc[:0]}, shown="always").html
    assert "#cases-" not in unlinked


def test_the_sortable_table_of_a_closed_corpus_has_numbers_for_names():
    rows, reports = errors(), pd.DataFrame({"report_id": ["r0", f"r1{EVIL}"]})
    html = sortable(rows, reports, linked={"choice": rows}, shown="never").html
    assert "r1" not in html and ">2</a>" in html
