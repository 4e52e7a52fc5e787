"""Bootstrap speed: the vectorized scorecard against loops that resample reports one draw at a time."""

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import label_matrix, paired_difference, paired_power, paired_table, score


def measure(
    *, n_reports: int = 10_000, n_bootstrap: int = 2000, n_loop: int = 20
) -> list[tuple[str, float, str]]:
    """Time the scores, the paired comparisons and their power, and `n_loop` draws of two loops, scaled to `n_bootstrap`."""
    curated, one, two = (
        _labels(name, n_reports, error) for name, error in zip("cab", (0, 0.03, 0.04), strict=True)
    )
    reports = pd.DataFrame({"report_id": curated["report_id"], "patient_id": np.arange(n_reports) // 2})
    options = {"task": "choice", "reports": reports, "n_bootstrap": n_bootstrap}
    seconds = _seconds(lambda: score(curated, one, **options))
    paired = _seconds(lambda: paired_difference(curated, one, two, **options))
    every = _seconds(lambda: paired_table(curated, one, two, **options))
    power = _seconds(lambda: paired_power(curated, one, two, task="choice", reports=reports))
    tracemalloc.start()
    score(curated, one, **options)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()

    ids = curated["report_id"].tolist()
    y_true, y_pred = (label_matrix(t, ids, CATEGORIES, "certain") for t in (curated, one))
    loop = _seconds(lambda: _loop(y_true, y_pred, n_loop, _numpy_f1)) * n_bootstrap / n_loop
    peer = _seconds(lambda: _loop(y_true, y_pred, n_loop, _sklearn_f1)) * n_bootstrap / n_loop
    size = f"{n_reports:,} reports x {len(CATEGORIES)} labels x {n_bootstrap:,} draws"
    return [
        (f"score, {size}", seconds, "s"),
        ("peak memory of that", peak, "MiB"),
        ("paired_difference, same size", paired, "s"),
        ("paired_table, same size, every label", every, "s"),
        ("paired_power, same reports, 7 sizes x 1,000 test sets", power, "s"),
        (f"numpy loop (F1 only, scaled from {n_loop} draws)", loop, "s"),
        (f"scikit-learn loop (F1 only, scaled from {n_loop} draws)", peer, "s"),
        ("score against the numpy loop", loop / seconds, "times faster"),
        ("score against the scikit-learn loop", peer / seconds, "times faster"),
    ]


def _labels(source: str, n_reports: int, error: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    truth = rng.random((n_reports, len(CATEGORIES))) < 0.1
    answer = truth ^ (rng.random(truth.shape) < error)
    rows = [
        label_row(
            f"r{row}", source, "choice", [finding(CATEGORIES[column]) for column in np.flatnonzero(cells)]
        )
        for row, cells in enumerate(answer)
    ]
    return pd.DataFrame(rows)


def _loop(y_true: np.ndarray, y_pred: np.ndarray, draws: int, statistic: Callable) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = (rng.integers(len(y_true), size=len(y_true)) for _ in range(draws))
    return [statistic(y_true[rows], y_pred[rows]) for rows in drawn]


def _numpy_f1(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    hits = ((y_true == 1) & (y_pred == 1)).sum(axis=0)
    named = (y_true == 1).sum(axis=0) + (y_pred == 1).sum(axis=0)
    return np.append(2 * hits / np.maximum(named, 1), 2 * hits.sum() / named.sum())


def _sklearn_f1(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    each = f1_score(y_true, y_pred, average=None, zero_division=0)
    return np.append(each, f1_score(y_true, y_pred, average="micro", zero_division=0))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
