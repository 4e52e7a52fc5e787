"""The benchmarks run: small sizes, finite figures."""

import importlib.util
import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        spec = importlib.util.spec_from_file_location("radbook_benchmarks", BENCHMARKS / "run.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def test_every_figure_is_a_finite_number(bench):
    for part in bench.figures(quick=True):
        assert part and all(math.isfinite(figure) and figure >= 0 for _, figure, _ in part)


def test_the_table_is_printed_and_a_missing_corpus_is_one_line(bench, capsys):
    assert bench.main(["--quick", "--openi", "nowhere.csv"]) == 2
    printed = capsys.readouterr()
    assert "reports/s" in printed.out and "times faster" in printed.out
    assert "nowhere.csv" in printed.err and "Traceback" not in printed.err
