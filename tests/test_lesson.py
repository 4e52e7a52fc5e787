"""What the chapters may show, and tables that refuse to lose or merge rows."""

import pandas as pd
import pytest

from radbook.errors import RadbookError
from radbook.evaluation.errors import disagreements
from radbook.lesson import error_shown, hide_private, status_counts, with_intervals
from radbook.schema import finding, label_row

SECRET = "xylophone effusion"


@pytest.mark.parametrize("column", ["reply", "before", "after", "student", "merged", "rule", "note", "a name nobody foresaw"])
def test_wording_is_hidden_whatever_its_column_is_called(column):
    frame = pd.DataFrame({"task": ["open"], column: [SECRET]})
    assert hide_private(frame, "never").to_dict("records") == [{"task": "open", column: "(hidden)"}]
    assert hide_private(frame, "always") is frame


def test_lists_of_findings_and_numeric_ids_are_hidden():
    frame = pd.DataFrame({"findings": [[finding("Edema", phrase=SECRET)]], "patient_id": [12]})
    assert set(hide_private(frame, "never").iloc[0]) == {"(hidden)"}


def test_what_holds_no_wording_stays():
    frame = pd.DataFrame([finding("Edema"), finding("Edema", phrase=SECRET, start=0, end=8, rule="a")])
    shown = hide_private(frame, "never")
    pd.testing.assert_frame_equal(shown[["code", "presence", "start", "end"]], frame[["code", "presence", "start", "end"]])
    assert set(shown["phrase"]) | set(shown["rule"]) == {"(hidden)"}
    numbers = pd.DataFrame({"named": [True], "probability": [0.5], "tokens": [3], "mixed": pd.Series([2], dtype=object)})
    pd.testing.assert_frame_equal(hide_private(numbers, "never"), numbers)


@pytest.mark.parametrize("tasks", [[], ["choice"]])
def test_a_task_that_is_wholly_lost_is_told(tasks):
    rows = [label_row(str(i), "rules", task, []) for i in range(5) for task in tasks]
    lost = "open" if tasks else "choice"
    with pytest.raises(RadbookError, match=f"{lost}: 5 rows went in, 0 came out"):
        status_counts(pd.DataFrame(rows, columns=["task", "status"]), n_rows=5)


def test_no_table_at_all_is_told_and_a_named_part_may_stand_alone():
    with pytest.raises(RadbookError, match="5 rows went in, and no table came out"):
        status_counts({}, n_rows=5)
    part = pd.DataFrame([label_row("r", "curated", "choice", [])])
    assert status_counts({"choice": part}, n_rows=1)["rows"].to_dict() == {"choice": 1}


def test_scores_of_two_policies_are_not_laid_out_as_one():
    score = {"source": "rules", "metric": "f1", "value": 0.5, "low": 0.4, "high": 0.6}
    scores = pd.DataFrame([{**score, "policy": "certain"}, {**score, "policy": "u-one", "value": 0.7}])
    with pytest.raises(RadbookError, match=r"scores holds source 'rules', metric 'f1' more than once: keep one .*policy"):
        with_intervals(scores)
    assert with_intervals(scores, rows="policy")["f1"].tolist() == ["0.500 (0.400 to 0.600)", "0.700 (0.400 to 0.600)"]


def test_a_row_of_disagreements_without_evidence_can_be_shown():
    curated = pd.DataFrame([label_row("r1", "curated", "choice", [finding("Edema")])])
    rules = pd.DataFrame([label_row("r1", "rules", "choice", [])])
    error = disagreements(curated, rules, task="choice").iloc[0]
    assert "miss of Edema" in error_shown(error, "Wet lungs.", shown="always").html


def test_evidence_outside_its_report_names_the_report():
    error = {"report_id": "r7", "kind": "miss", "code": "Edema", "curated": "present", "predicted": "absent"}
    with pytest.raises(RadbookError, match="'Edema' of report 'r7' has the evidence 3-99, outside a text of 10 characters"):
        error_shown(error | {"start": 3, "end": 99}, "Wet lungs.", shown="always")
