"""The scorecard: precision, recall, F1 and exact match of any source, with intervals over patients.

One function scores every source, teacher or student, by the same rules, and every rule is a named parameter.
One formula turns summed counts into scores, for points, bootstrap draws and permutations.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.schema import LABELS, SCORES, check
from radbook.evaluation.bootstrap import bootstrap_scores, ratio
from radbook.evaluation.comparison import Comparison, compare, rows_of

__all__ = ["FEW_POSITIVES", "METRICS", "constant_labels", "derive", "score", "score_names"]

METRICS = ("precision", "recall", "f1")
FEW_POSITIVES = 10  # a label with fewer is grayed and named: its score rests on a handful of reports


def score(
    curated: pd.DataFrame,
    labels: pd.DataFrame | Iterable[pd.DataFrame],
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    level: str = "category",
    vocabulary: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score one source of labels, or several, against a reference.

    Parameters
    ----------
    curated
        The reference, a `labels` table of one source. Where it has no rows of the task that did not fail, or only rows without
        any code in the open task, every value is unknown (NaN) and every count 0.
    labels
        A `labels` or `predictions` table of one source, or a list of such tables; only rows of `task` are read, and tables
        without any are left out of a list.
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

    Returns
    -------
    A `scores` table.
    Labels are "micro" (pooled counts), "macro" and each label with metrics "precision", "recall", "f1", and
    "all" with "exact_match" (fraction of reports without any error).
    `attrs` counts, by source, what was not scored: "excluded" (reference rows that failed), "unreferenced" (reports
    without a reference row), "failed" (answers that failed; they count as empty, never as missing) and
    "outside_vocabulary" (code -> reports in which the source names it though the reference never codes it;
    neither right nor wrong).

    Raises
    ------
    RadbookError
        For an unknown task, policy or level, several sources in one table, a report without an answer, or no answers at all.

    Notes
    -----
    Precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), all fractions;
    NaN where the denominator is 0.
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
    >>> score(reference.iloc[:0], answers, task="choice").value.unique().tolist()
    [nan]
    """
    tables = [labels] if isinstance(labels, pd.DataFrame) else labels
    tables = [rows for rows in (rows_of(table, task) for table in tables) if len(rows)]
    if not tables:
        raise RadbookError(f"task {task}: no rows in the labels")
    options = {"task": task, "policy": policy, "reports": reports, "level": level, "vocabulary": vocabulary}
    found = [compare(curated, table, **options) for table in tables]
    draws = {"n_bootstrap": n_bootstrap, "seed": seed}
    parts = [_table(f, *bootstrap_scores(f.by_patient(), derive, **draws)) for f in found]
    scores = check(pd.concat(parts, ignore_index=True), SCORES)
    scores.attrs = {f.source: f.notes for f in found}
    return scores


def _table(found: Comparison, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    positives = dict(zip(found.labels, found.n_positive.tolist(), strict=True))
    names = score_names(found.labels)
    return pd.DataFrame(
        {
            **{name: getattr(found, name) for name in ("task", "source", "reference", "policy")},
            "label": [label for label, _ in names],
            "metric": [metric for _, metric in names],
            "value": value,
            "low": low,
            "high": high,
            "n_reports": len(found.report_ids),
            "n_patients": found.n_patients,
            "n_positive": [positives.get(label, sum(positives.values())) for label, _ in names],
        }
    )


def score_names(labels: Sequence[str]) -> list[tuple[str, str]]:
    """(label, metric) of each value that `derive` returns, in its order."""
    names = [(label, metric) for label in ("micro", "macro", *labels) for metric in METRICS]
    return [*names, ("all", "exact_match")]


def derive(totals: np.ndarray) -> np.ndarray:
    """Turn summed counts, shape (..., 3 L + 2), into the scores of `score_names`, shape (..., 3 L + 7)."""
    tp, fp, fn = np.split(totals[..., :-2], 3, axis=-1)
    each = _scores(tp, fp, fn)
    micro = _scores(*(c.sum(axis=-1, keepdims=True) for c in (tp, fp, fn)))
    usable = ((tp + fp + fn) > 0)[..., None] & ~np.isnan(each)
    macro = ratio(np.where(usable, each, 0.0).sum(axis=-2), usable.sum(axis=-2))
    flat = each.reshape(*each.shape[:-2], -1)
    exact = ratio(totals[..., -2:-1], totals[..., -1:])
    return np.concatenate([micro[..., 0, :], macro, flat, exact], axis=-1)


def _scores(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    pairs = ((tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn))
    return np.stack([ratio(a, b) for a, b in pairs], axis=-1)


def constant_labels(
    report_ids: Iterable[str], codes: Iterable[str], *, task: str, source: str
) -> pd.DataFrame:
    """Give every report the same findings: "always Normal" (no codes) and "always the most frequent" read nothing.

    These are baselines: what a score must beat before it means anything.

    >>> constant_labels(["1", "2"], ["Edema"], task="choice", source="always Edema")["findings"].str.len().tolist()
    [1, 1]
    """
    findings = [finding(code) for code in codes]
    rows = [label_row(report_id, source, task, list(findings)) for report_id in report_ids]
    return pd.DataFrame(rows, columns=list(LABELS.columns))
