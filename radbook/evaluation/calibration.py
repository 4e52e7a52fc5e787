"""Do stated probabilities keep their word: how often is a category there that was given 0.8, and how to mend it.

Probabilities of neural networks tend to be too sure (Guo et al. 2017, arXiv 1706.04599), and those of a student speak of
its teacher's labels; `calibrate` fits them to curated ones with two numbers (Platt 1999, "Probabilistic outputs for support
vector machines").
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from radbook.core.errors import RadbookError
from radbook.evaluation.bootstrap import bootstrap_scores, exact_interval
from radbook.evaluation.comparison import Comparison, compare

__all__ = ["Calibration", "calibrate", "calibration_error", "calibration_gain", "reliability"]

_CLIP = 1e-6  # a probability of 0 or 1 has no finite logit
_BINS = 10  # equally wide bins of the probability from 0 to 1


@dataclass(frozen=True)
class Calibration:
    """Two numbers that turn a probability p into expit(slope * logit(p) + intercept).

    >>> Calibration(slope=0.5, intercept=0.0, n_decisions=100).apply(np.array([0.5, 0.99])).round(2)
    array([0.5 , 0.91])
    """

    slope: float
    intercept: float
    n_decisions: int

    def apply(self, probability: np.ndarray | pd.Series) -> np.ndarray | pd.Series:
        """Return the calibrated probabilities; unknown ones stay unknown."""
        return expit(self.slope * logit(np.clip(probability, _CLIP, 1 - _CLIP)) + self.intercept)


def calibrate(
    confidence: pd.DataFrame, curated: pd.DataFrame, *, policy: str = "certain", reports: pd.DataFrame
) -> Calibration:
    """Fit stated probabilities to what the curated labels say, with Platt's two parameters and his smoothed targets.

    Parameters
    ----------
    confidence
        As `Student.confidence` returns it.
    curated, policy
        As in `score`; a cell that the policy leaves out is not fitted.
    reports
        The reports to fit on, of a split that nothing is tested on.

    Raises
    ------
    RadbookError
        If these reports have no curated labels, or all decisions have the same answer.

    Examples
    --------
    >>> from radbook.core.ontology import CATEGORIES
    >>> from radbook.core.findings import finding, label_row
    >>> ids = [str(k) for k in range(40)]  # Edema in three of four reports for which the student says 0.99
    >>> truth = [label_row(i, "curated", "choice", [finding("Edema")] * (k % 4 > 0)) for k, i in enumerate(ids)]
    >>> rows = [(i, c, c == "Edema", 0.99 if c == "Edema" else 0.01) for i in ids for c in CATEGORIES]
    >>> stated = pd.DataFrame(rows, columns=["report_id", "code", "named", "probability"])
    >>> reports = pd.DataFrame({"report_id": ids, "patient_id": ids})
    >>> fitted = calibrate(stated, pd.DataFrame(truth), reports=reports)
    >>> float(fitted.apply(np.array([0.99]))[0].round(1))
    0.7
    """
    truth, _, p, y = _pairs(curated, confidence, "probability", policy, reports)
    x = logit(np.clip(p, _CLIP, 1 - _CLIP))
    positives, negatives = int((y == 1).sum()), int((y == 0).sum())
    if not positives or not negatives:
        raise RadbookError(
            f"calibration needs findings that are there and some that are not; these {len(truth.report_ids)} reports "
            f"have {positives} and {negatives} with a stated probability"
        )
    target = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(line: np.ndarray) -> float:
        score = line[0] * x + line[1]
        return float(-(target * log_expit(score) + (1 - target) * log_expit(-score)).mean())

    fitted = minimize(loss, np.array([1.0, 0.0]), method="BFGS")
    return Calibration(slope=float(fitted.x[0]), intercept=float(fitted.x[1]), n_decisions=len(x))


def reliability(
    curated: pd.DataFrame,
    stated: pd.DataFrame,
    *,
    reports: pd.DataFrame,
    column: str = "probability",
    policy: str = "certain",
) -> pd.DataFrame:
    """Compare stated probabilities of the 13 categories with how often the category is there.

    Parameters
    ----------
    curated, policy, reports
        As in `score`.
    stated
        Table with report_id, code and the probability in `column`; unknown ones are left out.

    Returns
    -------
    One row per tenth of the probability that is not empty: low_edge, high_edge, n (decisions), stated (their mean
    probability), observed (the share that is there), and low and high, its exact 95% interval with every decision for itself.

    Examples
    --------
    >>> from radbook.core.ontology import CATEGORIES
    >>> from radbook.core.findings import finding, label_row
    >>> truth = pd.DataFrame([label_row(i, "curated", "choice", [finding("Edema")] * (i < "3")) for i in "1234"])
    >>> rows = [(i, c, 0.7 if c == "Edema" else 0.0) for i in "1234" for c in CATEGORIES]
    >>> table = reliability(
    ...     truth, pd.DataFrame(rows, columns=["report_id", "code", "probability"]),
    ...     reports=pd.DataFrame({"report_id": list("1234"), "patient_id": list("1234")}),
    ... )
    >>> table[["n", "stated", "observed"]].round(2).values.tolist()
    [[48.0, 0.0, 0.0], [4.0, 0.7, 0.5]]
    >>> round(calibration_error(table), 4)
    0.0154
    """
    _, _, p, y = _pairs(curated, stated, column, policy, reports)
    place = _bins(p)
    n, hits, total = (np.bincount(place, weights=w, minlength=_BINS) for w in (None, y, p))
    some = n > 0
    low, high = exact_interval(hits[some], n[some])
    edges = np.arange(_BINS + 1) / _BINS
    return pd.DataFrame(
        {
            "low_edge": edges[:-1][some],
            "high_edge": edges[1:][some],
            "n": n[some].astype(int),
            "stated": total[some] / n[some],
            "observed": hits[some] / n[some],
            "low": low,
            "high": high,
        }
    )


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error of a `reliability` table: how far stated and observed lie apart, on average.

    The mean is over decisions, so it is ruled by those that are easy; read the table beside it.
    """
    if not table["n"].sum():
        return float("nan")
    return float(((table["stated"] - table["observed"]).abs() * table["n"]).sum() / table["n"].sum())


def calibration_gain(
    curated: pd.DataFrame,
    stated: pd.DataFrame,
    *,
    reports: pd.DataFrame,
    policy: str = "certain",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Compare the calibration error of calibrated probabilities with that of the stated ones, or could it be the draw?

    Parameters
    ----------
    curated, policy, reports
        As in `reliability`.
    stated
        Table with report_id, code, `probability` and `calibrated`.
    n_bootstrap, seed
        As in `score`.

    Returns
    -------
    value (calibrated minus stated: below 0 where calibration helped), and low and high, its 95% paired bootstrap interval
    over patients. The calibration is taken as given: how it was fitted is not drawn again.

    Examples
    --------
    >>> from radbook.core.ontology import CATEGORIES
    >>> from radbook.core.findings import finding, label_row
    >>> ids = [str(k) for k in range(20)]
    >>> truth = pd.DataFrame([label_row(i, "curated", "choice", [finding("Edema")] * (i < "2")) for i in ids])
    >>> rows = [(i, c, 0.95 if c == "Edema" else 0.0, 0.6 if c == "Edema" else 0.0) for i in ids for c in CATEGORIES]
    >>> stated = pd.DataFrame(rows, columns=["report_id", "code", "probability", "calibrated"])
    >>> gain = calibration_gain(truth, stated, reports=pd.DataFrame({"report_id": ids, "patient_id": ids}))
    >>> round(gain["value"], 4), gain["high"] < 0
    (-0.0269, True)
    """
    parts = []
    for column in ("probability", "calibrated"):
        truth, who, p, y = _pairs(curated, stated, column, policy, reports)
        counts = np.zeros((truth.n_patients, _BINS))
        np.add.at(counts, (who, _bins(p)), p - y)
        parts.append(counts)
    decisions = np.bincount(who, minlength=truth.n_patients)

    def gain(totals: np.ndarray) -> np.ndarray:
        before, after, n = np.split(totals, [_BINS, 2 * _BINS], axis=-1)
        change = np.abs(after).sum(axis=-1, keepdims=True) - np.abs(before).sum(axis=-1, keepdims=True)
        return np.divide(change, n, out=np.full(change.shape, np.nan), where=n > 0)

    counts = np.column_stack([*parts, decisions]).astype(float)
    found = bootstrap_scores(counts, gain, n_bootstrap=n_bootstrap, seed=seed)
    return {name: float(v[0]) for name, v in zip(("value", "low", "high"), found, strict=True)}


def _pairs(
    curated: pd.DataFrame, stated: pd.DataFrame, column: str, policy: str, reports: pd.DataFrame
) -> tuple[Comparison, np.ndarray, np.ndarray, np.ndarray]:
    """Every decision with a stated probability: its patient (by number), the probability, and the curated answer (1 or 0)."""
    reference = curated[curated["task"] == "choice"]
    truth = compare(reference, reference, task="choice", policy=policy, reports=reports)
    wrong = stated[~stated[column].astype(float).fillna(0.0).between(0, 1)]
    if len(wrong):
        report, code, value = wrong[["report_id", "code", column]].iloc[0]
        raise RadbookError(
            f"{column} of report {report!r}, {code}, is {value:g}: give fractions from 0 to 1"
        )
    table = stated.pivot(index="report_id", columns="code", values=column)
    p = table.reindex(index=truth.report_ids, columns=truth.labels).to_numpy(dtype=float)
    used = (truth.y_true >= 0) & ~np.isnan(p)
    return truth, truth.patients[np.nonzero(used)[0]], p[used], truth.y_true[used]


def _bins(p: np.ndarray) -> np.ndarray:
    return np.minimum((p * _BINS).astype(int), _BINS - 1)
