"""How many reports does a comparison take: the width of the paired interval over the size of the test set.

A test set of any size is played through by drawing that many patients, with replacement, from those at hand.
Because counts and their products add up over patients, all studies of one size are two matrix products.
"""

from math import ceil, nan

import numpy as np
import pandas as pd
from scipy.special import ndtri

from radbook.core.errors import RadbookError
from radbook.evaluation.bootstrap import draw_weights
from radbook.evaluation.comparison import Comparison, compare_all

__all__ = ["DRAWS", "SIZES", "paired_power", "reports_needed"]

SIZES = (25, 50, 100, 200, 400, 800, 1600)
DRAWS = 1000  # test sets of each size
_REACH = ndtri(0.975)  # standard errors to either side of a 95% interval
_POWER = 0.8  # share of the studies that should tell a difference


def paired_power(
    curated: pd.DataFrame,
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    gap: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Play through test sets of several sizes: how wide is the paired interval of micro-F1, how often does it tell?

    Parameters
    ----------
    curated, a, b, task, policy, reports
        As in `paired_table`.
    gap
        A difference to look for, such as a published one (fraction).
    seed
        As in `paired_table`; for the test sets that are drawn.

    Returns
    -------
    One row for each of `SIZES`, some of which may exceed the reports at hand: n_reports, n_patients, width (median width of
    the 95% interval), width_low and width_high (which hold 95% of the widths), told (share of the test sets whose interval
    excludes zero) and told_gap (the same if the two sources differed by `gap`, spread as they are).
    `attrs` holds `value` (the difference on all reports), `error` (its standard error), `n_reports` and `gap`.
    Widths and `error` are NaN where nothing is spread: with one patient, or sources that differ in all of them alike.
    All is unknown where `paired_table` knows nothing.

    Notes
    -----
    A study's standard error is that of a difference of two ratios over patients (the linearization, or delta method); its
    interval reaches 1.96 of them to either side.
    Patients are drawn from those at hand, so sizes far above them speak of more patients like these and of no others.
    A size is met on average: reports come with their patients.

    Examples
    --------
    >>> from radbook.core.findings import label_row, finding
    >>> def table(source, wrong):
    ...     rows = [label_row(str(i), source, "choice", [finding("Edema")] * (i % wrong > 0)) for i in range(90)]
    ...     return pd.DataFrame(rows)
    >>> found = paired_power(table("curated", 99), table("a", 9), table("b", 3), task="choice")
    >>> found.set_index("n_reports").loc[[25, 100], "width"].round(1).tolist()
    [0.2, 0.1]
    """
    one, two = compare_all(curated, [a, b], task=task, policy=policy, reports=reports)
    parts = np.hstack([_ratio_parts(one), _ratio_parts(two)])  # (P, 4)
    products = (parts[:, :, None] * parts[:, None, :]).reshape(-1, 16)
    both = np.hstack([parts, products])
    (value,), (error,) = _differences(both.sum(axis=0)[None], len(parts))
    # Rounding leaves a spread of 1e-8 where there is none; one answer of a million spreads more.
    error = error if error > 1e-7 else nan
    rng = np.random.default_rng(seed)
    rows = []
    for size in SIZES:
        if not one.report_ids:
            rows.append((size, 0, *[nan] * 5))
            continue
        n_patients = max(2, round(size * len(parts) / len(one.report_ids)))
        draws = [weights @ both for weights in draw_weights(rng, len(parts), DRAWS, size=n_patients)]
        found, spread = _differences(np.concatenate(draws), n_patients)
        reach = np.where(np.isnan(error), nan, _REACH * spread)
        known = 2 * reach[~np.isnan(reach)]
        low, width, high = np.quantile(known, [0.025, 0.5, 0.975]) if len(known) else [np.nan] * 3
        # A study without a score or an error to measure its spread by tells nothing.
        told, told_gap = (np.mean((np.abs(d) > reach) & (reach > 0)) for d in (found, found - value + gap))
        rows.append((size, n_patients, width, low, high, told, told_gap))
    columns = ["n_reports", "n_patients", "width", "width_low", "width_high", "told", "told_gap"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.attrs = {"value": float(value), "error": float(error), "n_reports": len(one.report_ids), "gap": gap}
    return frame


def reports_needed(table: pd.DataFrame) -> int:
    """Return how many reports it takes to tell the `gap` of a `paired_power` table in four of five studies.

    Standard errors shrink with the square root of the size, so n = n_reports * ((1.96 + 0.84) * error / gap) ** 2, where
    0.84 is the normal quantile of 0.8.

    >>> table = pd.DataFrame()
    >>> table.attrs = {"error": 0.02, "n_reports": 100, "gap": 0.04}
    >>> reports_needed(table)
    197
    """
    gap, error = table.attrs["gap"], table.attrs["error"]
    if not gap:
        raise RadbookError("gap is 0: give paired_power the difference to look for")
    if not np.isfinite(error):
        raise RadbookError(
            "these sources have no difference to measure: nothing is scored for one of them, there is only one patient, "
            "or they differ in every patient alike; compare other sources, or on more reports"
        )
    return ceil(table.attrs["n_reports"] * ((_REACH + ndtri(_POWER)) * error / gap) ** 2)


def _ratio_parts(found: Comparison) -> np.ndarray:
    """Above and below the line of micro-F1, per patient, shape (P, 2)."""
    tp, fp, fn = (cells.sum(axis=1) for cells in (found.tp, found.fp, found.fn))
    return found.add_by_patient(np.column_stack((2 * tp, 2 * tp + fp + fn)))


def _differences(totals: np.ndarray, n_patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Difference of two ratios and its standard error, for sums of shape (draws, 4 + 16) over `n_patients`."""
    sums, moments = totals[:, :4], totals[:, 4:].reshape(-1, 4, 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_a, ratio_b = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
        slopes = np.stack(
            [1 / sums[:, 1], -ratio_a / sums[:, 1], -1 / sums[:, 3], ratio_b / sums[:, 3]], axis=1
        )
        # What one patient adds sums to zero over patients, so its squares alone give the variance.
        variance = np.einsum("di,dij,dj->d", slopes, moments, slopes) * n_patients / (n_patients - 1)
    return ratio_a - ratio_b, np.sqrt(np.maximum(variance, 0.0))
