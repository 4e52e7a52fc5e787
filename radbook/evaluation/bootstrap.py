"""How sure is a score: intervals that draw patients, not reports.

Reports of one patient repeat each other, so a draw takes a patient with all of his or her reports or leaves
all of them out.
Because counts add up, a draw is a weight per patient and 2,000 draws are one matrix product.
"""

from collections.abc import Callable, Iterator
from math import nan

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from scipy.stats import beta

from radbook.core.errors import RadbookError

__all__ = ["Statistic", "bootstrap_scores", "check_draws", "chunks", "draw_weights", "exact_interval", "ratio"]

CONFIDENCE = 0.95
_TAILS = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
_MIN_DRAWS = 40  # fewer draws have no 2.5th percentile
_CELLS = 2**20  # draws x patients held in memory at a time (8 MiB)

Statistic = Callable[[np.ndarray], np.ndarray]


def bootstrap_scores(
    counts: np.ndarray, statistic: Statistic, *, n_bootstrap: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score summed counts and give each score a 95% interval by drawing patients with replacement.

    Counts, shape (P, K), add up over patients; `statistic` maps sums, shape (..., K), to scores, shape (..., S).
    The same seed draws the same patients, for every source with the same patients.
    Returns value, low and high, each of shape (S,); the ends are NaN where the score is undefined or there is only one patient.

    The intervals are BCa (Efron, 1987): bias from the share of draws below the point, acceleration from a jackknife over
    patients. Where that is undefined, as leaving out a patient leaves the score undefined or never changes it, or every draw
    lies on one side of the point, the percentile interval of the defined draws takes over.
    No bootstrap can widen a score without errors: where every patient scores 1.0 the interval is [1, 1], however few there are.

    >>> counts = np.array([[1, 2], [2, 2], [0, 1], [3, 4], [1, 1]])  # hits and tries of five patients
    >>> value, low, high = bootstrap_scores(counts, lambda c: c[..., :1] / c[..., 1:])
    >>> value, bool(low[0] < 0.7 < high[0])
    (array([0.7]), True)
    """
    check_draws(n_bootstrap)
    counts = np.asarray(counts, dtype=float)
    value = statistic(counts.sum(axis=0))
    if len(counts) < 2:
        return value, np.full_like(value, nan), np.full_like(value, nan)
    rng = np.random.default_rng(seed)
    draws = np.concatenate(
        [statistic(weights @ counts) for weights in draw_weights(rng, len(counts), n_bootstrap)]
    )
    acceleration = _acceleration(counts, statistic, value)
    bounds = [_interval(v, d, a) for v, d, a in zip(value, draws.T, acceleration, strict=True)]
    low, high = np.array(bounds).T
    return value, low, high


def exact_interval(k: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Clopper-Pearson 95% interval of `k` successes in `n` independent trials; NaN where `n` is 0.

    >>> low, high = exact_interval([0, 5], [10, 10])
    >>> low.round(3), high.round(3)
    (array([0.   , 0.187]), array([0.308, 0.813]))
    """
    k, n = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(n, dtype=float))
    if ((k < 0) | (k > n)).any():
        raise RadbookError("exact_interval: k must lie between 0 and n")
    low = np.where(k == 0, 0.0, beta.ppf(_TAILS[0], k, n - k + 1))
    high = np.where(k == n, 1.0, beta.ppf(_TAILS[1], k + 1, n - k))
    return np.where(n == 0, nan, low), np.where(n == 0, nan, high)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide counts of one shape; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(np.shape(above), nan), where=below > 0)


def check_draws(n_bootstrap: int) -> None:
    """Refuse a number of draws that has no 2.5th percentile."""
    if n_bootstrap < _MIN_DRAWS:
        raise RadbookError(f"n_bootstrap={n_bootstrap}: a 95% interval needs at least {_MIN_DRAWS} draws")


def chunks(total: int, width: int) -> Iterator[int]:
    """Cut `total` rows of `width` cells into sizes that fit in memory together."""
    size = max(1, _CELLS // width)
    for start in range(0, total, size):
        yield min(size, total - start)


def draw_weights(
    rng: np.random.Generator, n_patients: int, n_bootstrap: int, *, size: int | None = None
) -> Iterator[np.ndarray]:
    """Weights of shape (draws, P): how often each patient is among the `size` (None: as many as there are) of a draw."""
    size = size or n_patients
    for rows in chunks(n_bootstrap, max(n_patients, size)):
        drawn = rng.integers(n_patients, size=(rows, size))
        drawn += np.arange(rows)[:, None] * n_patients
        yield np.bincount(drawn.ravel(), minlength=rows * n_patients).reshape(rows, n_patients).astype(float)


def _acceleration(counts: np.ndarray, statistic: Statistic, value: np.ndarray) -> np.ndarray:
    """Skewness of the jackknife over patients, shape (S,); NaN where undefined. Moments add up in chunks."""
    total, n = counts.sum(axis=0), len(counts)
    sums = np.zeros((3, len(value)))
    for some in np.array_split(counts, -(-counts.size // _CELLS)):
        shift = value - statistic(total - some)
        sums += [(shift**power).sum(axis=0) for power in (1, 2, 3)]
    mean, second, third = sums / n
    variance = second - mean**2
    skew = third - 3 * mean * second + 2 * mean**3
    with np.errstate(invalid="ignore", divide="ignore"):
        # Leaving out one of a million patients moves a score by more than rounding (1e-16) does.
        return np.where(variance > 1e-26, skew / (6 * np.sqrt(n) * variance**1.5), nan)


def _interval(value: float, draws: np.ndarray, acceleration: float) -> tuple[float, float]:
    draws = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(draws):
        return nan, nan
    # Rounded, because sums over labels may differ in the last bit.
    side = np.sign(np.round(draws - value, 12))
    below = np.mean(side < 0) + np.mean(side == 0) / 2
    tails = _TAILS
    if 0 < below < 1 and not np.isnan(acceleration):
        bias, normal = ndtri(below), ndtri(_TAILS)
        shrink = 1 - acceleration * (bias + normal)
        # Past the pole the correction would turn the interval inside out.
        if (shrink > 0).all():
            tails = ndtr(bias + (bias + normal) / shrink)
    low, high = np.quantile(draws, tails)
    return float(low), float(high)
