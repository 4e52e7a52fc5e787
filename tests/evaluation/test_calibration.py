import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit, logit
from sklearn.calibration import calibration_curve

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import (
    Calibration,
    calibrate,
    calibration_error,
    judge,
    reliability,
)


def stated_table(rng, truth_of, n):
    """Stated probabilities that are too sure, and curated labels drawn from what they should have been."""
    rows, labels = [], []
    for k in range(n):
        true_p = np.where(np.arange(len(CATEGORIES)) == k % 13, 0.8, 0.05)
        odds = np.log(true_p / (1 - true_p))
        present = rng.random(len(CATEGORIES)) < true_p
        stated = 1 / (1 + np.exp(-truth_of(odds)))
        rows += [(str(k), c, p > 0.5, p) for c, p in zip(CATEGORIES, stated, strict=True)]
        found = [finding(c) for c, here in zip(CATEGORIES, present, strict=True) if here]
        labels.append(label_row(str(k), "curated", "choice", found))
    stated = pd.DataFrame(rows, columns=["report_id", "code", "named", "probability"])
    reports = pd.DataFrame(
        {"report_id": [str(k) for k in range(n)], "patient_id": [str(k) for k in range(n)]}
    )
    return stated, pd.DataFrame(labels), reports


def test_calibration_finds_the_line_that_spoiled_the_probabilities():
    stated, curated, reports = stated_table(np.random.default_rng(0), lambda odds: 3 * odds - 1, 600)
    fitted = calibrate(judge(curated, stated, task="choice", reports=reports))
    assert fitted.n_decisions == 600 * 13
    assert fitted.slope == pytest.approx(1 / 3, rel=0.15)
    assert fitted.intercept == pytest.approx(1 / 3, abs=0.2)
    made = fitted.apply(stated["probability"])
    assert made.between(0, 1).all() and sorted(made.round(2).unique()) == pytest.approx([0.05, 0.8], abs=0.05)


def test_calibration_leaves_out_what_is_unknown_and_needs_both_answers():
    stated, curated, reports = stated_table(np.random.default_rng(0), lambda odds: odds, 30)
    holes = stated.assign(probability=stated["probability"].where(stated["report_id"] != "3"))
    assert calibrate(judge(curated, holes, task="choice", reports=reports)).n_decisions == 29 * 13
    assert np.isnan(Calibration(1.0, 0.0, 1).apply(np.array([np.nan]))).all()
    nothing = curated.assign(findings=[[]] * len(curated))
    with pytest.raises(RadbookError, match="calibration needs findings"):
        calibrate(judge(nothing, stated, task="choice", reports=reports))
    with pytest.raises(RadbookError, match="task open: probabilities are stated where"):
        judge(curated, stated, task="open", reports=reports)


def test_reliability_counts_every_known_decision_once():
    rng = np.random.default_rng(2)
    _, curated, reports = stated_table(rng, lambda odds: odds, 60)
    rows = [(i, c, rng.random()) for i in reports["report_id"] for c in CATEGORIES]
    stated = pd.DataFrame(rows, columns=["report_id", "code", "probability"])
    stated.loc[:9, "probability"] = np.nan
    stated.loc[10, "probability"] = 1.0
    table = reliability(judge(curated, stated, task="choice", reports=reports))
    assert table["n"].sum() == 60 * 13 - 10 and len(table) == 10
    assert (table["low"] <= table["observed"]).all() and (table["observed"] <= table["high"]).all()
    assert table["stated"].between(table["low_edge"], table["high_edge"]).all()
    gaps = (table["stated"] - table["observed"]).abs()
    assert calibration_error(table) == pytest.approx(np.average(gaps, weights=table["n"]))
    assert np.isnan(calibration_error(table.iloc[:0]))
    named = {(row.report_id, f["code"]) for row in curated.itertuples() for f in row.findings}
    known = stated.dropna(subset="probability")
    there = [cell in named for cell in zip(known["report_id"], known["code"], strict=True)]
    observed, mean = calibration_curve(there, known["probability"], n_bins=10)
    assert table["observed"].tolist() == pytest.approx(observed) and table["stated"].tolist() == pytest.approx(mean)


def test_the_line_is_the_one_of_the_least_loss_on_smoothed_targets():
    stated, curated, reports = stated_table(np.random.default_rng(3), lambda odds: 2 * odds, 40)
    fitted = calibrate(judge(curated, stated, task="choice", reports=reports))
    named = {(row.report_id, f["code"]) for row in curated.itertuples() for f in row.findings}
    there = np.array([cell in named for cell in zip(stated["report_id"], stated["code"], strict=True)])
    target = np.where(there, (there.sum() + 1) / (there.sum() + 2), 1 / ((~there).sum() + 2))

    def loss(line):
        score = line[0] * logit(stated["probability"]) + line[1]
        return -(target * log_expit(score) + (1 - target) * log_expit(-score)).sum()

    theirs = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
    assert (fitted.slope, fitted.intercept) == pytest.approx(theirs.tolist(), abs=1e-4)


@pytest.mark.parametrize("value", [1.7, -0.7])
def test_what_is_no_probability_is_named(value):
    stated, curated, reports = stated_table(np.random.default_rng(0), lambda odds: odds, 5)
    stated.loc[20, "probability"] = value
    named = f"probability of report '1', {CATEGORIES[7]}, is {value}: give fractions"
    with pytest.raises(RadbookError, match=named):
        reliability(judge(curated, stated, task="choice", reports=reports))
    with pytest.raises(RadbookError, match=named):
        calibrate(judge(curated, stated, task="choice", reports=reports))
