import numpy as np
import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import risk_coverage
from radbook.evaluation.comparison import compare


def corpus(n=60, seed=0):
    """Curated labels, answers with errors, a certainty that knows a little of them; two reports per patient."""
    rng = np.random.default_rng(seed)
    ids = [f"r{k}" for k in range(n)]
    truth = rng.random((n, 13)) < 0.15
    wrong = rng.random((n, 13)) < 0.05
    tables = []
    for source, cells in (("curated", truth), ("student:x", truth ^ wrong)):
        rows = [[finding(CATEGORIES[c]) for c in np.flatnonzero(row)] for row in cells]
        tables.append(
            pd.DataFrame([label_row(i, source, "choice", f) for i, f in zip(ids, rows, strict=True)])
        )
    certainty = pd.Series(1 - 0.1 * wrong.sum(axis=1) - 0.15 * rng.random(n), index=ids)
    reports = pd.DataFrame({"report_id": ids, "patient_id": [f"p{k // 2}" for k in range(n)]})
    return *tables, certainty, reports


def test_the_curve_is_a_count_over_the_reports_kept():
    curated, labels, certainty, reports = corpus()
    found = compare(curated, labels, task="choice", reports=reports)
    curve = risk_coverage(found, certainty, n_bootstrap=100)
    wrong = pd.Series((found.y_true != found.y_pred).sum(axis=1), index=found.report_ids)
    order = certainty.sort_values(ascending=False, kind="stable").index
    for row in curve.itertuples():
        kept = order[: row.n_reports]
        assert row.n_reports == max(1, round(row.coverage * 60))
        assert row.wrong == wrong[kept].sum()
        assert row.value == pytest.approx(row.wrong / (13 * row.n_reports))
        assert row.certainty == certainty[kept].min()
        assert not row.low > row.value and not row.high < row.value
    assert curve["value"].iloc[-1] == pytest.approx(wrong.sum() / (13 * 60))
    assert curve["value"].iloc[5] < curve["value"].iloc[-1]


def test_a_certainty_that_knows_nothing_gives_a_level_curve_within_its_band():
    curated, labels, certainty, reports = corpus(n=600)
    blind = pd.Series(np.random.default_rng(1).random(600), index=certainty.index)
    found = compare(curated, labels, task="choice", reports=reports)
    curve = risk_coverage(found, blind, n_bootstrap=200)
    whole = curve["value"].iloc[-1]
    half = curve[curve["coverage"] >= 0.5]
    assert ((half["low"] <= whole) & (whole <= half["high"])).all()


def test_what_the_policy_leaves_out_is_no_decision():
    curated, labels, certainty, reports = corpus(n=4)
    unsure = [[finding("Edema", "uncertain")]] * 4
    tables = curated.assign(findings=unsure), labels.assign(findings=[[]] * 4)
    found = compare(*tables, task="choice", reports=reports, policy="ignore")
    assert not risk_coverage(found, certainty, n_bootstrap=40)["value"].any()


def test_a_report_without_certainty_is_named():
    curated, labels, certainty, reports = corpus()
    with pytest.raises(RadbookError, match=r"1 reports have no certainty \('r0'"):
        risk_coverage(compare(curated, labels, task="choice", reports=reports), certainty.drop("r0"))
