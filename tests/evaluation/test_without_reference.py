"""Without a reference every function keeps its shape and knows nothing, whatever is missing: labels, codes or reports."""

import numpy as np
import pandas as pd
import pytest

from radbook import evaluation
from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import LABELS, SCORES, check
from radbook.evaluation.error_slices import decisions
from radbook.evaluation.error_transfer import fates, pairs

REPORTS = pd.DataFrame({"report_id": ["a", "b"], "patient_id": ["a", "b"]})


def labels(source: str, *codes: str, task: str = "open") -> pd.DataFrame:
    found = [finding(code) for code in codes]
    return pd.DataFrame([label_row(i, source, task, found) for i in REPORTS["report_id"]])


def followed(*tables, **options):
    return fates(decisions(tables[0], tables[1:], **options), teacher="rules", student="student")


STEPS = {
    "score": lambda curated, *tables, **o: evaluation.score(curated, tables, **o)["value"],
    "paired_difference": lambda *tables, **o: pd.Series(
        evaluation.paired_difference(*tables, **o)["value"], dtype=float
    ),
    "paired_table": lambda *tables, **o: evaluation.paired_table(*tables, **o)["value_a"],
    "paired_power": lambda *tables, **o: evaluation.paired_power(*tables, gap=0.1, **o)["width"],
    "compare": lambda curated, a, b, **o: evaluation.compare(curated, a, **o).by_report()["tp"],
    "confusion": lambda curated, a, b, **o: evaluation.confusion(evaluation.compare(curated, a, **o))["tp"],
    "disagreements": lambda curated, a, b, **o: evaluation.disagreements(evaluation.compare(curated, a, **o))["kind"],
    "decisions": lambda curated, a, b, **o: decisions(curated, [a, b], **o)["outcome"],
    "fates": followed,
    "risk_coverage": lambda curated, a, b, **o: evaluation.risk_coverage(
        evaluation.compare(curated, a, **o), pd.Series(dtype=float)
    )["value"],
}
each_step = pytest.mark.parametrize("step", STEPS)


@each_step
def test_an_open_reference_that_codes_nothing_is_not_known(step):
    tables = labels("curated"), labels("rules", "J90"), labels("student", "J90")
    assert not evaluation.has_reference(tables[0], "open")
    assert STEPS[step](*tables, task="open", reports=REPORTS).isna().all()


@each_step
@pytest.mark.parametrize("lacking", ["reports", "rows", "answers"])
def test_a_closed_task_without_a_reference_is_not_known(step, lacking):
    curated, *tables = [labels(name, "Edema", task="choice") for name in ("curated", "rules", "student")]
    curated = {"rows": curated.iloc[:0], "answers": curated.assign(status="failed")}.get(lacking, curated)
    reports = REPORTS.iloc[:0] if lacking == "reports" else REPORTS
    assert not evaluation.has_reference(curated, "choice", reports=reports)
    assert STEPS[step](curated, *tables, task="choice", reports=reports).isna().all()


@each_step
@pytest.mark.parametrize(
    ("bad", "message"),
    [({"task": "choise"}, "did you mean choice"), ({"policy": "u_one"}, "did you mean u-one"),
     ({"reports": REPORTS.drop(columns="patient_id")}, "lacks the columns patient_id")],
)  # fmt: skip
def test_a_bad_call_is_refused_all_the_same(step, bad, message):
    tables = [labels(name, "Edema", task="choice") for name in ("curated", "rules", "student")]
    tables[0] = tables[0].iloc[:0]
    with pytest.raises(RadbookError, match=message):
        STEPS[step](*tables, **({"task": "choice", "reports": REPORTS} | bad))


@each_step
def test_two_sources_in_one_table_are_refused_all_the_same(step):
    rules, student = (labels(name, "Edema", task="choice") for name in ("rules", "student"))
    with pytest.raises(RadbookError, match="one source at a time is compared, not rules, student"):
        STEPS[step](rules.iloc[:0], pd.concat([rules, student]), student, task="choice", reports=REPORTS)


@pytest.mark.parametrize("step", ["paired_difference", "paired_table", "paired_power", "decisions", "fates"])
def test_a_comparison_of_two_needs_rows_of_both(step):
    curated, rules, student = (labels(name, "J90") for name in ("curated", "rules", "student"))
    options = {"task": "open", "reports": REPORTS}
    for tables in ((rules.iloc[:0], student), (rules, student.iloc[:0])):
        assert STEPS[step](curated, *tables, **options).isna().all()
    half = pd.concat([student.head(1), labels("student").tail(1)])
    known = STEPS[step](curated, rules, half, **options)
    assert len(known) and known.notna().any()


def test_answers_that_are_not_there_are_refused_where_there_is_something_to_compare_with():
    curated, choice = labels("curated", "J90"), labels("rules", "Edema", task="choice")
    for step in ("compare", "confusion", "disagreements", "score"):
        with pytest.raises(RadbookError, match="task open: no rows in the labels"):
            STEPS[step](curated, choice, choice, task="open", reports=REPORTS)


def test_one_code_anywhere_makes_an_open_reference():
    curated = pd.concat([labels("curated").head(1), labels("curated", "J90").tail(1)])
    assert evaluation.has_reference(curated, "open")
    assert evaluation.has_reference(curated, "open", reports=REPORTS.head(1)), "an all-normal split is scored"
    assert not evaluation.has_reference(curated, "choice") and evaluation.has_reference(curated)


def test_named_codes_are_scored_where_the_reference_names_none():
    scores = evaluation.score(labels("curated"), labels("rules", "J90"), task="open", vocabulary=["J90"])
    assert scores.set_index(["label", "metric"]).loc[("J90", "precision"), "value"] == 0


def test_unknown_scores_are_a_scores_table_of_every_source():
    tables = [labels(name, "Edema", task="choice") for name in ("rules", "student")]
    scores = check(evaluation.score(tables[0].iloc[:0], tables, task="choice"), SCORES)
    assert scores.groupby("source").size().to_dict() == {"rules": 46, "student": 46}
    assert set(scores["reference"]) == {"none"}
    assert not scores[["n_reports", "n_patients", "n_positive"]].any(axis=None)


@pytest.mark.parametrize("question", [{}, {"label": "Edema", "metric": "recall", "policy": "u-one"}])
def test_an_unknown_difference_has_the_keys_and_the_question_of_a_known_one(question):
    curated, a, b = (labels(name, "Edema", task="choice") for name in ("curated", "rules", "student"))
    known = evaluation.paired_difference(curated, a, b, task="choice", n_bootstrap=40, **question)
    unknown = evaluation.paired_difference(curated.iloc[:0], a, b, task="choice", **question)
    assert unknown.keys() == known.keys()
    assert all(unknown[name] == known[name] for name in ("a", "b", "task", "label", "metric", "policy"))
    code = evaluation.paired_difference(labels("curated"), *(labels(n, "J90") for n in "ab"), task="open", label="J90")
    assert code["label"] == "J90" and np.isnan([code["value"], code["p"]]).all()


def test_an_unknown_table_has_no_family_and_unknown_power_no_patients():
    tables = [labels(name, "Edema", task="choice") for name in ("curated", "rules", "student")]
    tables[0] = tables[0].iloc[:0]
    table = evaluation.paired_table(*tables, task="choice")
    assert table.attrs["family"] == [] and table["label"].tolist() == ["micro", "macro", *CATEGORIES]
    power = evaluation.paired_power(*tables, task="choice")
    assert power[["n_reports", "n_patients"]].head(2).to_numpy().tolist() == [[25, 0], [50, 0]]
    assert power[["told", "told_gap"]].isna().all(axis=None)


def test_probabilities_cannot_be_judged():
    rows = [(i, c, True, 0.5) for i in REPORTS["report_id"] for c in CATEGORIES]
    stated = pd.DataFrame(rows, columns=["report_id", "code", "named", "probability"]).assign(calibrated=0.4)
    curated, options = labels("curated", "Edema", task="choice").iloc[:0], {"task": "choice", "reports": REPORTS}
    for table in (stated, stated.iloc[:0]):
        judged = evaluation.judge(curated, table, **options)
        found = evaluation.reliability(judged, column="calibrated")
        assert found.empty and np.isnan(evaluation.calibration_error(found))
        with pytest.raises(RadbookError, match="by curated labels; here are 0 and 0"):
            evaluation.calibrate(judged)


def test_no_decision_is_in_no_pair():
    curated, rules, student = (labels(name, "Edema", task="choice") for name in ("curated", "rules", "student"))
    decided = decisions(curated.iloc[:0], [rules, student], task="choice", reports=REPORTS)
    assert decided.attrs == {"n_reports": 0, "silent": 0}
    assert not pairs(decided, teacher="rules", student="student")["reports"].any()


def test_constant_labels_of_no_reports_are_a_labels_table():
    assert check(evaluation.constant_labels([], ["J90"], task="open", source="always J90"), LABELS).empty
