"""From summed counts to scores: one formula for points, bootstrap draws and permutations."""

from collections.abc import Sequence
from math import isnan, nan

import numpy as np

from radbook.core.errors import RadbookError

__all__ = ["FEW_POSITIVES", "METRICS", "check_zero_division", "derive", "score_names"]

METRICS = ("precision", "recall", "f1")
FEW_POSITIVES = 10  # a label with fewer is grayed and named: its score rests on a handful of reports


def score_names(labels: Sequence[str]) -> list[tuple[str, str]]:
    """(label, metric) of each value that `derive` returns, in its order."""
    names = [(label, metric) for label in ("micro", "macro", *labels) for metric in METRICS]
    return [*names, ("all", "exact_match")]


def derive(totals: np.ndarray, *, zero_division: float = nan) -> np.ndarray:
    """Turn summed counts, shape (..., 3 L + 2), into the scores of `score_names`, shape (..., 3 L + 7)."""
    tp, fp, fn = np.split(totals[..., :-2], 3, axis=-1)
    each = _scores(tp, fp, fn, zero_division)
    micro = _scores(*(c.sum(axis=-1, keepdims=True) for c in (tp, fp, fn)), zero_division)
    usable = ((tp + fp + fn) > 0)[..., None] & ~np.isnan(each)
    macro = _ratio(np.where(usable, each, 0.0).sum(axis=-2), usable.sum(axis=-2), zero_division)
    flat = each.reshape(*each.shape[:-2], -1)
    exact = totals[..., -2:-1] / totals[..., -1:]
    return np.concatenate([micro[..., 0, :], macro, flat, exact], axis=-1)


def check_zero_division(value: float) -> float:
    """Return `value` if a score whose denominator is 0 may take it: NaN, or a fraction.

    >>> check_zero_division(0.0)
    0.0
    """
    if isnan(value) or 0.0 <= value <= 1.0:
        return value
    raise RadbookError(f"zero_division={value!r} is neither NaN nor a fraction from 0 to 1")


def _scores(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, zero_division: float) -> np.ndarray:
    pairs = ((tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn))
    return np.stack([_ratio(a, b, zero_division) for a, b in pairs], axis=-1)


def _ratio(above: np.ndarray, below: np.ndarray, undefined: float) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), undefined, dtype=float), where=below > 0)
