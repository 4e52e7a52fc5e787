"""What became of errors: those of the teacher that the student corrected or shares, and those that it added.

A share of corrected errors says little alone: `sign_test` asks whether more was corrected than added, and `also_wrong` how
much of it another labeler, such as the untuned base, gets wrong as well.
"""

from collections import Counter

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from radbook.evaluation.bootstrap import exact_interval

__all__ = ["FATES", "PAIRS", "also_wrong", "fates", "pairs", "sign_test"]

FATES = ("corrected", "shared", "added")
PAIRS = (
    "both right",
    "only the student wrong",
    "only the teacher wrong",
    "both wrong alike",
    "both wrong differently",
)
_CELL = ["report_id", "code"]


def fates(decided: pd.DataFrame, *, teacher: str, student: str) -> pd.Series:
    """Say what became of each error: corrected (the teacher's alone), shared (of both) or added (the student's alone).

    >>> cells = pd.DataFrame({"report_id": "r", "code": ["Edema", "Edema", "Fracture", "Fracture"]})
    >>> decided = cells.assign(source=["rules", "student"] * 2, outcome=["miss", "right", "invention", "invention"])
    >>> fates(decided, teacher="rules", student="student").to_dict()
    {('r', 'Edema'): 'corrected', ('r', 'Fracture'): 'shared'}
    """
    taught, learned = (_wrong(decided, source) for source in (teacher, student))
    both = {cell: "shared" if cell in learned else "corrected" for cell in taught}
    both |= {cell: "added" for cell in learned if cell not in taught}
    index = (
        pd.MultiIndex.from_tuples(sorted(both), names=_CELL)
        if both
        else pd.MultiIndex.from_arrays([[], []], names=_CELL)
    )
    return pd.Series([both[cell] for cell in index], index=index, name="fate", dtype=object)


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
    taught, learned = ({} for _ in range(2))
    for answers, source in ((taught, teacher), (learned, student)):
        for (report_id, code), outcome in _wrong(decided, source).items():
            answers.setdefault(report_id, set()).add((code, outcome))
    named = [_pair(taught.get(r), learned.get(r)) for r in taught.keys() | learned.keys()]
    n_reports = decided.attrs["n_reports"]
    counts = pd.Series(Counter(named)).reindex(PAIRS, fill_value=0).astype(int)
    counts["both right"] = n_reports - len(named)
    low, high = exact_interval(counts.to_numpy(), np.full(len(PAIRS), n_reports))
    return pd.DataFrame({"reports": counts, "value": counts / max(n_reports, 1), "low": low, "high": high})


def sign_test(corrected: int, added: int) -> float:
    """Return the two-sided p of the exact sign test (McNemar's exact test): was as much corrected as added, but for chance?

    Errors of both sides say nothing about it. NaN where there is no other; decisions are taken as independent.

    >>> round(sign_test(8, 1), 3), sign_test(0, 0)
    (0.039, nan)
    """
    if not corrected + added:
        return float("nan")
    return float(binomtest(int(corrected), int(corrected + added)).pvalue)


def also_wrong(fate: pd.Series, other: pd.Series) -> dict[str, int]:
    """Count how many of the errors that are shared, and of those that were added, another labeler makes as well.

    Parameters
    ----------
    fate, other
        `fates` of two labelers beside the same teacher, on the same reports.

    Examples
    --------
    >>> cells = pd.MultiIndex.from_tuples([("r", "Edema"), ("r", "Fracture"), ("s", "Edema")])
    >>> student = pd.Series(["shared", "added", "added"], index=cells)
    >>> base = pd.Series(["shared", "added", "corrected"], index=cells)
    >>> also_wrong(student, base)
    {'shared': 1, 'added': 1}
    """
    own = other.index[other != "corrected"]
    return {name: int(fate.index[fate == name].isin(own).sum()) for name in ("shared", "added")}


def _wrong(decided: pd.DataFrame, source: str) -> dict[tuple[str, str], str]:
    rows = decided[(decided["source"] == source) & (decided["outcome"] != "right")]
    return {(r, c): o for r, c, o in zip(rows["report_id"], rows["code"], rows["outcome"], strict=True)}


def _pair(taught: set | None, learned: set | None) -> str:
    if not taught:
        return "only the student wrong"
    if not learned:
        return "only the teacher wrong"
    return "both wrong alike" if taught == learned else "both wrong differently"
