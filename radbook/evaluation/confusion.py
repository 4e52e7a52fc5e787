"""Which answers are wrong: counts per label with exact intervals, and a list of every false negative and false positive.

The tables call a false negative a "miss" and a false positive an "invention".
"""

import pandas as pd

from radbook.evaluation.bootstrap import exact_interval, ratio
from radbook.evaluation.comparison import CELL, Comparison

__all__ = ["confusion", "disagreements"]

_EVIDENCE = ["phrase", "start", "end", "rule"]


def confusion(found: Comparison) -> pd.DataFrame:
    """Count tp, fp, fn and tn per label, with sensitivity, specificity and their exact intervals.

    Parameters
    ----------
    found
        A source beside its reference, as `compare` returns it.

    Returns
    -------
    One row per label, none without a reference: source, label, tp, fp, fn, tn, n_positive (reports), and sensitivity and
    specificity (fractions), each with `_low` and `_high`; NaN where there is nothing to count.

    Notes
    -----
    Exact intervals take reports as independent; where many patients have several reports they are a little
    too narrow.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> from radbook.evaluation import compare
    >>> rows = [label_row(str(i), "curated", "choice", [finding("Edema")]) for i in range(4)]
    >>> reference = pd.DataFrame(rows)
    >>> found = compare(reference, reference.assign(source="rules"), task="choice")
    >>> table = confusion(found).set_index("label")
    >>> table.loc["Edema", ["tp", "sensitivity", "sensitivity_low"]].astype(float).round(3).tolist()
    [4.0, 1.0, 0.398]
    """
    tp, fp, fn, tn = (cells.sum(axis=0) for cells in (found.tp, found.fp, found.fn, found.tn))
    columns = {"tp": tp, "fp": fp, "fn": fn, "tn": tn, "n_positive": tp + fn}
    for name, hits, tries in (("sensitivity", tp, tp + fn), ("specificity", tn, tn + fp)):
        low, high = exact_interval(hits, tries)
        columns |= {name: ratio(hits, tries), f"{name}_low": low, f"{name}_high": high}
    frame = pd.DataFrame({"source": found.source, "label": list(found.labels), **columns})
    return frame if found.report_ids else frame.iloc[:0]


def disagreements(found: Comparison) -> pd.DataFrame:
    """List each false negative ("miss") and false positive ("invention") that `score` counts, with evidence.

    Parameters
    ----------
    found
        A source beside its reference, as `compare` returns it.

    Returns
    -------
    One row per wrong cell, sorted by kind, code and report: report_id, code, kind, `curated` and `predicted`
    ("present", "uncertain", "absent" or "not mentioned"), phrase, start, end, rule, status.
    The evidence is the reference's for a miss and the source's for an invention; status is that of the
    source's answer.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> from radbook.evaluation import compare
    >>> wet = finding("Edema", phrase="wet lungs")
    >>> reference = pd.DataFrame([label_row("r", "curated", "choice", [wet])])
    >>> answer = pd.DataFrame([label_row("r", "rules", "choice", [finding("Edema", "uncertain")])])
    >>> wrong = disagreements(compare(reference, answer, task="choice"))
    >>> wrong[["kind", "code", "predicted", "phrase"]].values.tolist()
    [['miss', 'Edema', 'uncertain', 'wet lungs']]
    """
    kinds = found.outcomes()
    kinds = kinds[kinds != "right"]
    frame = found.at(kinds.index).assign(kind=kinds.array)
    truth, answers = found.findings
    # Nobody says "Normal" of a report in so many words, so an error in it has no evidence.
    evidence = [(truth if kind == "miss" else answers).get(cell, {}) for cell, kind in kinds.items()]
    frame[_EVIDENCE] = pd.DataFrame(evidence, columns=_EVIDENCE, dtype=object)
    frame = frame.astype({"start": "Int64", "end": "Int64"}).sort_values(["kind", *CELL[::-1]], ignore_index=True)
    return frame[[*CELL, "kind", "curated", "predicted", *_EVIDENCE, "status"]]
