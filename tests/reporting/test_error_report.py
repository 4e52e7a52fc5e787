"""The errors of student and teacher in one task: the same shape with and without a reference."""

import pandas as pd
import pytest

from radbook.core.findings import finding, label_row
from radbook.core.schema import ERRORS, check
from radbook.evaluation.error_slices import bucket_rates
from radbook.reporting.error_report import case_list, confusion_table, examine

REPORTS = pd.DataFrame(
    {"report_id": ["a", "b", "c"], "patient_id": ["a", "b", "c"], "text": "Wet lungs. No fracture."}
)
EDEMA = finding("Edema", start=0, end=9)


def labels(source: str, *present: bool, status: str = "ok") -> pd.DataFrame:
    rows = zip("abc", present, strict=True)
    return pd.DataFrame(
        [label_row(i, source, "choice", [EDEMA] if p else [], status=status) for i, p in rows]
    )


def examined(curated: pd.DataFrame):
    student, rules = labels("student:x", True, False, False), labels("rules", False, False, True)
    given = {"curated": curated, "student": student, "teacher": rules, "readers": {"rules": rules, "student": student}}
    return examine("choice", **given, reports=REPORTS, train=REPORTS, policy="certain")


def test_errors_fates_and_cases_agree():
    found = examined(labels("curated", True, True, True))
    assert (found.student, found.teacher) == ("student:x", "rules")
    assert found.fate.to_dict() == {("a", "Edema"): "corrected", ("b", "Edema"): "shared", ("c", "Edema"): "added"}
    assert len(check(found.rows, ERRORS)) == 4 and len(found.wrong("rules")) == 2
    assert found.pairs()["reports"].tolist() == [0, 1, 1, 1, 0]
    assert found.linked()[["report_id", "outcome"]].values.tolist() == [["a", "right"], ["b", "miss"], ["c", "miss"]]
    cases = case_list(found, shown="always", limit=9).html
    assert "shared with rules" in cases and "added by the student" in cases


@pytest.mark.parametrize("curated", [labels("curated", True, True, True, status="failed"), REPORTS.iloc[:0]])
def test_without_a_reference_everything_has_its_shape_and_no_rows(curated):
    empty = labels("curated", True, True, True).iloc[:0] if "task" not in curated else curated
    found = examined(empty)
    assert check(found.rows, ERRORS).empty and found.decided.empty and found.fate.empty
    assert found.pairs()["reports"].sum() == 0 and found.pairs()["value"].isna().all()
    assert bucket_rates(found.decided, found.held).empty and found.linked().empty
    assert "<a " not in confusion_table(found).html and "<details" not in case_list(found, shown="always", limit=1).html


def test_reports_that_both_have_right_are_counted_though_nobody_names_a_label():
    silent = {name: labels(name, False, False, False) for name in ("curated", "student:x", "rules")}
    given = {"curated": silent["curated"], "student": silent["student:x"], "teacher": silent["rules"]}
    found = examine("choice", **given, readers={}, reports=REPORTS, train=REPORTS, policy="certain")
    assert found.decided.empty and found.pairs().loc["both right", ["reports", "value"]].tolist() == [3, 1]


def test_an_open_reference_that_codes_nothing_has_no_errors_to_show():
    silent, named = (labels("x", *[p] * 3).assign(task="open") for p in (False, True))
    named["findings"] = [[finding("J90")]] * 3
    given = {"curated": silent.assign(source="curated"), "student": named.assign(source="student:x")}
    given |= {"teacher": named.assign(source="rules"), "readers": {}}
    found = examine("open", **given, reports=REPORTS, train=REPORTS, policy="certain")
    assert found.decided.empty and found.pairs()["value"].isna().all()
