"""Do stated probabilities keep their word: how often is a category there that was given 0.8, and how to mend it.

Probabilities of neural networks tend to be too sure (Guo et al. 2017, arXiv 1706.04599), and those of a student speak of
its teacher's labels; `calibrate` fits them to curated ones with two numbers (Platt 1999, "Probabilistic outputs for support
vector machines").
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from radbook.core.errors import RadbookError
from radbook.evaluation.bootstrap import bootstrap_scores, exact_interval
from radbook.evaluation.comparison import CELL, compare
from radbook.tasks import task_of

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
    curated: pd.DataFrame, stated: pd.DataFrame, *, task: str, policy: str = "certain", reports: pd.DataFrame
) -> Calibration:
    """Fit stated probabilities to what the curated labels say, with Platt's two parameters and his smoothed targets.

    Parameters
    ----------
    curated, stated, task, policy
        As in `reliability`.
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
    >>> rows = [(i, c, 0.99 if c == "Edema" else 0.01) for i in ids for c in CATEGORIES]
    >>> stated = pd.DataFrame(rows, columns=["report_id", "code", "probability"])
    >>> reports = pd.DataFrame({"report_id": ids, "patient_id": ids})
    >>> fitted = calibrate(pd.DataFrame(truth), stated, task="choice", reports=reports)
    >>> float(fitted.apply(np.array([0.99]))[0].round(1))
    0.7
    """
    # Half a second of imports that no other use of this room needs.
    from sklearn.linear_model import LogisticRegression

    _, p, there = _judged(curated, stated, "probability", task, policy, reports)
    positives, negatives = int(there.sum()), int((~there).sum())
    if not positives or not negatives:
        raise RadbookError(
            "calibration needs findings that are there and some that are not, by curated labels; these "
            f"{len(reports)} reports have {positives} and {negatives} with a stated probability"
        )
    # Each decision counts as there with the weight of its target and as not there with the rest.
    target = np.where(there, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.tile(logit(np.clip(p, _CLIP, 1 - _CLIP)), 2)[:, None]
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        x, np.repeat([1, 0], len(p)), np.concatenate([target, 1 - target])
    )
    return Calibration(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), n_decisions=len(p))


def reliability(
    curated: pd.DataFrame,
    stated: pd.DataFrame,
    *,
    task: str,
    reports: pd.DataFrame,
    column: str = "probability",
    policy: str = "certain",
) -> pd.DataFrame:
    """Compare stated probabilities of a task's categories with how often the category is there.

    Parameters
    ----------
    curated, task, policy, reports
        As in `score`, for a task with a closed set of codes; a cell that the policy leaves out is no decision.
    stated
        Table with report_id, code and the probability in `column`, as of `Student.confidence`; unknown ones are left out.

    Returns
    -------
    One row per tenth of the probability that is not empty, none without a reference: low_edge, high_edge, n (decisions),
    stated (their mean probability), observed (the share that is there), and low and high, its exact 95% interval with every
    decision for itself.

    Examples
    --------
    >>> from radbook.core.ontology import CATEGORIES
    >>> from radbook.core.findings import finding, label_row
    >>> truth = pd.DataFrame([label_row(i, "curated", "choice", [finding("Edema")] * (i < "3")) for i in "1234"])
    >>> rows = [(i, c, 0.7 if c == "Edema" else 0.0) for i in "1234" for c in CATEGORIES]
    >>> stated = pd.DataFrame(rows, columns=["report_id", "code", "probability"])
    >>> reports = pd.DataFrame({"report_id": list("1234"), "patient_id": list("1234")})
    >>> table = reliability(truth, stated, task="choice", reports=reports)
    >>> table[["n", "stated", "observed"]].round(2).values.tolist()
    [[48.0, 0.0, 0.0], [4.0, 0.7, 0.5]]
    >>> round(calibration_error(table), 4)
    0.0154
    """
    _, p, there = _judged(curated, stated, column, task, policy, reports)
    decisions = pd.DataFrame({"p": p, "there": there}).groupby(_bin(p))
    table = decisions.agg(n=("p", "size"), stated=("p", "mean"), observed=("there", "mean"))
    low, high = exact_interval(decisions["there"].sum(), table["n"])
    edges = {"low_edge": table.index / _BINS, "high_edge": (table.index + 1) / _BINS}
    return pd.DataFrame({**edges, **table, "low": low, "high": high}).reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error of a `reliability` table: how far stated and observed lie apart, on average.

    The mean is over decisions, so it is ruled by those that are easy; read the table beside it.
    """
    return float(((table["stated"] - table["observed"]).abs() * table["n"]).sum() / (table["n"].sum() or np.nan))


def calibration_gain(
    curated: pd.DataFrame,
    stated: pd.DataFrame,
    *,
    task: str,
    reports: pd.DataFrame,
    policy: str = "certain",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Compare the calibration error of calibrated probabilities with that of the stated ones, or could it be the draw?

    Parameters
    ----------
    curated, task, policy, reports
        As in `reliability`.
    stated
        Table with report_id, code, `probability` and `calibrated`.
    n_bootstrap, seed
        As in `score`.

    Returns
    -------
    Value, the error after calibration minus the error before (below zero: it helped), and its 95% interval, low and high;
    NaN without a reference.
    """
    parts = []
    for column in ("probability", "calibrated"):
        patients, p, there = _judged(curated, stated, column, task, policy, reports)
        counts = np.zeros((patients.max(initial=-1) + 1, _BINS))
        np.add.at(counts, (patients, _bin(p)), p - there)
        parts.append(counts)
    decisions = np.bincount(patients, minlength=len(parts[0]))

    def gain(totals: np.ndarray) -> np.ndarray:
        before, after, n = np.split(totals, [_BINS, 2 * _BINS], axis=-1)
        change = np.abs(after).sum(axis=-1, keepdims=True) - np.abs(before).sum(axis=-1, keepdims=True)
        return np.divide(change, n, out=np.full(change.shape, np.nan), where=n > 0)

    counts = np.column_stack([*parts, decisions]).astype(float)
    found = bootstrap_scores(counts, gain, n_bootstrap=n_bootstrap, seed=seed)
    return {name: float(v[0]) for name, v in zip(("value", "low", "high"), found, strict=True)}


def _judged(
    curated: pd.DataFrame, stated: pd.DataFrame, column: str, task: str, policy: str, reports: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every decision with a stated probability: its patient (by number), the probability, and whether it is there."""
    if not task_of(task).codes:
        raise RadbookError(f"task {task}: probabilities are stated where an answer names codes of a closed set, so not here")
    truth = compare(curated, curated, task=task, policy=policy, reports=reports)
    wrong = stated[~stated[column].astype(float).fillna(0.0).between(0, 1)]
    if len(wrong):
        report, code, value = wrong[[*CELL, column]].iloc[0]
        raise RadbookError(
            f"{column} of report {report!r}, {code}, is {value:g}: give fractions from 0 to 1"
        )
    table = stated.pivot(index="report_id", columns="code", values=column)
    p = table.reindex(index=truth.report_ids, columns=truth.labels).to_numpy(dtype=float)
    used = truth.scored & ~np.isnan(p)
    return truth.patients[np.nonzero(used)[0]], p[used], truth.y_true[used] == 1


def _bin(p: np.ndarray) -> np.ndarray:
    return np.minimum((p * _BINS).astype(int), _BINS - 1)
