"""Scores against curated labels that a corpus may not have.

Chapters run for every corpus, also for a table of reports that nobody labeled. Each function here does what its
namesake in `radbook.evaluation` does; without a reference it returns the same shape with unknown values or no rows.
`constant_labels` makes the baselines that read nothing.
"""

import math
from collections.abc import Iterable

import pandas as pd

from radbook.evaluation.counts import compare
from radbook.evaluation.errors import confusion, disagreements
from radbook.evaluation.intervals import paired_difference
from radbook.evaluation.scores import METRICS, score_all
from radbook.ontology import CATEGORIES
from radbook.schema import SCORES, finding, label_row

__all__ = [
    "confusion_of",
    "constant_labels",
    "counts_of",
    "difference_of",
    "disagreements_of",
    "has_reference",
    "scores_of",
]


def has_reference(curated: pd.DataFrame, task: str | None = None) -> bool:
    """Say whether any row of `curated` can be scored against (for one task, or for any)."""
    rows = curated if task is None else curated[curated["task"] == task]
    return bool((rows["status"] != "failed").any())


def constant_labels(
    report_ids: Iterable[str], codes: Iterable[str], *, task: str, source: str
) -> pd.DataFrame:
    """Give every report the same findings: the baselines "always Normal" (no codes) and "always the most frequent".

    >>> constant_labels(["1", "2"], ["Edema"], task="choice", source="always Edema")["findings"].str.len().tolist()
    [1, 1]
    """
    findings = [finding(code) for code in codes]
    return pd.DataFrame([label_row(report_id, source, task, list(findings)) for report_id in report_ids])


def scores_of(
    curated: pd.DataFrame,
    tables: Iterable[pd.DataFrame],
    *,
    task: str,
    policy: str = "certain",
    **options: object,
) -> pd.DataFrame:
    """Score like `score_all`; where the corpus has no curated labels, return the same table with unknown values.

    >>> rows = pd.DataFrame([label_row("1", "rules", "choice", [])])
    >>> unknown = scores_of(rows.iloc[:0], [rows], task="choice")
    >>> len(unknown), int(unknown["value"].notna().sum())
    (46, 0)
    """
    tables = [table[table["task"] == task] for table in tables]
    if has_reference(curated, task):
        return score_all(curated, tables, task=task, policy=policy, **options)
    names = [
        (label, m) for label in ("micro", "macro", *(CATEGORIES if task == "choice" else ())) for m in METRICS
    ]
    sources = [table["source"].iloc[0] for table in tables if len(table)]
    rows = [(task, s, "none", policy, *name) for s in sources for name in [*names, ("all", "exact_match")]]
    frame = pd.DataFrame(rows, columns=list(SCORES.key))
    unknown = dict.fromkeys(("value", "low", "high"), math.nan) | dict.fromkeys(
        ("n_reports", "n_patients", "n_positive"), 0
    )
    return frame.assign(**unknown)[list(SCORES.columns)]


def difference_of(
    curated: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, *, task: str, **options: object
) -> dict[str, object]:
    """Compare like `paired_difference`; where there is no reference or one side has no rows, every value is unknown."""
    if has_reference(curated, task) and (a["task"] == task).any() and (b["task"] == task).any():
        return paired_difference(curated, a, b, task=task, **options)
    names = {
        "a": "".join(a["source"].head(1)),
        "b": "".join(b["source"].head(1)),
        "task": task,
        "label": "micro",
        "metric": "f1",
    }
    counts = dict.fromkeys(("n_reports", "n_patients", "n_positive"), 0)
    return names | counts | dict.fromkeys(("value", "low", "high", "p", "value_a", "value_b"), math.nan)


def counts_of(curated: pd.DataFrame, labels: pd.DataFrame, *, task: str, **options: object) -> pd.DataFrame:
    """Count tp, fp and fn per report, and whether anything is wrong about it; no rows where there is no reference.

    >>> rows = pd.DataFrame([label_row("1", "rules", "choice", [])])
    >>> counts_of(rows.assign(source="curated"), rows, task="choice").loc["1"].astype(int).to_dict()
    {'tp': 0, 'fp': 0, 'fn': 0, 'wrong': 0}
    """
    if not has_reference(curated, task):
        return pd.DataFrame(columns=["tp", "fp", "fn", "wrong"], dtype=float)
    found = compare(curated, labels, task=task, **options)
    cells = {name: getattr(found, name).sum(axis=1) for name in ("tp", "fp", "fn")}
    return pd.DataFrame({**cells, "wrong": cells["fp"] + cells["fn"] > 0}, index=list(found.report_ids))


def confusion_of(
    curated: pd.DataFrame, labels: pd.DataFrame, *, task: str, **options: object
) -> pd.DataFrame:
    """Count like `confusion`; no rows where there is no reference."""
    if has_reference(curated, task):
        return confusion(curated, labels, task=task, **options)
    measures = [f"{m}{end}" for m in ("sensitivity", "specificity") for end in ("", "_low", "_high")]
    return pd.DataFrame(columns=["source", "label", "tp", "fp", "fn", "tn", "n_positive", *measures])


def disagreements_of(
    curated: pd.DataFrame, labels: pd.DataFrame, *, task: str, **options: object
) -> pd.DataFrame:
    """List errors like `disagreements`; no rows where there is no reference."""
    if has_reference(curated, task):
        return disagreements(curated, labels, task=task, **options)
    return pd.DataFrame(
        columns=[
            "report_id",
            "code",
            "kind",
            "curated",
            "predicted",
            "phrase",
            "start",
            "end",
            "rule",
            "status",
        ]
    )
