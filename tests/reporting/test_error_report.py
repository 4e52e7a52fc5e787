"""The errors of student and teacher in one task: the same shape with and without a reference."""

import pandas as pd
import pytest

from radbook.core.findings import finding, label_row
from radbook.core.schema import ERRORS, check
from radbook.reporting.error_report.report import examine

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
    given = {
        "curated": curated,
        "student": student,
        "teacher": rules,
        "readers": {"rules": rules, "student": student},
    }
    return examine("choice", **given, reports=REPORTS, train=REPORTS, policy="certain")


def test_errors_fates_and_tables_agree():
    found = examined(labels("curated", True, True, True))
    assert (found.student, found.teacher) == ("student:x", "rules")
    assert found.fates_by_label().loc["Edema"].to_dict() == {"corrected": 1, "shared": 1, "added": 1}
    by_bucket = found.fates_by_bucket()
    assert by_bucket.loc["all decisions", ["corrected", "shared", "added", "value"]].tolist() == [
        1,
        1,
        1,
        0.5,
    ]
    rates = found.rates().set_index(["role", "label"])
    assert rates.loc[("student", "all decisions"), ["tries", "hits"]].tolist() == [3, 2]
    assert len(check(found.rows, ERRORS)) == 4 and len(found.wrong("rules")) == 2
    assert found.pairs()["reports"].tolist() == [0, 1, 1, 1, 0]
    cases = found.cases(shown="always", limit=9).html
    assert "shared with rules" in cases and "added by the student" in cases


@pytest.mark.parametrize("curated", [labels("curated", True, True, True, status="failed"), REPORTS.iloc[:0]])
def test_without_a_reference_everything_has_its_shape_and_no_rows(curated):
    empty = labels("curated", True, True, True).iloc[:0] if "task" not in curated else curated
    found = examined(empty)
    assert check(found.rows, ERRORS).empty and found.decided.empty and found.fates_by_label().empty
    assert found.pairs()["reports"].sum() == 0 and found.pairs()["value"].isna().all()
    assert found.rates().empty and found.linked().empty
    assert found.fates_by_bucket()[["corrected", "shared", "added"]].to_numpy().sum() == 0
    assert (
        "<tbody></tbody>" in found.table().html
        and "<details" not in found.cases(shown="always", limit=1).html
    )


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
