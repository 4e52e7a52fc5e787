"""Test sets played through: the width must be that of the bootstrap, and what is told must follow the known formula."""

import numpy as np
import pytest
from scipy.stats import norm

from radbook.core.errors import RadbookError
from radbook.evaluation import paired_difference, power, reports_needed


@pytest.fixture
def play(monkeypatch):
    """play(*tables, sizes=[300], draws=400): `paired_power` with test sets of these sizes, so many of each."""

    def played(*tables, sizes=(50,), draws=1000, **options):
        monkeypatch.setattr(power, "SIZES", sizes)
        monkeypatch.setattr(power, "DRAWS", draws)
        return power.paired_power(*tables, **options)

    return played


@pytest.fixture(scope="module")
def three(table, noisy):
    """A reference and two sources of 300 reports, one with fewer errors than the other."""
    truth, good = noisy(300, 0.05, 1)
    _, bad = noisy(300, 0.05, 1)
    flip = np.random.default_rng(9).random((300, 13)) < 0.03
    bad = (np.array(bad, bool) ^ flip).astype(int).tolist()
    return table("curated", truth), table("a", good), table("b", bad)


@pytest.mark.parametrize("per_patient", [1, 3])
def test_the_standard_error_is_that_of_the_bootstrap(three, patients, per_patient, play):
    options = {"task": "choice", "reports": patients(np.arange(300) // per_patient)}
    found = play(*three, sizes=[300], draws=400, **options)
    whole = paired_difference(*three, n_bootstrap=4000, **options)
    width = whole["high"] - whole["low"]
    assert found.attrs["value"] == pytest.approx(whole["value"])
    assert 2 * 1.96 * found.attrs["error"] == pytest.approx(width, rel=0.06)
    assert found["width"][0] == pytest.approx(width, rel=0.06)
    assert (found["n_reports"][0], found["n_patients"][0]) == (300, 300 // per_patient)


def test_four_times_the_reports_give_half_the_width(three, play):
    widths = play(*three, task="choice", sizes=[100, 400, 1600])["width"]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.05)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.02)


def test_intervals_of_small_test_sets_hold_the_difference_about_as_often_as_they_say(three, play):
    # Looking for the difference there is, minus itself: an interval that excludes zero is a false alarm.
    found = play(*three, task="choice", sizes=[100, 400], gap=0.0, draws=4000)
    assert found["told_gap"].tolist() == pytest.approx([0.05, 0.05], abs=0.025)


def test_what_is_told_follows_the_normal_formula(three, play):
    gap = 0.012
    found = play(*three, task="choice", sizes=[200, 800], gap=gap, draws=4000)
    for row in found.itertuples():
        error = found.attrs["error"] * np.sqrt(300 / row.n_reports)
        assert row.told_gap == pytest.approx(norm.cdf(gap / error - 1.96), abs=0.03)
    needed = reports_needed(found)
    again = play(*three, task="choice", sizes=[needed], gap=gap, draws=4000)
    assert again["told_gap"][0] == pytest.approx(0.8, abs=0.03)


def test_same_seed_same_table(three, play):
    one, two, other = (play(*three, task="choice", sizes=[50], seed=s) for s in (1, 1, 2))
    assert one.equals(two) and not one.equals(other)


def test_sources_without_a_score_tell_nothing(table, play):
    nobody = table("curated", [[0]] * 6)
    found = play(nobody, nobody, nobody, task="choice", sizes=[10], gap=0.1)
    assert np.isnan(found["width"][0]) and found[["told", "told_gap"]].to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(RadbookError, match="no difference to measure"):
        reports_needed(found)


@pytest.mark.parametrize("case", ["one patient", "the same answers", "differing in every patient alike"])
def test_what_has_no_spread_has_no_width_and_cannot_be_told(table, patients, case, play):
    curated, right = (table(name, [[1, 1, 1]] * 5) for name in ("curated", "a"))
    wrong = table("b", [[1, 1, 0]] * 5)
    other = right.assign(source="b") if case == "the same answers" else wrong
    reports = patients([0] * 5 if case == "one patient" else range(5))
    found = play(curated, right, other, task="choice", reports=reports, sizes=[10], gap=0.1)
    assert found[["width", "width_low", "width_high"]].isna().to_numpy().all()
    assert found[["told", "told_gap"]].to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(RadbookError, match="no difference to measure"):
        reports_needed(found)


def test_a_question_without_a_difference_is_named(three, play):
    found = play(*three, task="choice", sizes=[50], draws=10)
    with pytest.raises(RadbookError, match="gap is 0"):
        reports_needed(found)
