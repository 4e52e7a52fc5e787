"""The scorecard: precision, recall, F1 and exact match of any source, with intervals over patients.

One function scores every source, teacher or student, by the same rules, and every rule is a named parameter.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from math import nan

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.schema import SCORES, check
from radbook.evaluation.bootstrap import bootstrap_scores
from radbook.evaluation.comparison import Comparison, compare
from radbook.evaluation.label_matrix import POLICIES
from radbook.evaluation.metrics import check_zero_division, derive, score_names
from radbook.tasks import TASKS

__all__ = ["score", "score_all"]


def score(
    curated: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    level: str = "category",
    vocabulary: Sequence[str] | None = None,
    zero_division: float = nan,
) -> pd.DataFrame:
    """Score one source of labels against a reference.

    Parameters
    ----------
    curated, labels
        `labels` tables of one source each; only rows of `task` are read, and a `predictions` table will do.
    task
        "choice" or "open".
    policy
        What uncertain counts as, in the reference and in the answer: "certain" (absent), "u-one" (present)
        or "ignore" (the cell is left out where either side is uncertain).
    reports
        Table with report_id and patient_id: which reports to score and who shares a patient.
        None scores every report of the reference and takes each for a patient of its own.
    n_bootstrap, seed
        Draws of the 95% patient-level bootstrap (BCa, percentile where BCa is undefined).
    level
        Task "open" only: compare ICD-10 codes in full ("code"), by their first three characters ("category") or by
        the block these belong to ("block", such as J90-J94).
    vocabulary
        The labels to score. None takes the 13 categories for "choice" (name "Normal" in addition to score it
        as a class) and, for "open", every code in the whole reference table, at the same `level`.
    zero_division
        Value of a score whose denominator is 0: NaN, or a fraction.

    Returns
    -------
    A `scores` table.
    Labels are "micro" (pooled counts), "macro" and each label with metrics "precision", "recall", "f1", and
    "all" with "exact_match" (fraction of reports without any error).
    `attrs` counts what was not scored: "excluded" (reference rows that failed), "unreferenced" (reports
    without a reference row), "failed" (answers that failed; they count as empty, never as missing) and
    "outside_vocabulary" (code -> reports in which the source names it though the reference never codes it;
    neither right nor wrong).

    Raises
    ------
    RadbookError
        For an unknown task, policy or level, several sources in one table, a report without an answer, or
        nothing to score.

    Notes
    -----
    Precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), all fractions.
    "macro" is the mean over labels with at least one positive in the reference or the answers; scores that
    are NaN (precision of a label never predicted) are left out of it. Under resampling a rare label may drop
    out of a draw's mean.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> def table(source, *codes):
    ...     rows = [label_row(f"r{i}", source, "choice", [finding(c)]) for i, c in enumerate(codes)]
    ...     return pd.DataFrame(rows)
    >>> reference = table("curated", "Edema", "Edema", "Fracture", "Fracture")
    >>> answers = table("rules", "Edema", "Fracture", "Fracture", "Fracture")
    >>> scores = score(reference, answers, task="choice").set_index(["label", "metric"])
    >>> scores.value.loc[[("micro", "f1"), ("Fracture", "precision")]].round(3).tolist()
    [0.75, 0.667]
    """
    check_zero_division(zero_division)
    comparison = compare(
        curated, labels, task=task, policy=policy, reports=reports, level=level, vocabulary=vocabulary
    )
    values = bootstrap_scores(
        comparison.by_patient(),
        partial(derive, zero_division=zero_division),
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return _table(comparison, *values)


def score_all(
    curated: pd.DataFrame,
    tables: Iterable[pd.DataFrame],
    *,
    task: str | Sequence[str] = TASKS,
    policy: str | Sequence[str] = "certain",
    **options: object,
) -> pd.DataFrame:
    """Score every source in `tables`, for one or several tasks and policies, in one `scores` table.

    Parameters
    ----------
    curated
        The reference, as in `score`.
    tables
        `labels` or `predictions` tables; a table may hold several sources.
    task, policy
        One name or several.
    **options
        Passed to `score`: `reports`, `n_bootstrap`, `seed`, `level`, `vocabulary`, `zero_division`.

    Returns
    -------
    A `scores` table; `attrs["counts"]` maps "source/task/policy" to the counts that `score` gives, and
    `attrs["skipped"]` lists each "source/task" that has no rows, or no reference.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> reference = pd.DataFrame([label_row("r", "curated", "choice", [finding("Edema")])])
    >>> sources = [reference.assign(source=name) for name in ("rules", "student:a")]
    >>> scores = score_all(reference, sources, policy=list(POLICIES))
    >>> scores.groupby(["source", "policy"]).size().unique().tolist()
    [46]
    >>> scores.attrs["skipped"]
    ['rules/open', 'student:a/open']
    """
    tasks = [choose(t, TASKS, "task") for t in ([task] if isinstance(task, str) else task)]
    policies = [choose(p, POLICIES, "policy") for p in ([policy] if isinstance(policy, str) else policy)]
    parts, counts, skipped = [], {}, []
    for table in tables:
        for source, rows in table.groupby("source", sort=False):
            for name in tasks:
                if not ((rows["task"] == name).any() and (curated["task"] == name).any()):
                    skipped.append(f"{source}/{name}")
                    continue
                for reading in policies:
                    part = score(curated, rows, task=name, policy=reading, **options)
                    counts[f"{source}/{name}/{reading}"] = part.attrs
                    parts.append(part)
    if not parts:
        raise RadbookError(
            f"nothing to score: no source has both rows and a reference for {' or '.join(tasks)}"
        )
    # pandas keeps attrs only if all are equal, so they are set after joining.
    for part in parts:
        part.attrs = {}
    scores = check(pd.concat(parts, ignore_index=True), SCORES)
    scores.attrs = {"counts": counts, "skipped": skipped}
    return scores


def _table(comparison: Comparison, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    positives = dict(zip(comparison.labels, comparison.n_positive.tolist(), strict=True))
    names = score_names(comparison.labels)
    frame = pd.DataFrame(
        {
            "task": comparison.task,
            "source": comparison.source,
            "reference": comparison.reference,
            "policy": comparison.policy,
            "label": [label for label, _ in names],
            "metric": [metric for _, metric in names],
            "value": value,
            "low": low,
            "high": high,
            "n_reports": len(comparison.report_ids),
            "n_patients": comparison.n_patients,
            "n_positive": [positives.get(label, sum(positives.values())) for label, _ in names],
        }
    )
    frame.attrs = dict(comparison.notes)
    return frame
