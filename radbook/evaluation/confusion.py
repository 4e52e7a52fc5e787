"""Which answers are wrong: lists of them, confusion counts with exact intervals, agreement of sources."""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import strongest
from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.comparison import compare, rows_of
from radbook.evaluation.label_matrix import POLICIES, fill_matrix
from radbook.tasks import task_of

__all__ = ["DISAGREEMENT_COLUMNS", "agreement", "confusion", "deciding", "disagreements"]

_EVIDENCE = ("phrase", "start", "end", "rule")
DISAGREEMENT_COLUMNS = ["report_id", "code", "kind", "curated", "predicted", *_EVIDENCE, "status"]


def disagreements(
    curated: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    level: str = "category",
) -> pd.DataFrame:
    """List each false negative ("miss") and false positive ("invention") that `score` counts, with evidence.

    Parameters
    ----------
    curated, labels, task, policy, reports, level
        As in `score`.

    Returns
    -------
    One row per wrong cell, sorted by kind, code and report: report_id, code, kind, `curated` and `predicted`
    ("present", "uncertain", "absent" or "not mentioned"), phrase, start, end, rule, status.
    The evidence is the reference's for a miss and the source's for an invention; status is that of the
    source's answer.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> wet = finding("Edema", phrase="wet lungs")
    >>> reference = pd.DataFrame([label_row("r", "curated", "choice", [wet])])
    >>> answer = pd.DataFrame([label_row("r", "rules", "choice", [finding("Edema", "uncertain")])])
    >>> wrong = disagreements(reference, answer, task="choice")
    >>> wrong[["kind", "code", "predicted", "phrase"]].values.tolist()
    [['miss', 'Edema', 'uncertain', 'wet lungs']]
    """
    found = compare(curated, labels, task=task, policy=policy, reports=reports, level=level)
    key = task_of(task).key(level)
    reference, answers = (deciding(rows_of(t, task, "the labels"), key) for t in (curated, labels))
    status = labels[labels["task"] == task].set_index("report_id")["status"]
    rows = []
    for kind, cells in (("invention", found.fp), ("miss", found.fn)):
        for column, row in np.argwhere(cells.T):
            cell = (found.report_ids[row], found.labels[column])
            said, heard = reference.get(cell, {}), answers.get(cell, {})
            evidence = said if kind == "miss" else heard
            rows.append(
                {
                    "report_id": cell[0],
                    "code": cell[1],
                    "kind": kind,
                    "curated": said.get("presence", "not mentioned"),
                    "predicted": heard.get("presence", "not mentioned"),
                    **{name: evidence.get(name) for name in _EVIDENCE},
                    "status": status[cell[0]],
                }
            )
    frame = pd.DataFrame(rows, columns=DISAGREEMENT_COLUMNS).astype({"start": "Int64", "end": "Int64"})
    frame.attrs = dict(found.notes)
    return frame.sort_values(["kind", "code", "report_id"], ignore_index=True)


def confusion(
    curated: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Count tp, fp, fn and tn per label, with sensitivity, specificity and their exact intervals.

    Parameters
    ----------
    curated, labels, task, policy, reports
        As in `score`; codes of the open task are compared by category.

    Returns
    -------
    One row per label: source, label, tp, fp, fn, tn, n_positive (reports), and sensitivity and specificity
    (fractions), each with `_low` and `_high`; NaN where there is nothing to count.

    Notes
    -----
    Exact intervals take reports as independent; where many patients have several reports they are a little
    too narrow.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> rows = [label_row(str(i), "curated", "choice", [finding("Edema")]) for i in range(4)]
    >>> reference = pd.DataFrame(rows)
    >>> table = confusion(reference, reference.assign(source="rules"), task="choice").set_index("label")
    >>> table.loc["Edema", ["tp", "sensitivity", "sensitivity_low"]].astype(float).round(3).tolist()
    [4.0, 1.0, 0.398]
    """
    found = compare(curated, labels, task=task, policy=policy, reports=reports)
    tp, fp, fn, tn = (cells.sum(axis=0) for cells in (found.tp, found.fp, found.fn, found.tn))
    columns = {"tp": tp, "fp": fp, "fn": fn, "tn": tn, "n_positive": tp + fn}
    for name, hits, tries in (("sensitivity", tp, tp + fn), ("specificity", tn, tn + fp)):
        low, high = exact_interval(hits, tries)
        value = np.divide(hits, tries, out=np.full(len(hits), np.nan), where=tries > 0)
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
    frame = pd.DataFrame({"source": found.source, "label": list(found.labels), **columns})
    frame.attrs = dict(found.notes)
    return frame


def agreement(
    tables: Iterable[pd.DataFrame],
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Micro-F1 of every two sources, which is the same in both directions: how far they agree, none taken for the truth.

    Parameters
    ----------
    tables
        `labels` tables, one source each.
    task, policy
        As in `score`; the labels compared are the 13 categories, or the category of every code that any source names.
    reports
        Which reports to compare; None compares those that every source has.

    Returns
    -------
    A square table, sources by sources. `attrs["n_reports"]` is the number compared, `attrs["excluded"]` the
    number left out because at least one source failed on them.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> one = pd.DataFrame([label_row("r", "one", "choice", [finding("Edema")])])
    >>> two = pd.DataFrame([label_row("r", "two", "choice", [finding("Edema"), finding("Fracture")])])
    >>> agreement([one, two], task="choice").round(2).values.tolist()
    [[1.0, 0.67], [0.67, 1.0]]
    """
    choose(policy, POLICIES, "policy")
    rows = [rows_of(table, task, "the labels") for table in tables]
    names = [table["source"].iloc[0] for table in rows]
    if not names:
        raise RadbookError("agreement: there is no labels table to compare")
    if len(set(names)) < len(names):
        raise RadbookError(f"sources repeat: {', '.join(names)}")
    shared = set.intersection(*(set(table["report_id"]) for table in rows))
    if reports is not None:
        shared &= set(reports["report_id"])
    failed = {r for table in rows for r in table.loc[table["status"] == "failed", "report_id"]} & shared
    report_ids = sorted(shared - failed)
    if not report_ids:
        raise RadbookError(f"task {task}: {', '.join(names)} have no report in common that none failed on")
    key = task_of(task).key()
    codes = task_of(task).codes or _codes(rows, key)
    matrices = [fill_matrix(table, report_ids, codes, key, policy) for table in rows]
    frame = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for (i, one), (j, two) in combinations(enumerate(matrices), 2):
        frame.iloc[i, j] = frame.iloc[j, i] = _f1(one, two)
    frame.attrs = {"n_reports": len(report_ids), "excluded": len(failed)}
    return frame


def _codes(tables: Sequence[pd.DataFrame], key) -> list[str]:
    return sorted({key(f["code"]) for table in tables for findings in table["findings"] for f in findings})


def _f1(one: np.ndarray, two: np.ndarray) -> float:
    both = (one >= 0) & (two >= 0)
    a, b = one[both] == 1, two[both] == 1
    named = a.sum() + b.sum()
    return float(2 * (a & b).sum() / named) if named else float("nan")


def deciding(table: pd.DataFrame, key) -> dict[tuple[str, str], dict]:
    """Return, per report and label of `key`, the finding that decided the cell; answers that failed say nothing.

    >>> from radbook.core.findings import finding, label_row
    >>> twice = [finding("J90", "absent"), finding("J90")]
    >>> deciding(pd.DataFrame([label_row("r", "rules", "open", twice)]), str)["r", "J90"]["presence"]
    'present'
    """
    answered = table[table["status"] != "failed"]
    rows = zip(answered["report_id"], answered["findings"], strict=True)
    return strongest(((report, key(entry["code"])), entry) for report, findings in rows for entry in findings)
