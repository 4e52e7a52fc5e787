"""Scores against curated labels that a corpus may not have.

Chapters run for every corpus, also for a table of reports that nobody labeled. Each function here does what its
namesake in `radbook.evaluation` does; without a reference it returns the same shape with unknown values or no rows.
`constant_labels` makes the baselines that read nothing.
"""

import math
from collections.abc import Iterable

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.core.schema import LABELS, SCORES
from radbook.evaluation.comparison import compare
from radbook.evaluation.confusion import DISAGREEMENT_COLUMNS, confusion, disagreements
from radbook.evaluation.error_slices import decisions
from radbook.evaluation.error_transfer import fates
from radbook.evaluation.metrics import score_names
from radbook.evaluation.paired import paired_difference, paired_table
from radbook.evaluation.power import SIZES, paired_power
from radbook.evaluation.scores import score_all
from radbook.tasks import TASKS, task_of

__all__ = [
    "confusion_of",
    "constant_labels",
    "counts_of",
    "difference_of",
    "disagreements_of",
    "fates_of",
    "has_reference",
    "paired_power_of",
    "paired_table_of",
    "scores_of",
]


def has_reference(
    curated: pd.DataFrame, task: str | None = None, *, reports: pd.DataFrame | None = None
) -> bool:
    """Say whether `curated` can be scored against: for one task or for any, on `reports` or on all it has.

    The open task takes a code as well: what is scored there are the codes that the whole reference names.

    >>> rows = pd.DataFrame([label_row("1", "curated", task, []) for task in ("choice", "open")])
    >>> has_reference(rows, "choice"), has_reference(rows, "open"), has_reference(rows, reports=rows.iloc[:0])
    (True, False, False)
    """
    if task is None:
        return any(has_reference(curated, name, reports=reports) for name in TASKS)
    rows = curated[curated["task"] == task]
    if not task_of(task).codes and not any(len(findings) for findings in rows["findings"]):
        return False
    if reports is not None:
        rows = rows[rows["report_id"].isin(reports["report_id"])]
    return bool((rows["status"] != "failed").any())


def constant_labels(
    report_ids: Iterable[str], codes: Iterable[str], *, task: str, source: str
) -> pd.DataFrame:
    """Give every report the same findings: the baselines "always Normal" (no codes) and "always the most frequent".

    >>> constant_labels(["1", "2"], ["Edema"], task="choice", source="always Edema")["findings"].str.len().tolist()
    [1, 1]
    """
    findings = [finding(code) for code in codes]
    rows = [label_row(report_id, source, task, list(findings)) for report_id in report_ids]
    return pd.DataFrame(rows, columns=list(LABELS.columns))


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
    if has_reference(curated, task, reports=options.get("reports")):
        return score_all(curated, tables, task=task, policy=policy, **options)
    names = score_names(task_of(task).codes)
    sources = [table["source"].iloc[0] for table in tables if len(table)]
    rows = [(task, s, "none", policy, *name) for s in sources for name in names]
    frame = pd.DataFrame(rows, columns=list(SCORES.key))
    unknown = dict.fromkeys(("value", "low", "high"), math.nan) | dict.fromkeys(
        ("n_reports", "n_patients", "n_positive"), 0
    )
    return frame.assign(**unknown)[list(SCORES.columns)]


def difference_of(
    curated: pd.DataFrame,
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    label: str = "micro",
    metric: str = "f1",
    **options: object,
) -> dict[str, object]:
    """Compare like `paired_difference`; where there is no reference or one side has no rows, every value is unknown.

    >>> rows = pd.DataFrame([label_row("1", "rules", "choice", [])])
    >>> unknown = difference_of(rows.iloc[:0], rows, rows, task="choice", label="Edema", metric="recall")
    >>> unknown["a"], unknown["label"], unknown["metric"], unknown["value"]
    ('rules', 'Edema', 'recall', nan)
    """
    asked = {"task": task, "policy": policy, "label": label, "metric": metric}
    if _comparable(curated, a, b, task, options):
        return paired_difference(curated, a, b, **asked, **options)
    names = {"a": "".join(a["source"].head(1)), "b": "".join(b["source"].head(1)), **asked}
    counts = dict.fromkeys(("n_reports", "n_patients", "n_positive"), 0)
    return names | counts | dict.fromkeys(("value", "low", "high", "p", "value_a", "value_b"), math.nan)


def paired_table_of(
    curated: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, *, task: str, **options: object
) -> pd.DataFrame:
    """Compare like `paired_table`; where there is no reference or one side has no rows, every value is unknown.

    >>> rows = pd.DataFrame([label_row("1", "rules", "choice", [])])
    >>> unknown = paired_table_of(rows.iloc[:0], rows, rows, task="choice")
    >>> len(unknown), unknown.attrs["family"], int(unknown["value"].notna().sum())
    (15, [], 0)
    """
    if _comparable(curated, a, b, task, options):
        return paired_table(curated, a, b, task=task, **options)
    labels = task_of(task).codes
    names = ("value_a", "value_b", "value", "low", "high", "p", "p_holm")
    frame = pd.DataFrame(
        {"label": ["micro", "macro", *labels], **dict.fromkeys(names, math.nan), "n_positive": 0}
    )
    frame.attrs = {"few": list(labels), "family": [], "n_reports": 0, "n_patients": 0}
    return frame


def paired_power_of(
    curated: pd.DataFrame,
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    task: str,
    gap: float,
    **options: object,
) -> pd.DataFrame:
    """Play test sets through like `paired_power`; where there is no reference or one side has no rows, nothing is known.

    >>> rows = pd.DataFrame([label_row("1", "rules", "choice", [])])
    >>> paired_power_of(rows.iloc[:0], rows, rows, task="choice", gap=0.04)["width"].isna().all().item()
    True
    """
    if _comparable(curated, a, b, task, options):
        return paired_power(curated, a, b, task=task, gap=gap, **options)
    names = ("width", "width_low", "width_high", "told", "told_gap")
    frame = pd.DataFrame({"n_reports": options.get("sizes", SIZES), "n_patients": 0, **dict.fromkeys(names, math.nan)})
    frame.attrs = {"value": math.nan, "error": math.nan, "n_reports": 0, "gap": gap}
    return frame


def counts_of(curated: pd.DataFrame, labels: pd.DataFrame, *, task: str, **options: object) -> pd.DataFrame:
    """Count tp, fp and fn per report, and whether anything is wrong about it; no rows where there is no reference.

    >>> rows = pd.DataFrame([label_row("1", "rules", "choice", [])])
    >>> counts_of(rows.assign(source="curated"), rows, task="choice").loc["1"].astype(int).to_dict()
    {'tp': 0, 'fp': 0, 'fn': 0, 'wrong': 0}
    """
    if not has_reference(curated, task, reports=options.get("reports")):
        return pd.DataFrame(columns=["tp", "fp", "fn", "wrong"], dtype=float)
    found = compare(curated, labels, task=task, **options)
    cells = {name: getattr(found, name).sum(axis=1) for name in ("tp", "fp", "fn")}
    return pd.DataFrame({**cells, "wrong": cells["fp"] + cells["fn"] > 0}, index=list(found.report_ids))


def confusion_of(
    curated: pd.DataFrame, labels: pd.DataFrame, *, task: str, **options: object
) -> pd.DataFrame:
    """Count like `confusion`; no rows where there is no reference."""
    if has_reference(curated, task, reports=options.get("reports")):
        return confusion(curated, labels, task=task, **options)
    measures = [f"{m}{end}" for m in ("sensitivity", "specificity") for end in ("", "_low", "_high")]
    return pd.DataFrame(columns=["source", "label", "tp", "fp", "fn", "tn", "n_positive", *measures])


def disagreements_of(
    curated: pd.DataFrame, labels: pd.DataFrame, *, task: str, **options: object
) -> pd.DataFrame:
    """List errors like `disagreements`; no rows where there is no reference."""
    if has_reference(curated, task, reports=options.get("reports")):
        return disagreements(curated, labels, task=task, **options)
    return pd.DataFrame(columns=DISAGREEMENT_COLUMNS)


def fates_of(
    curated: pd.DataFrame, teacher: pd.DataFrame, student: pd.DataFrame, *, task: str, **options: object
) -> pd.Series:
    """Follow errors like `fates`, from the labels of both; no entries where there is no reference or one has no rows.

    >>> reports = pd.DataFrame({"report_id": ["r"], "patient_id": ["p"]})
    >>> truth, rules, student = (
    ...     pd.DataFrame([label_row("r", name, "choice", [finding("Edema")] if name != "rules" else [])])
    ...     for name in ("curated", "rules", "student")
    ... )
    >>> fates_of(truth, rules, student, task="choice", reports=reports).to_dict()
    {('r', 'Edema'): 'corrected'}
    """
    if not _comparable(curated, teacher, student, task, options):
        return pd.Series(dtype=object, name="fate")
    decided = decisions(curated, [teacher, student], task=task, **options)
    return fates(decided, teacher=teacher["source"].iloc[0], student=student["source"].iloc[0])


def _comparable(
    curated: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, task: str, options: dict[str, object]
) -> bool:
    known = has_reference(curated, task, reports=options.get("reports"))
    return known and all((table["task"] == task).any() for table in (a, b))
