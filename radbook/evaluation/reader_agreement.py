"""Inter-annotator agreement: how far sources agree, what it says of the labels they share, and how high a score can be.

Where two people read the same reports, neither is the truth.
A source that agrees with one of them as well as the other does cannot be shown to be worse than a reader; above that height
a score measures one reader's habits.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import nan

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.comparison import compare, rows_of
from radbook.evaluation.label_matrix import POLICIES, strongest_findings
from radbook.evaluation.paired import paired_difference
from radbook.evaluation.scores import score
from radbook.instructions.build import agreed_reports
from radbook.tasks import TASKS, present_codes, task_of

__all__ = ["agreement", "ceiling", "quality_of_agreement"]

_DISTANCE = ("distance", "distance_low", "distance_high", "p")


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
    rows = [_answers(table, task) for table in tables]
    names = [table["source"].iloc[0] for table in rows]
    if not names:
        raise RadbookError("agreement: there is no labels table to compare")
    if len(set(names)) < len(names):
        raise RadbookError(f"sources repeat: {', '.join(names)}")
    shared = pd.concat([table.set_index("report_id")["status"] for table in rows], axis=1, join="inner")
    if reports is not None:
        shared = shared[shared.index.isin(reports["report_id"])]
    failed = (shared == "failed").any(axis=1)
    report_ids = list(shared.index[~failed])
    if not report_ids:
        raise RadbookError(f"task {task}: {', '.join(names)} have no report in common that none failed on")
    key = task_of(task).key()
    codes = task_of(task).codes or sorted({code for table in rows for _, code in strongest_findings(table, key)})
    both = pd.DataFrame({"report_id": report_ids, "patient_id": report_ids})
    frame = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for (i, one), (j, two) in combinations(enumerate(rows), 2):
        found = compare(one, two, task=task, policy=policy, reports=both, vocabulary=codes or None)
        hits, errors = found.tp.sum(), (found.fp | found.fn).sum()
        frame.iloc[i, j] = frame.iloc[j, i] = 2 * hits / (2 * hits + errors) if hits + errors else nan
    frame.attrs = {"n_reports": len(report_ids), "excluded": int(failed.sum())}
    return frame


def ceiling(
    readers: Sequence[pd.DataFrame],
    sources: Iterable[pd.DataFrame],
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Score two readers against each other and every source against both, with its distance to the readers' agreement.

    Parameters
    ----------
    readers
        The `labels` tables of two readers.
    sources
        `labels` tables of one source each.
    task, policy, reports, n_bootstrap, seed
        As in `score`.

    Returns
    -------
    Micro-F1, one row per source and reader, the readers' own agreement first: source, reference, value, low, high,
    distance (the source's agreement with that reader minus the other reader's), distance_low, distance_high and p (of
    `paired_difference`), n_reports and n_patients.
    The readers' row has no distance.

    Notes
    -----
    In the choice task the readers agree to the same degree in both directions, because what one misses the other invents.
    In the open task each direction has its own vocabulary, that of the reference, and so its own height.

    Examples
    --------
    >>> from radbook.core.findings import label_row, finding
    >>> def table(source, n):
    ...     rows = [label_row(str(i), source, "choice", [finding("Edema")] * (i < n)) for i in range(20)]
    ...     return pd.DataFrame(rows)
    >>> found = ceiling([table("reader 1", 10), table("reader 2", 9)], [table("rules", 6)], task="choice")
    >>> found[["source", "reference", "value", "distance"]].round(2).values.tolist()
    [['reader 2', 'reader 1', 0.95, nan], ['rules', 'reader 1', 0.75, -0.2], ['rules', 'reader 2', 0.8, -0.15]]
    """
    if len(readers) != 2:
        raise RadbookError(f"a ceiling takes two readers, not {len(readers)}")
    options = {"task": task, "policy": policy, "reports": reports, "n_bootstrap": n_bootstrap, "seed": seed}
    one, two = (_answers(reader, task) for reader in readers)
    name = one["source"].iloc[0]
    if name == two["source"].iloc[0]:
        raise RadbookError(f"both readers are called {name!r}: rename the source of one")
    rows = [_micro(score(one, two, **options)) | dict.fromkeys(_DISTANCE, nan)]
    for source in sources:
        for reader, other in ((one, two), (two, one)):
            found = paired_difference(reader, source, other, **options)
            away = dict(zip(_DISTANCE, (found[name] for name in ("value", "low", "high", "p")), strict=True))
            rows.append(_micro(score(reader, source, **options)) | away)
    columns = ["source", "reference", "value", "low", "high", *_DISTANCE, "n_reports", "n_patients"]
    return pd.DataFrame(rows)[columns]


def quality_of_agreement(
    labels: pd.DataFrame, second_opinion: pd.DataFrame, reference: pd.DataFrame
) -> pd.DataFrame:
    """Count how many labels a second opinion shares and disputes, and how many of each a reference shares exactly.

    Parameters
    ----------
    labels, second_opinion, reference
        `labels` tables; only reports that the second one was asked about, and whose reference has not failed, count.

    Returns
    -------
    pandas.DataFrame
        Indexed by task and "agreed" or "disputed": `reports`, `right` (as the reference has it), and the share of these as
        `value` with its exact 95% interval, `low` and `high`.
    """
    rows = []
    for task in TASKS.values():
        given, true = (present_codes(table, task=task.name) for table in (labels, reference))
        agreed = agreed_reports(labels, second_opinion, task)
        read = set(second_opinion.loc[second_opinion["task"] == task.name, "report_id"])
        for name, ids in (("agreed", agreed), ("disputed", (given.keys() & read) - agreed)):
            ids = [i for i in ids if i in true]
            right = sum(given[i] == true[i] for i in ids)
            rows.append({"task": task.name, "second opinion": name, "reports": len(ids), "right": right})
    frame = pd.DataFrame(rows).set_index(["task", "second opinion"])
    low, high = exact_interval(frame["right"].to_numpy(), frame["reports"].to_numpy())
    return frame.assign(value=frame["right"] / frame["reports"], low=low, high=high)


def _answers(table: pd.DataFrame, task: str) -> pd.DataFrame:
    rows = rows_of(table, task)
    if rows.empty:
        raise RadbookError(f"task {task}: no rows in the labels")
    return rows


def _micro(scores: pd.DataFrame) -> dict[str, object]:
    row = scores[(scores["label"] == "micro") & (scores["metric"] == "f1")].iloc[0]
    return row[["source", "reference", "value", "low", "high", "n_reports", "n_patients"]].to_dict()
