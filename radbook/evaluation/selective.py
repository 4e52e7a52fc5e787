"""Selective prediction: what is left wrong if the reports whose answers are unsure are set aside.

A risk-coverage curve (El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification") sorts the
reports by certainty, keeps the most certain share (the coverage) and counts what is wrong among them (the risk).
Whoever sets reports aside has to read them, so a curve is worth its slope: one that stays level says nothing.
"""

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError
from radbook.evaluation.bootstrap import bootstrap_scores, ratio
from radbook.evaluation.comparison import Comparison

__all__ = ["certainty", "risk_coverage"]

COVERAGES = np.arange(1, 21) / 20  # shares of the reports that are kept
_COLUMNS = ["source", "coverage", "n_reports", "certainty", "wrong", "value", "low", "high"]


def certainty(stated: pd.DataFrame, *, column: str = "probability") -> pd.Series:
    """Return, per report, the probability of the answer given in its least certain decision; 0 where none is known.

    >>> rows = pd.DataFrame({"report_id": ["1", "1", "2"], "named": [True, False, True], "probability": [0.9, 0.3, None]})
    >>> certainty(rows).to_dict()
    {'1': 0.7, '2': 0.0}
    """
    p = stated[column].astype(float)
    answer = p.where(stated["named"].astype(bool), 1 - p).fillna(0.0)
    return answer.groupby(stated["report_id"].to_numpy(), sort=False).min().rename("certainty")


def risk_coverage(
    found: Comparison, certainty: pd.Series, *, n_bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Count what is wrong among the most certain reports, for each share of reports that is kept (5%, 10%, and so on).

    Parameters
    ----------
    found
        A source beside its reference, as `compare` returns it.
    certainty
        A number per report_id, the higher the surer; that of another labeler may be given, to see how the source does on
        the reports it would keep.
    n_bootstrap, seed
        As in `score`.

    Returns
    -------
    One row per coverage, none without a reference: source, coverage, n_reports (kept), certainty (of the least certain one
    kept), wrong (how many (report, label) decisions among the kept are), and value, low and high: their share of the
    decisions, with its 95% bootstrap interval over patients.
    Reports of equal certainty are kept in the order of the reference.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> from radbook.evaluation import compare
    >>> ids = [str(k) for k in range(20)]
    >>> truth = pd.DataFrame([label_row(i, "curated", "choice", [finding("Edema")]) for i in ids])
    >>> answers = truth.assign(source="student", findings=[[]] * 5 + truth["findings"].tolist()[5:])
    >>> sure = pd.Series([0.5] * 5 + [0.9] * 15, index=ids)
    >>> curve = risk_coverage(compare(truth, answers, task="choice"), sure)
    >>> curve[["coverage", "n_reports", "wrong", "value"]].iloc[[9, 19]].round(4).values.tolist()
    [[0.5, 10.0, 0.0, 0.0], [1.0, 20.0, 5.0, 0.0192]]
    """
    if not found.report_ids:
        return pd.DataFrame(columns=_COLUMNS)
    unknown = [i for i in found.report_ids if i not in certainty.index]
    if unknown:
        raise RadbookError(
            f"{len(unknown)} reports have no certainty ({unknown[0]!r} is the first): give one for each"
        )
    sure = certainty[list(found.report_ids)].to_numpy(dtype=float)
    order = np.argsort(-sure, kind="stable")
    kept_counts = np.maximum(1, np.round(COVERAGES * len(order)).astype(int))
    kept = np.argsort(order)[:, None] < kept_counts
    wrong, decided = (kept * cells.sum(axis=1)[:, None] for cells in (found.fp | found.fn, found.scored))
    counts = found.add_by_patient(np.hstack([wrong, decided]))
    value, low, high = bootstrap_scores(
        counts, lambda totals: ratio(*np.split(totals, 2, axis=-1)), n_bootstrap=n_bootstrap, seed=seed
    )
    return pd.DataFrame(
        {
            "source": found.source,
            "coverage": COVERAGES,
            "n_reports": kept_counts,
            "certainty": sure[order[kept_counts - 1]],
            "wrong": wrong.sum(axis=0),
            "value": value,
            "low": low,
            "high": high,
        }
    )[_COLUMNS]
