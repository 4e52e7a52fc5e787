"""Tables of errors: every decision is in a cell or counted below, and the sortable one holds only escaped words."""

import re

import pandas as pd

from radbook.evaluation.error_slices import BUCKETS
from radbook.reporting.error_report.tables import confusion_table, linked_decisions, sortable

EVIL = "<script>alert(1)</script>"
CELLS = [
    ("r0", "Edema", "present", "present", "right"),
    ("r1", "Edema", "present", "not mentioned", "miss"),
    ("r2", "Edema", "absent", "present", "invention"),
    ("r3", "Edema", "absent", "not mentioned", "right"),
    ("r0", "Fracture", "present", "uncertain", "miss"),
    ("r1", "Fracture", "present", "not mentioned", "miss"),
    ("r2", "Fracture", "present", "not mentioned", "miss"),
    ("r3", "Pneumonia", "present", "present", "right"),
]


def decided(source: str = "student:x") -> pd.DataFrame:
    frame = pd.DataFrame(CELLS, columns=["report_id", "code", "curated", "predicted", "outcome"])
    return pd.concat(
        [frame.assign(source=source), frame.assign(source="rules", outcome="right")], ignore_index=True
    )


def test_counts_add_up_and_the_rest_is_said():
    html = confusion_table(decided(), task="choice", source="student:x").html
    counts = [int(n) for n in re.findall(r'aria-label="[^"]*">(\d+)</a>', html)]
    assert sorted(counts) == [1, 1, 1, 1, 1, 2] and sum(counts) == 7
    assert "Not shown: 1 decisions on these labels that are right by not calling the label present." in html
    # The label with the most errors comes first; right ones before misses before inventions.
    assert html.index("Fracture") < html.index("Edema") < html.index("Pneumonia")
    assert html.index(">right<") < html.index(">miss<") < html.index(">invention<")


def test_labels_beyond_the_top_are_counted():
    html = confusion_table(decided(), task="choice", source="student:x", top=1).html
    assert "Fracture" in html and "Edema" not in html
    assert "2 further labels, with 2 errors, are not in this table." in html
    assert set(linked_decisions(decided(), "student:x", 1)["code"]) == {"Fracture"}


def test_no_decisions_make_an_empty_table():
    empty = decided().iloc[:0]
    assert "<tbody></tbody>" in confusion_table(empty, task="choice", source="nobody", top=3).html


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
