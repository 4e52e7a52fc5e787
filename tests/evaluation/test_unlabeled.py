"""Without a reference every step of a chapter keeps its shape, whatever is missing: labels, codes or reports."""

import pandas as pd
import pytest

from radbook.core.findings import finding, label_row
from radbook.core.schema import LABELS, check
from radbook.evaluation import paired_difference, unlabeled

REPORTS = pd.DataFrame({"report_id": ["a", "b"], "patient_id": ["a", "b"]})


def labels(source: str, *codes: str, task: str = "open") -> pd.DataFrame:
    found = [finding(code) for code in codes]
    return pd.DataFrame([label_row(i, source, task, found) for i in REPORTS["report_id"]])


STEPS = {
    "scores_of": lambda curated, a, b, **o: unlabeled.scores_of(curated, [a, b], **o)["value"],
    "difference_of": lambda *tables, **o: pd.Series(unlabeled.difference_of(*tables, **o)["value"], dtype=float),
    "paired_table_of": lambda *tables, **o: unlabeled.paired_table_of(*tables, **o)["value"],
    "paired_power_of": lambda *tables, **o: unlabeled.paired_power_of(*tables, gap=0.1, **o)["width"],
    "counts_of": lambda curated, a, b, **o: unlabeled.counts_of(curated, a, **o)["tp"],
    "confusion_of": lambda curated, a, b, **o: unlabeled.confusion_of(curated, a, **o)["tp"],
    "disagreements_of": lambda curated, a, b, **o: unlabeled.disagreements_of(curated, a, **o)["kind"],
    "fates_of": unlabeled.fates_of,
}


@pytest.mark.parametrize("step", STEPS)
def test_an_open_reference_that_codes_nothing_is_not_known(step):
    tables = labels("curated"), labels("rules", "J90"), labels("student", "J90")
    assert not unlabeled.has_reference(tables[0], "open")
    assert STEPS[step](*tables, task="open", reports=REPORTS).isna().all()


@pytest.mark.parametrize("step", STEPS)
def test_a_split_without_reports_is_not_known(step):
    tables = [labels(name, "Edema", task="choice") for name in ("curated", "rules", "student")]
    assert STEPS[step](*tables, task="choice", reports=REPORTS.iloc[:0]).isna().all()


def test_fates_need_rows_of_both_sides():
    curated, rules, student = (labels(name, "J90") for name in ("curated", "rules", "student"))
    assert len(unlabeled.fates_of(curated, rules.iloc[:0], student, task="open", reports=REPORTS)) == 0
    assert len(unlabeled.fates_of(curated, rules, labels("student"), task="open", reports=REPORTS)) == 2


def test_one_code_anywhere_makes_an_open_reference():
    curated = pd.concat([labels("curated").head(1), labels("curated", "J90").tail(1)])
    assert unlabeled.has_reference(curated, "open")
    assert unlabeled.has_reference(curated, "open", reports=REPORTS.head(1)), "an all-normal split is scored"
    assert not unlabeled.has_reference(curated, "choice") and unlabeled.has_reference(curated)


def test_constant_labels_of_no_reports_are_a_labels_table():
    assert check(unlabeled.constant_labels([], ["J90"], task="open", source="always J90"), LABELS).empty


@pytest.mark.parametrize("asked", [{}, {"label": "Edema", "metric": "recall", "policy": "u-one"}])
def test_an_unknown_difference_has_the_keys_and_the_question_of_a_known_one(asked):
    curated, a, b = (labels(name, "Edema", task="choice") for name in ("curated", "rules", "student"))
    known = paired_difference(curated, a, b, task="choice", n_bootstrap=40, **asked)
    unknown = unlabeled.difference_of(curated.iloc[:0], a, b, task="choice", **asked)
    assert unknown.keys() == known.keys()
    assert all(unknown[name] == known[name] for name in ("a", "b", "task", "label", "metric", "policy"))
