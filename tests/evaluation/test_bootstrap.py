"""Intervals: known formulas, determinism, and patients as the unit that is drawn."""

from math import nan

import numpy as np
import pytest
from scipy import stats

from radbook.core.errors import RadbookError
from radbook.evaluation import exact_interval, score
from radbook.evaluation.bootstrap import bootstrap_scores


def rate(totals):
    return totals[..., :1] / totals[..., 1:]


def micro_f1(scores):
    return scores.set_index(["label", "metric"]).loc[("micro", "f1")]


def test_bca_agrees_with_scipy():
    # Few patients, one of whom has most of the tries: bias and acceleration both matter here.
    hits, tries = np.array([1, 0, 2, 1, 0, 1, 3, 0, 1, 18]), np.array([2, 1, 3, 4, 3, 2, 4, 1, 5, 20])
    options = {"paired": True, "vectorized": True, "n_resamples": 20000}

    def ratio(a, b, axis):
        return a.sum(axis=axis) / b.sum(axis=axis)

    _, low, high = bootstrap_scores(np.column_stack([hits, tries]), rate, n_bootstrap=20000, seed=1)
    bca, percentile = (
        stats.bootstrap(
            (hits, tries), ratio, method=method, rng=np.random.default_rng(2), **options
        ).confidence_interval
        for method in ("BCa", "percentile")
    )
    assert (low[0], high[0]) == pytest.approx((bca.low, bca.high), abs=0.01)
    assert abs(bca.low - percentile.low) + abs(bca.high - percentile.high) > 0.05


def test_draws_equal_to_the_point_count_half_below_it():
    # 20 patients, one try each, half of them hits: the draws are symmetric about the point, so no bias is corrected.
    counts = np.column_stack([np.arange(20) % 2, np.ones(20)])
    _, low, high = bootstrap_scores(counts, rate, n_bootstrap=4000)
    assert (low[0], high[0]) == pytest.approx((0.3, 0.7), abs=1e-9)


def test_percentile_takes_over_where_bca_is_undefined():
    # Only the first of 30 patients has a try at all: leaving that one out leaves nothing.
    counts = np.zeros((30, 2))
    counts[0] = [1, 2]

    def careful(totals):
        return np.divide(
            totals[..., :1],
            totals[..., 1:],
            out=np.full(totals[..., :1].shape, nan),
            where=totals[..., 1:] > 0,
        )

    value, low, high = bootstrap_scores(counts, careful)
    assert (value[0], low[0], high[0]) == (0.5, 0.5, 0.5)


def test_an_undefined_score_and_a_single_patient_have_no_interval():
    for counts in (np.zeros((5, 2)), np.array([[1.0, 2.0]])):
        with np.errstate(invalid="ignore"):
            _, low, high = bootstrap_scores(counts, rate)
        assert np.isnan([low[0], high[0]]).all()


def test_same_seed_same_interval(table, noisy):
    truth, answer = noisy(60, 0.1)
    tables = table("curated", truth), table("rules", answer)
    runs = [score(*tables, task="choice", n_bootstrap=200, seed=s) for s in (4, 4, 5)]
    assert runs[0].equals(runs[1])
    assert not runs[0]["low"].equals(runs[2]["low"]) and runs[0]["value"].equals(runs[2]["value"])


def test_interval_holds_the_point_and_shrinks_with_reports(table, noisy):
    widths = []
    for n in (50, 200, 800):
        truth, answer = noisy(n, 0.1)
        row = micro_f1(score(table("curated", truth), table("rules", answer), task="choice", n_bootstrap=500))
        assert row["low"] < row["value"] < row["high"]
        widths.append(row["high"] - row["low"])
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        hits = rng.binomial(4, 0.7, size=60)
        _, low, high = bootstrap_scores(
            np.column_stack([hits, np.full(60, 4)]), rate, n_bootstrap=400, seed=trial
        )
        covered += low[0] <= 0.7 <= high[0]
    assert 180 <= covered <= 198  # 190 expected


def test_reports_of_one_patient_widen_the_interval(table, patients, noisy):
    truth, answer = noisy(60, 0.1)
    # Every patient has four identical reports: four times the rows, no more information.
    tables = (
        table("curated", np.repeat(truth, 4, axis=0).tolist()),
        table("rules", np.repeat(answer, 4, axis=0).tolist()),
    )
    alone = micro_f1(score(*tables, task="choice", n_bootstrap=1000))
    shared = micro_f1(
        score(*tables, task="choice", reports=patients(np.repeat(range(60), 4)), n_bootstrap=1000)
    )
    once = micro_f1(score(table("curated", truth), table("rules", answer), task="choice", n_bootstrap=1000))
    assert alone["value"] == shared["value"] == once["value"]
    assert shared["high"] - shared["low"] > 1.7 * (alone["high"] - alone["low"])
    assert (shared["low"], shared["high"]) == (once["low"], once["high"])


def test_points_do_not_depend_on_who_shares_a_patient(table, patients, noisy):
    truth, answer = noisy(60, 0.1)
    tables = table("curated", truth), table("rules", answer)
    alone = score(*tables, task="choice", n_bootstrap=40)
    shared = score(*tables, task="choice", reports=patients(np.arange(60) // 4), n_bootstrap=40)
    assert alone["value"].equals(shared["value"])
    assert (alone["n_patients"].iloc[0], shared["n_patients"].iloc[0]) == (60, 15)


def test_exact_interval_agrees_with_scipy():
    k, n = np.array([0, 1, 7, 20, 50]), np.array([10, 10, 20, 20, 100])
    low, high = exact_interval(k, n)
    for i in range(len(k)):
        theirs = stats.binomtest(int(k[i]), int(n[i])).proportion_ci(method="exact")
        assert (low[i], high[i]) == pytest.approx((theirs.low, theirs.high))
    assert np.isnan(exact_interval(0, 0)).all()
    with pytest.raises(RadbookError, match="between 0 and n"):
        exact_interval(3, 2)
