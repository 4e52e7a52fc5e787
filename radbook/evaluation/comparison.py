"""Lay two label tables side by side and count: true and false positives and negatives per report and label.

Everything the evaluation reports is derived from these counts, which can be added over reports, patients or
bootstrap draws.
Inputs are `labels` tables (one source, one task); the output is a `Comparison` of two reports x labels
matrices.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import Presence
from radbook.core.ontology import NORMAL
from radbook.core.schema import LABELS, check
from radbook.evaluation.label_matrix import IGNORED, POLICIES, fill_matrix
from radbook.tasks import task_of

__all__ = ["Comparison", "compare", "rows_of"]


@dataclass(frozen=True)
class Comparison:
    """A source against its reference: two (R, L) matrices of 1, 0 and -1, and who the reports belong to.

    `notes` counts what a score alone would hide: `excluded` (reference rows that failed), `unreferenced`
    (reports without a reference row), `failed` (answers that failed and count as empty),
    `outside_vocabulary` (code -> positives not scored).
    """

    task: str
    source: str
    reference: str
    policy: str
    labels: tuple[str, ...]
    report_ids: tuple[str, ...]
    patients: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    notes: dict[str, object]

    @property
    def scored(self) -> np.ndarray:
        return (self.y_true != IGNORED) & (self.y_pred != IGNORED)

    @property
    def tp(self) -> np.ndarray:
        return (self.y_true == 1) & (self.y_pred == 1)

    @property
    def fp(self) -> np.ndarray:
        return (self.y_true == 0) & (self.y_pred == 1)

    @property
    def fn(self) -> np.ndarray:
        return (self.y_true == 1) & (self.y_pred == 0)

    @property
    def tn(self) -> np.ndarray:
        return (self.y_true == 0) & (self.y_pred == 0)

    @property
    def n_patients(self) -> int:
        return int(self.patients.max()) + 1

    @property
    def n_positive(self) -> np.ndarray:
        """Scored positives of the reference, per label."""
        return (self.tp | self.fn).sum(axis=0)

    def by_patient(self) -> np.ndarray:
        """Counts per patient, shape (P, 3 L + 2): tp, fp, fn per label, exact matches, reports."""
        exact = ~(self.fp | self.fn).any(axis=1)
        cells = np.column_stack([self.tp, self.fp, self.fn, exact, np.ones_like(exact)]).astype(float)
        totals = np.zeros((self.n_patients, cells.shape[1]))
        np.add.at(totals, self.patients, cells)
        return totals


def compare(
    curated: pd.DataFrame,
    table: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    level: str = "category",
    vocabulary: Sequence[str] | None = None,
) -> Comparison:
    """Align a source with its reference, report by report; the parameters are those of `score`."""
    choose(policy, POLICIES, "policy")
    reference = rows_of(curated, task, "the reference")
    answers = rows_of(table, task, "the labels")
    key = task_of(task).key(level)
    codes = _vocabulary(reference, task, key, vocabulary)

    unreferenced = 0
    if reports is not None:
        patient_of = _patients(reports)
        unreferenced = len(patient_of) - int(patient_of.index.isin(reference["report_id"]).sum())
        reference = reference[reference["report_id"].isin(patient_of.index)]
    failed = reference["status"] == "failed"
    report_ids = tuple(reference.loc[~failed, "report_id"])
    if not report_ids:
        raise RadbookError(
            f"task {task}: no report to score ({len(reference)} reference rows for these reports, "
            f"{int(failed.sum())} of them failed)"
        )
    names = report_ids if reports is None else patient_of.loc[list(report_ids)]
    source = answers["source"].iloc[0]
    answers = answers[answers["report_id"].isin(report_ids)]
    outside = _outside(answers, codes, key, policy)
    return Comparison(
        task=task,
        source=source,
        reference=reference["source"].iloc[0],
        policy=policy,
        labels=codes,
        report_ids=report_ids,
        patients=pd.factorize(pd.Series(list(names), dtype=object))[0],
        y_true=fill_matrix(reference, report_ids, codes, key, policy),
        y_pred=fill_matrix(answers, report_ids, codes, key, policy),
        notes={
            "excluded": int(failed.sum()),
            "unreferenced": unreferenced,
            "failed": int((answers["status"] == "failed").sum()),
            "outside_vocabulary": outside,
        },
    )


def rows_of(table: pd.DataFrame, task: str, what: str) -> pd.DataFrame:
    """The rows of `task`, checked: the labels contract, and exactly one source."""
    task_of(task)
    table = check(table[[c for c in LABELS.columns if c in table]], LABELS)
    table = table[table["task"] == task]
    sources = sorted(table["source"].unique())
    if not sources:
        raise RadbookError(f"task {task}: no rows in {what}")
    if len(sources) > 1:
        raise RadbookError(f"task {task}: one source at a time is compared, not {', '.join(sources)}")
    return table


def _vocabulary(
    reference: pd.DataFrame, task: str, key: Callable[[str], str], vocabulary: Sequence[str] | None
) -> tuple[str, ...]:
    closed = task_of(task).codes
    if vocabulary is not None:
        if isinstance(vocabulary, str) or not len(vocabulary):
            raise RadbookError(f"vocabulary={vocabulary!r} must be a list of at least one label")
        if closed:
            for label in vocabulary:
                choose(label, (*closed, NORMAL), "vocabulary")
        return tuple(dict.fromkeys(key(label) for label in vocabulary))
    if closed:
        return closed
    codes = tuple(sorted({key(f["code"]) for findings in reference["findings"] for f in findings}))
    if not codes:
        raise RadbookError(
            f"task {task}: the reference codes nothing; name the codes to score with vocabulary=[...]"
        )
    return codes


def _outside(
    answers: pd.DataFrame, codes: Sequence[str], key: Callable[[str], str], policy: str
) -> dict[str, int]:
    positive = {str(Presence.PRESENT), *([str(Presence.UNCERTAIN)] if policy == "u-one" else [])}
    known = set(codes)
    heard = (
        {key(f["code"]) for f in findings if f["presence"] in positive} - known
        for findings in answers.loc[answers["status"] != "failed", "findings"]
    )
    return dict(sorted(Counter(code for row in heard for code in row).items()))


def _patients(reports: pd.DataFrame) -> pd.Series:
    lacking = [c for c in ("report_id", "patient_id") if c not in reports]
    if lacking:
        raise RadbookError(f"reports lacks the columns {', '.join(lacking)} (which reports share a patient?)")
    twice = reports["report_id"].duplicated()
    if twice.any():
        raise RadbookError(f"reports has the report_id {reports.loc[twice, 'report_id'].iloc[0]!r} twice")
    nobody = reports["patient_id"].isna()
    if nobody.any():
        raise RadbookError(
            f"reports, row {reports.index[nobody][0]}: report {reports.loc[nobody, 'report_id'].iloc[0]!r} has no "
            "patient_id; give every report one (its own report_id if patients are not known)"
        )
    return reports.set_index("report_id")["patient_id"]
