"""Test sets played through: the width must be that of the bootstrap, and what is told must follow the known formula."""

import numpy as np
import pytest
from scipy.stats import norm

from radbook.core.errors import RadbookError
from radbook.evaluation import paired_difference, paired_power, reports_needed


@pytest.fixture(scope="module")
def three(table, noisy):
    """A reference and two sources of 300 reports, one with fewer errors than the other."""
    truth, good = noisy(300, 0.05, 1)
    _, bad = noisy(300, 0.05, 1)
    flip = np.random.default_rng(9).random((300, 13)) < 0.03
    bad = (np.array(bad, bool) ^ flip).astype(int).tolist()
    return table("curated", truth), table("a", good), table("b", bad)


@pytest.mark.parametrize("per_patient", [1, 3])
def test_the_standard_error_is_that_of_the_bootstrap(three, patients, per_patient):
    options = {"task": "choice", "reports": patients(np.arange(300) // per_patient)}
    found = paired_power(*three, sizes=[300], n_draws=400, **options)
    whole = paired_difference(*three, n_bootstrap=4000, **options)
    width = whole["high"] - whole["low"]
    assert found.attrs["value"] == pytest.approx(whole["value"])
    assert 2 * 1.96 * found.attrs["error"] == pytest.approx(width, rel=0.06)
    assert found["width"][0] == pytest.approx(width, rel=0.06)
    assert (found["n_reports"][0], found["n_patients"][0]) == (300, 300 // per_patient)


def test_four_times_the_reports_give_half_the_width(three):
    widths = paired_power(*three, task="choice", sizes=[100, 400, 1600])["width"]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.05)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.02)


def test_intervals_of_small_test_sets_hold_the_difference_about_as_often_as_they_say(three):
    # Looking for the difference there is, minus itself: an interval that excludes zero is a false alarm.
    found = paired_power(*three, task="choice", sizes=[100, 400], gap=0.0, n_draws=4000)
    assert found["told_gap"].tolist() == pytest.approx([0.05, 0.05], abs=0.025)


def test_what_is_told_follows_the_normal_formula(three):
    gap = 0.012
    found = paired_power(*three, task="choice", sizes=[200, 800], gap=gap, n_draws=4000)
    for row in found.itertuples():
        error = found.attrs["error"] * np.sqrt(300 / row.n_reports)
        assert row.told_gap == pytest.approx(norm.cdf(gap / error - 1.96), abs=0.03)
    needed = reports_needed(found)
    again = paired_power(*three, task="choice", sizes=[needed], gap=gap, n_draws=4000)
    assert again["told_gap"][0] == pytest.approx(0.8, abs=0.03)


def test_same_seed_same_table(three):
    one, two, other = (paired_power(*three, task="choice", sizes=[50], seed=s) for s in (1, 1, 2))
    assert one.equals(two) and not one.equals(other)


def test_sources_without_a_score_tell_nothing(table):
    nobody = table("curated", [[0]] * 6)
    found = paired_power(nobody, nobody, nobody, task="choice", sizes=[10], gap=0.1)
    assert np.isnan(found["width"][0]) and found[["told", "told_gap"]].to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(RadbookError, match="no difference to measure"):
        reports_needed(found)


@pytest.mark.parametrize("case", ["one patient", "the same answers", "differing in every patient alike"])
def test_what_has_no_spread_has_no_width_and_cannot_be_told(table, patients, case):
    curated, right = (table(name, [[1, 1, 1]] * 5) for name in ("curated", "a"))
    wrong = table("b", [[1, 1, 0]] * 5)
    other = right.assign(source="b") if case == "the same answers" else wrong
    reports = patients([0] * 5 if case == "one patient" else range(5))
    found = paired_power(curated, right, other, task="choice", reports=reports, sizes=[10], gap=0.1)
    assert found[["width", "width_low", "width_high"]].isna().to_numpy().all()
    assert found[["told", "told_gap"]].to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(RadbookError, match="no difference to measure"):
        reports_needed(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": []}, "at least 2"),
        ({"sizes": [1]}, "at least 2"),
        ({"n_draws": 0}, "n_draws=0"),
    ],
)
def test_bad_options_are_named(three, options, message):
    with pytest.raises(RadbookError, match=message):
        paired_power(*three, task="choice", **options)


def test_a_question_without_a_difference_is_named(three):
    found = paired_power(*three, task="choice", sizes=[50], n_draws=10)
    with pytest.raises(RadbookError, match="gap is 0"):
        reports_needed(found)
