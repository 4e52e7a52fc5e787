"""Two `labels` tables as matrices of reports x labels, side by side: a source and its reference.

Everything the evaluation reports is derived from the counts of a `Comparison`, which can be added over reports, patients or
bootstrap draws.
A corpus may have no curated labels. Its comparisons hold no reports, so whatever is counted in them is empty and whatever
is scored is unknown (NaN), here and in every function built on them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.ontology import NORMAL
from radbook.core.schema import LABELS, check
from radbook.evaluation.label_matrix import IGNORED, label_matrix, meanings, strongest_findings
from radbook.tasks import TASKS, task_of

__all__ = ["CELL", "SILENT", "Comparison", "compare", "compare_all", "has_reference", "rows_of"]

CELL = ["report_id", "code"]  # what a decision is about
SILENT = "not mentioned"


@dataclass(frozen=True)
class Comparison:
    """A source against its reference: what both say, as (R, L) matrices of 1, 0 and -1 too, and whose the reports are.

    `findings` holds the finding that decides, by report_id and code, of the reference and of the source.
    `notes` counts what a score alone would hide: `excluded` (reference rows that failed), `unreferenced` (reports without a
    reference row), `failed` (answers that failed and count as empty), `outside_vocabulary` (code -> positives not scored).
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
    findings: tuple[dict[tuple[str, str], dict], ...]
    status: pd.Series
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
        return int(self.patients.max(initial=-1)) + 1

    @property
    def n_positive(self) -> np.ndarray:
        """Scored positives of the reference, per label."""
        return (self.tp | self.fn).sum(axis=0)

    def add_by_patient(self, values: np.ndarray) -> np.ndarray:
        """Sum values per report, shape (R, K), over the reports of each patient, shape (P, K)."""
        totals = np.zeros((self.n_patients, values.shape[1]))
        np.add.at(totals, self.patients, values.astype(float))
        return totals

    def by_patient(self) -> np.ndarray:
        """Counts per patient, shape (P, 3 L + 2): tp, fp, fn per label, exact matches, reports."""
        exact = ~(self.fp | self.fn).any(axis=1)
        return self.add_by_patient(np.column_stack([self.tp, self.fp, self.fn, exact, np.ones_like(exact)]))

    def by_report(self) -> pd.DataFrame:
        """Counts per report, indexed by report_id: tp, fp, fn, and whether anything is `wrong`."""
        counts = {name: getattr(self, name).sum(axis=1) for name in ("tp", "fp", "fn")}
        return pd.DataFrame({**counts, "wrong": counts["fp"] + counts["fn"] > 0}, index=list(self.report_ids))

    def outcomes(self) -> pd.Series:
        """How each scored cell came out, indexed by report_id and code.

        "right", "miss" (a false negative) or "invention" (a false positive).
        """
        cells = pd.MultiIndex.from_product([self.report_ids, self.labels], names=CELL)
        named = np.select([self.fn, self.fp], ["miss", "invention"], "right").astype(object)
        return pd.Series(named.ravel(), index=cells, name="outcome")[self.scored.ravel()]

    def at(self, cells: pd.MultiIndex) -> pd.DataFrame:
        """What is said at some cells: report_id, code, curated and predicted (or "not mentioned"), status of the answer."""
        frame = cells.to_frame(index=False)
        for name, found in zip(("curated", "predicted"), self.findings, strict=True):
            frame[name] = [found.get(cell, {}).get("presence", SILENT) for cell in cells]
        return frame.assign(status=frame["report_id"].map(self.status))


def compare(
    curated: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    level: str = "category",
    vocabulary: Sequence[str] | None = None,
) -> Comparison:
    """Align a source with its reference, report by report; parameters, errors and what a lacking reference means as in `score`.

    >>> from radbook.core.findings import finding, label_row
    >>> truth = pd.DataFrame([label_row("r", "curated", "choice", [finding("Edema")])])
    >>> compare(truth, truth.assign(source="rules", findings=[[]]), task="choice").by_report().astype(int).to_dict("index")
    {'r': {'tp': 0, 'fp': 0, 'fn': 1, 'wrong': 1}}
    """
    meaning = meanings(policy)
    reference, answers = rows_of(curated, task), rows_of(labels, task)
    key = task_of(task).key(level)
    codes = _vocabulary(reference, task, key, vocabulary)
    unreferenced = 0
    if reports is not None:
        patient_of = _patients(reports)
        unreferenced = len(patient_of) - int(patient_of.index.isin(reference["report_id"]).sum())
        reference = reference[reference["report_id"].isin(patient_of.index)]
    failed = reference["status"] == "failed"
    # Where any code may stand, a reference that names none leaves nothing to score.
    report_ids = tuple(reference.loc[~failed, "report_id"]) if codes else ()
    if report_ids and answers.empty:
        raise RadbookError(f"task {task}: no rows in the labels")
    names = report_ids if reports is None else patient_of.loc[list(report_ids)]
    source = next(iter(answers["source"]), "")
    answers = answers[answers["report_id"].isin(report_ids)]
    findings = tuple(strongest_findings(rows, key) for rows in (reference, answers))
    named = Counter(code for (_, code), said in findings[1].items() if meaning[said["presence"]] == 1)
    return Comparison(
        task=task,
        source=source,
        reference=reference["source"].iloc[0] if report_ids else "none",
        policy=policy,
        labels=codes,
        report_ids=report_ids,
        patients=pd.factorize(pd.Series(list(names), dtype=object))[0],
        y_true=label_matrix(reference, report_ids, codes, policy, key=key),
        y_pred=label_matrix(answers, report_ids, codes, policy, key=key),
        findings=findings,
        status=answers.set_index("report_id")["status"],
        notes={
            "excluded": int(failed.sum()),
            "unreferenced": unreferenced,
            "failed": int((answers["status"] == "failed").sum()),
            "outside_vocabulary": {code: named[code] for code in sorted(named.keys() - {*codes})},
        },
    )


def compare_all(
    curated: pd.DataFrame, tables: Iterable[pd.DataFrame], *, task: str, **options: object
) -> list[Comparison]:
    """Align several sources with one reference; where one of them has no rows of the task, nothing is known of any."""
    tables = [rows_of(table, task) for table in tables]
    lacking = any(table.empty for table in tables)
    return [compare(curated.iloc[:0] if lacking else curated, t, task=task, **options) for t in tables]


def has_reference(curated: pd.DataFrame, task: str | None = None, *, reports: pd.DataFrame | None = None) -> bool:
    """Say whether `curated` can be scored against: for one task or for any, on `reports` or on all it has.

    >>> from radbook.core.findings import label_row
    >>> rows = pd.DataFrame([label_row("1", "curated", task, []) for task in ("choice", "open")])
    >>> has_reference(rows, "choice"), has_reference(rows, "open")  # the open one names no code
    (True, False)
    """
    names = TASKS if task is None else [task]
    return any(compare(curated, curated, task=name, reports=reports).report_ids for name in names)


def rows_of(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The rows of `task`, checked: the labels contract, and at most one source."""
    task_of(task)
    table = check(table[[c for c in LABELS.columns if c in table]], LABELS)
    table = table[table["task"] == task]
    sources = sorted(table["source"].unique())
    if len(sources) > 1:
        raise RadbookError(f"task {task}: one source at a time is compared, not {', '.join(sources)}")
    return table


def _vocabulary(
    reference: pd.DataFrame, task: str, key: Callable[[str], str], vocabulary: Sequence[str] | None
) -> tuple[str, ...]:
    closed = task_of(task).codes
    if vocabulary is None:
        return closed or tuple(sorted({key(f["code"]) for findings in reference["findings"] for f in findings}))
    if isinstance(vocabulary, str) or not len(vocabulary):
        raise RadbookError(f"vocabulary={vocabulary!r} must be a list of at least one label")
    for label in vocabulary if closed else ():
        choose(label, (*closed, NORMAL), "vocabulary")
    return tuple(dict.fromkeys(key(label) for label in vocabulary))


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
