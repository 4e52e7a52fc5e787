"""What became of errors: those of the teacher that the student corrected or shares, and those that it added.

A share of corrected errors says little alone: `also_wrong` asks how much of the rest another labeler, such as the untuned
base, gets wrong as well, and a sign test (`scipy.stats.binomtest`) whether more was corrected than added.
"""

import numpy as np
import pandas as pd

from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.comparison import CELL

__all__ = ["FATES", "PAIRS", "also_wrong", "fates", "pairs"]

FATES = ("corrected", "shared", "added")
PAIRS = (
    "both right",
    "only the student wrong",
    "only the teacher wrong",
    "both wrong alike",
    "both wrong differently",
)


def fates(decided: pd.DataFrame, *, teacher: str, student: str) -> pd.Series:
    """Say what became of each error: corrected (the teacher's alone), shared (of both) or added (the student's alone).

    No entries where `decided` (of `radbook.evaluation.error_slices.decisions`) holds none of the two.

    >>> cells = pd.DataFrame({"report_id": "r", "code": ["Edema", "Edema", "Fracture", "Fracture"]})
    >>> decided = cells.assign(source=["rules", "student"] * 2, outcome=["miss", "right", "invention", "invention"])
    >>> fates(decided, teacher="rules", student="student").to_dict()
    {('r', 'Edema'): 'corrected', ('r', 'Fracture'): 'shared'}
    """
    wrong = decided.assign(wrong=decided["outcome"] != "right").pivot(index=CELL, columns="source", values="wrong")
    if not {teacher, student} <= set(wrong):
        return pd.Series([], index=wrong.index[:0], name="fate", dtype=object)
    taught, learned = wrong[teacher].eq(True), wrong[student].eq(True)
    named = np.select([taught & learned, taught, learned], ["shared", "corrected", "added"], "")
    return pd.Series(named, index=wrong.index, name="fate", dtype=object)[named != ""]


def pairs(decided: pd.DataFrame, *, teacher: str, student: str) -> pd.DataFrame:
    """Count the reports whose whole answer teacher and student have right or wrong, alone or together.

    Two wrong answers are alike if they miss and invent the same labels.

    Returns
    -------
    Indexed by `PAIRS`: reports, and value, low and high (the share of all reports, with its exact 95% interval).

    Examples
    --------
    >>> decided = pd.DataFrame({"report_id": "r", "code": "Edema", "source": ["rules"], "outcome": "miss"})
    >>> decided.attrs["n_reports"] = 4  # the other three have no error
    >>> pairs(decided, teacher="rules", student="student").loc[["both right", "only the teacher wrong"], "value"].tolist()
    [0.75, 0.25]
    """
    wrong = decided[decided["outcome"] != "right"]
    errors = (wrong["code"] + " " + wrong["outcome"]).groupby([wrong["report_id"], wrong["source"]]).agg(frozenset)
    errors = errors.unstack().reindex(columns=[teacher, student])
    taught, learned = errors[teacher], errors[student]
    alone = [taught.isna(), learned.isna(), taught == learned]
    named = pd.Series(np.select(alone, ["only the student wrong", "only the teacher wrong", "both wrong alike"], PAIRS[-1]))
    counts = named.value_counts().reindex(PAIRS, fill_value=0)
    n_reports = decided.attrs["n_reports"]
    counts["both right"] = n_reports - len(named)
    low, high = exact_interval(counts.to_numpy(), np.full(len(PAIRS), n_reports))
    return pd.DataFrame({"reports": counts, "value": counts / max(n_reports, 1), "low": low, "high": high})


def also_wrong(fate: pd.Series, other: pd.Series) -> dict[str, int]:
    """Count how many of the errors that are shared, and of those that were added, another labeler makes as well.

    `fate` and `other` are the `fates` of two labelers beside the same teacher, on the same reports.

    >>> cells = pd.MultiIndex.from_tuples([("r", "Edema"), ("r", "Fracture"), ("s", "Edema")])
    >>> student = pd.Series(["shared", "added", "added"], index=cells)
    >>> base = pd.Series(["shared", "added", "corrected"], index=cells)
    >>> also_wrong(student, base)
    {'shared': 1, 'added': 1}
    """
    own = other.index[other != "corrected"]
    return {name: int(fate.index[fate == name].isin(own).sum()) for name in ("shared", "added")}
