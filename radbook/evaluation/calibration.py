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
from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.comparison import CELL, compare
from radbook.tasks import task_of

__all__ = ["Calibration", "calibrate", "calibration_error", "judge", "reliability"]

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


def judge(
    curated: pd.DataFrame, stated: pd.DataFrame, *, task: str, policy: str = "certain", reports: pd.DataFrame
) -> pd.DataFrame:
    """Set stated probabilities beside what the curated labels say.

    Parameters
    ----------
    curated, task, policy, reports
        As in `score`, for a task with a closed set of codes; a cell that the policy leaves out is no decision.
    stated
        Table with report_id, code and `probability`, as of `Student.confidence`, and perhaps `calibrated`.

    Returns
    -------
    One row per decision, none without a reference: the columns of `stated`, patient (a number) and there (whether the reference
    has it). A probability may be unknown; then the decision is not counted.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> truth = pd.DataFrame([label_row("1", "curated", "choice", [finding("Edema")])])
    >>> stated = pd.DataFrame({"report_id": "1", "code": ["Edema", "Fracture"], "probability": [0.7, 0.2]})
    >>> reports = pd.DataFrame({"report_id": ["1"], "patient_id": ["p"]})
    >>> judged = judge(truth, stated, task="choice", reports=reports)
    >>> judged.dropna()[["code", "probability", "there"]].values.tolist()
    [['Edema', 0.7, True], ['Fracture', 0.2, False]]
    """
    if not task_of(task).codes:
        raise RadbookError(f"task {task}: probabilities are stated where an answer names codes of a closed set, so not here")
    for column in ("probability", *stated.columns.intersection(["calibrated"])):
        wrong = stated[~stated[column].astype(float).fillna(0.0).between(0, 1)]
        if len(wrong):
            report, code, value = wrong[[*CELL, column]].iloc[0]
            raise RadbookError(f"{column} of report {report!r}, {code}, is {value:g}: give fractions from 0 to 1")
    truth = compare(curated, curated, task=task, policy=policy, reports=reports)
    cells = pd.MultiIndex.from_product([truth.report_ids, truth.labels], names=CELL)
    table = stated.set_index(CELL).reindex(cells)
    table["patient"] = np.repeat(truth.patients, len(truth.labels))
    table["there"] = truth.y_true.ravel() == 1
    return table[truth.scored.ravel()].reset_index()


def calibrate(judged: pd.DataFrame) -> Calibration:
    """Fit stated probabilities to what the curated labels say, with Platt's two parameters and his smoothed targets.

    Parameters
    ----------
    judged
        As `judge` returns it, of a split that nothing is tested on.

    Raises
    ------
    RadbookError
        If nothing was judged, or all decisions have the same answer.

    Examples
    --------
    >>> judged = pd.DataFrame({"probability": [0.99] * 40 + [0.01] * 40, "there": [True] * 30 + [False] * 50})
    >>> float(calibrate(judged).apply(np.array([0.99]))[0].round(2))
    0.73
    """
    # Half a second of imports that no other use of this room needs.
    from sklearn.linear_model import LogisticRegression

    judged = judged.dropna(subset="probability")
    there = judged["there"].to_numpy(dtype=bool)
    positives, negatives = int(there.sum()), int((~there).sum())
    if not positives or not negatives:
        raise RadbookError(
            "calibration needs findings that are there and some that are not, by curated labels; "
            f"here are {positives} and {negatives} with a stated probability"
        )
    # Each decision counts as there with the weight of its target and as not there with the rest.
    target = np.where(there, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    p = judged["probability"].to_numpy(dtype=float).clip(_CLIP, 1 - _CLIP)
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        np.tile(logit(p), 2)[:, None], np.repeat([1, 0], len(p)), np.concatenate([target, 1 - target])
    )
    return Calibration(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), n_decisions=len(p))


def reliability(judged: pd.DataFrame, *, column: str = "probability") -> pd.DataFrame:
    """Compare stated probabilities with how often the category is there.

    Parameters
    ----------
    judged
        As `judge` returns it.
    column
        Which probability: "probability" or "calibrated".

    Returns
    -------
    One row per tenth of the probability that is not empty: low_edge, high_edge, n (decisions), stated (their mean
    probability), observed (the share that is there), and low and high, its exact 95% interval with every decision for itself.

    Examples
    --------
    >>> judged = pd.DataFrame({"probability": [0.0] * 48 + [0.7] * 4, "there": [False] * 50 + [True] * 2})
    >>> table = reliability(judged)
    >>> table[["n", "stated", "observed"]].round(2).values.tolist()
    [[48.0, 0.0, 0.0], [4.0, 0.7, 0.5]]
    >>> round(calibration_error(table), 4)
    0.0154
    """
    decisions = pd.DataFrame({"p": judged[column].astype(float), "there": judged["there"]}).dropna()
    decisions = decisions.groupby((decisions["p"] * _BINS).astype(int).clip(upper=_BINS - 1).to_numpy())
    table = decisions.agg(n=("p", "size"), stated=("p", "mean"), observed=("there", "mean"))
    low, high = exact_interval(decisions["there"].sum(), table["n"])
    edges = {"low_edge": table.index / _BINS, "high_edge": (table.index + 1) / _BINS}
    return pd.DataFrame({**edges, **table, "low": low, "high": high}).reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error of a `reliability` table: how far stated and observed lie apart, on average.

    The mean is over decisions, so it is ruled by those that are easy; read the table beside it.
    """
    return float(((table["stated"] - table["observed"]).abs() * table["n"]).sum() / (table["n"].sum() or np.nan))
