"""The benchmarks of writing and of growth run at small sizes, and their figures are finite."""

import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.mark.slow
def test_every_way_to_write_has_a_rate_and_the_replies_agree():
    from bench_generation import WAYS, measure

    rows = measure(n_reports=4, n_alone=2, rounds=1)
    assert all(math.isfinite(figure) and figure > 0 for _, figure, _ in rows)
    assert sum(unit == "times as fast" for _, _, unit in rows) == 2 * len(WAYS)
    assert [figure for what, figure, _ in rows if what.startswith("replies that are")] == [100, 100]


def test_growth_is_measured_in_processes_of_their_own():
    from bench_scaling import measure

    steps = ("scores", "training")
    rows = measure(sizes=(30, 60), steps=steps)
    assert len(rows) == len(steps) * (2 * 2 + 2)
    assert all(math.isfinite(figure) for _, figure, _ in rows)


def test_the_exponent_of_a_square_is_two():
    from bench_scaling import growth

    assert growth([1000, 2000, 4000], [1.0, 4.0, 16.0]) == pytest.approx(2.0)
    assert growth([1000, 2000], [0.0, 0.01]) == pytest.approx(0.0)
