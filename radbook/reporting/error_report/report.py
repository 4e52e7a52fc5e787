"""The errors of a run's student beside those of its teacher, task by task: what chapter 09 asks of a run.

A run may have no curated labels; then everything here has the same shape and no rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radbook.core.findings import Presence
from radbook.evaluation.comparison import has_reference
from radbook.evaluation.error_slices import BUCKETS, DECISION_COLUMNS, decisions, error_rows, traits
from radbook.evaluation.error_transfer import fates, pairs

__all__ = ["TOP", "Mistakes", "examine"]

# Labels that get a row in the linked table: all 13 categories, but only the codes with the most errors.
TOP = {"choice": None, "open": 60}


@dataclass(frozen=True)
class Mistakes:
    """Every decision of student and teacher in one task, with its buckets and what became of each error; see `examine`."""

    task: str
    student: str
    teacher: str
    reports: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    decided: pd.DataFrame
    held: pd.DataFrame
    fate: pd.Series

    @property
    def rows(self) -> pd.DataFrame:
        """Rows of the `errors` contract, of student and teacher."""
        return error_rows(self.decided, self.held, self.fate, task=self.task)

    def wrong(self, source: str) -> pd.DataFrame:
        """Wrong decisions of one source."""
        return self.decided[(self.decided["source"] == source) & (self.decided["outcome"] != "right")]

    def pairs(self) -> pd.DataFrame:
        """`radbook.evaluation.error_transfer.pairs`; unknown shares where there is no reference."""
        counted = pairs(self.decided, teacher=self.teacher, student=self.student)
        return counted if self.decided.attrs["n_reports"] else counted.assign(value=np.nan)

    def linked(self) -> pd.DataFrame:
        """The student's decisions that `confusion_table` counts: `TOP` labels, those with the most errors first."""
        own = self.decided[self.decided["source"] == self.student]
        errors = (own["outcome"] != "right").groupby(own["code"]).sum().sort_values(ascending=False, kind="stable")
        codes = list(errors.index if TOP[self.task] is None else errors[errors > 0].index[: TOP[self.task]])
        rows = own[own["code"].isin(codes) & ((own["outcome"] != "right") | (own["predicted"] == Presence.PRESENT))]
        return rows.sort_values("code", key=lambda names: names.map(codes.index), kind="stable")


def examine(
    task: str,
    *,
    curated: pd.DataFrame,
    student: pd.DataFrame,
    teacher: pd.DataFrame,
    readers: Mapping[str, pd.DataFrame],
    reports: pd.DataFrame,
    train: pd.DataFrame,
    policy: str,
) -> Mistakes:
    """Compare student and teacher with the reference in one task.

    Parameters
    ----------
    task, policy
        As in `radbook.evaluation.score`.
    curated, student, teacher
        `labels` tables; rows of other tasks and reports are left out.
    readers
        Name to `labels` table of those who read the reports, shown beside the reference from left to right.
    reports, train
        The reports to compare on, and those that tell which words are rare.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> reports = pd.DataFrame({"report_id": ["r"], "patient_id": ["p"], "text": ["Wet lungs."]})
    >>> truth = pd.DataFrame([label_row("r", "curated", "choice", [finding("Edema")])])
    >>> rules, student = (pd.DataFrame([label_row("r", name, "choice", [])]) for name in ("rules", "student"))
    >>> given = {"curated": truth, "student": student, "teacher": rules, "readers": {"rules": rules}}
    >>> found = examine("choice", **given, reports=reports, train=reports, policy="certain")
    >>> found.fate.tolist(), found.rows[["source", "kind", "rare_word"]].values.tolist()
    (['shared'], [['student', 'miss', False], ['rules', 'miss', False]])
    """
    curated, student, teacher, *others = (
        t[(t["task"] == task) & t["report_id"].isin(reports["report_id"])]
        for t in (curated, student, teacher, *readers.values())
    )
    names = [next(iter(t["source"]), "nobody") for t in (student, teacher)]
    tables = {"curated": curated, **dict(zip(readers, others, strict=True))}
    if has_reference(curated, task) and len(student) and len(teacher):
        decided = decisions(curated, [student, teacher], task=task, policy=policy, reports=reports)
        held = traits(decided, reports, train, list(tables.values()), task=task)
    else:
        decided = pd.DataFrame(columns=DECISION_COLUMNS, dtype=object)
        decided.attrs = {"n_reports": 0, "silent": 0}
        nothing = pd.MultiIndex.from_frame(decided[["report_id", "code"]])
        held = pd.DataFrame(columns=[*BUCKETS, "placed"], index=nothing, dtype=bool)
    fate = fates(decided, teacher=names[1], student=names[0])
    return Mistakes(task, *names, reports, tables, decided, held, fate)
