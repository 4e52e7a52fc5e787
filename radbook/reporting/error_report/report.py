"""The errors of a run's student beside those of its teacher, task by task: what chapter 09 asks of a run.

A run may have no curated labels; then everything here has the same shape and no rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radbook.core.schema import ERRORS
from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.comparison import has_reference
from radbook.evaluation.error_slices import (
    BUCKETS,
    DECISION_COLUMNS,
    bucket_rates,
    decisions,
    error_rows,
    traits,
)
from radbook.evaluation.error_transfer import FATES, PAIRS, fates, pairs
from radbook.reporting.error_report.cases import case_list
from radbook.reporting.error_report.tables import buckets_of, confusion_table, linked_decisions
from radbook.reporting.highlight import Highlight

__all__ = ["TOP", "Mistakes", "examine"]

# Labels that get a row in the linked table: all 13 categories, but only the codes with the most errors.
TOP = {"choice": None, "open": 60}
_CELL = ["report_id", "code"]


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
        if self.decided.empty:
            return pd.DataFrame(columns=list(ERRORS.columns))
        return error_rows(self.decided, self.held, self.fate, task=self.task)

    def wrong(self, source: str) -> pd.DataFrame:
        """Wrong decisions of one source."""
        return self.decided[(self.decided["source"] == source) & (self.decided["outcome"] != "right")]

    def rates(self) -> pd.DataFrame:
        """`bucket_rates`, with the columns task and role ("student" or "teacher")."""
        roles = {self.student: "student", self.teacher: "teacher"}
        found = bucket_rates(self.decided, self.held)
        return found.assign(task=self.task, role=found["source"].map(roles))

    def pairs(self) -> pd.DataFrame:
        """`radbook.evaluation.error_transfer.pairs`; unknown shares where there is no reference."""
        if not self.decided.attrs["n_reports"]:
            return pd.DataFrame(
                {"reports": 0, "value": np.nan, "low": np.nan, "high": np.nan}, index=list(PAIRS)
            )
        return pairs(self.decided, teacher=self.teacher, student=self.student)

    def fates_by_label(self) -> pd.DataFrame:
        """Errors by label and fate, those with the most first."""
        labels = self.fate.index.get_level_values("code")
        counts = pd.crosstab(labels, self.fate.to_numpy()).reindex(columns=list(FATES), fill_value=0)
        order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
        return counts.loc[order].rename_axis(index="label", columns=None)

    def fates_by_bucket(self) -> pd.DataFrame:
        """Errors by bucket and fate, and the share of the teacher's that was corrected (value, low, high; exact interval).

        An error may stand in several buckets.
        """
        flags = self.held.reindex(self.fate.index)
        counts = {"all decisions": self.fate.value_counts()}
        counts |= {b.replace("_", " "): self.fate[flags[b].to_numpy(bool)].value_counts() for b in BUCKETS}
        table = pd.DataFrame(counts, dtype=float).T.reindex(columns=list(FATES)).fillna(0).astype(int)
        taught = table["corrected"] + table["shared"]
        low, high = exact_interval(table["corrected"].to_numpy(), taught.to_numpy())
        return table.assign(value=table["corrected"] / taught.where(taught > 0), low=low, high=high)

    def table(self) -> Highlight:
        """The student's decisions counted by label, each count linked to its reports."""
        return confusion_table(self.decided, task=self.task, source=self.student, top=TOP[self.task])

    def cases(self, *, shown: str, limit: int) -> Highlight:
        """The reports behind `table`; `shown` and `limit` as in `radbook.reporting.error_report.cases.case_list`."""
        said = {
            "corrected": "",
            "shared": f"shared with {self.teacher}",
            "added": "added by the student",
        }
        buckets = {
            cell: buckets_of(row)
            for cell, row in zip(self.held.index, self.held.to_dict("records"), strict=True)
        }
        notes = {
            cell: "; ".join(filter(None, (said[self.fate.get(cell, "corrected")], names)))
            for cell, names in buckets.items()
        }
        return case_list(
            self.decided,
            self.reports,
            self.tables,
            task=self.task,
            source=self.student,
            notes=notes,
            shown=shown,
            limit=limit,
            top=TOP[self.task],
        )

    def linked(self) -> pd.DataFrame:
        """The decisions whose reports `cases` lists."""
        return linked_decisions(self.decided, self.student, TOP[self.task])


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
        fate = fates(decided, teacher=names[1], student=names[0])
    else:
        empty = pd.MultiIndex.from_arrays([[], []], names=_CELL)
        decided = pd.DataFrame(columns=DECISION_COLUMNS, dtype=object)
        decided.attrs = {"n_reports": 0, "silent": 0}
        held = pd.DataFrame(columns=[*BUCKETS, "placed"], index=empty, dtype=bool)
        fate = pd.Series([], index=empty, name="fate", dtype=object)
    return Mistakes(task, *names, reports, tables, decided, held, fate)
