"""What a run answered on its test reports, without a word of them: what `results/` publishes and what runs are compared by.

A `Record` is one run seen this way: its manifest, its scores, and one row of codes per test report, task and source.
It is made from a run folder, or read back from `results/NAME` (`radbook.compare.published`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from radbook.core.errors import RadbookError
from radbook.core.findings import Presence, finding, label_row
from radbook.core.schema import LABELS, SCORES, STATUSES, Contract
from radbook.pipeline.run import Run

__all__ = ["ANSWERS", "ROLES", "Record", "as_answers", "record_of"]

ROLES = {
    "student": ("student:",),
    "base": ("base:",),
    "indexer": ("indexer",),
    "keywords": ("keywords",),
    "rules": ("rules",),
    "language model": ("chat:", "simulated:"),
}
"""Whoever answers, and how the names of such sources begin; the rest of a name may differ between runs."""

_COLUMNS = dict.fromkeys(("report_id", "patient_id", "task", "source", "status"), pa.string())
_COLUMNS |= dict.fromkeys(("present", "uncertain"), pa.list_(pa.string()))
ANSWERS = Contract("answers", _COLUMNS, ("report_id", "task", "source"), {"status": STATUSES})
_OTHERS = "(codes of other reports)"


@dataclass(frozen=True)
class Record:
    """One run, as others may see it.

    Parameters
    ----------
    name
        "runs/NAME" or "results/NAME".
    manifest
        With `files` (the digest of every table a chapter wrote), `notebooks` (the digest of each), `instructions` (rows of
        each task), `texts` (one digest of all test reports) and `vocabulary` (the codes of the whole reference, which
        decide what is scored).
    scores
        A `scores` table; no rows if the run has none.
    answers
        A table of the contract `ANSWERS`: test reports only: report_id, patient_id, task, source, status and the codes said to be
        present and uncertain.
    missing
        Why there are no answers; empty if there are.
    """

    name: str
    manifest: Mapping
    scores: pd.DataFrame
    answers: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(ANSWERS.columns)))
    missing: str = ""

    @property
    def parameters(self) -> Mapping:
        """The parameters of the run."""
        return self.manifest.get("parameters", {})

    @property
    def policy(self) -> str:
        """How uncertain findings count in the scores of the run."""
        return self.parameters.get("policy", "certain")

    @property
    def reports(self) -> pd.DataFrame:
        """The test reports: report_id and patient_id."""
        return self.answers[["report_id", "patient_id"]].drop_duplicates(ignore_index=True)

    def source(self, role: str, task: str) -> str:
        """Return the source that plays a role of `ROLES` in a task, or "" if none does."""
        return self._first(ROLES[role], task)

    def teacher(self, task: str) -> str:
        """Return the source that taught a task; the rules stand in where nobody did, or curated labels."""
        taught = str(self.parameters[f"{task}_source"])
        return self._first("rules" if taught in ("none", "curated") else taught, task)

    def _first(self, beginnings: str | tuple[str, ...], task: str) -> str:
        tables = (self.answers, self.scores)
        names = dict.fromkeys(name for t in tables for name in t.loc[t["task"] == task, "source"])
        return next((n for n in names if n.startswith(beginnings)), "")

    def labels(self, source: str, task: str) -> pd.DataFrame:
        """Return the answers of a source as a `labels` table, without evidence.

        The curated ones end with a row for no report: it holds the codes of the whole reference, so that scoring the
        test reports knows the same codes as the chapters do.
        """
        rows = self.answers[(self.answers["source"] == source) & (self.answers["task"] == task)]
        made = [label_row(r.report_id, source, task, _findings(r), status=r.status) for r in rows.itertuples()]
        known = self.manifest.get("vocabulary", {}).get(task, [])
        if source == "curated" and made and known:
            made.append(label_row(_OTHERS, source, task, [finding(code) for code in known]))
        return pd.DataFrame(made, columns=["report_id", "source", "task", "findings", "status", "note"])


def record_of(run: Run) -> Record:
    """Return the record of a run folder; what its chapters have not written yet is left out."""
    manifest, name = run.manifest(), f"runs/{run.name}"
    if not manifest:
        raise RadbookError(f"run {run.name} does not exist: execute it with radbook run --run {run.name}")
    chapters = manifest.get("chapters", {})
    manifest["files"] = {f: digest for c in chapters.values() for f, digest in c["writes"].items()}
    manifest["notebooks"] = {chapter: c["notebook"] for chapter, c in chapters.items()}
    if run.has("instructions"):
        manifest["instructions"] = run.read("instructions")["task"].value_counts().sort_index().to_dict()
    scores = run.read("scores") if run.has("scores") else pd.DataFrame(columns=list(SCORES.columns))
    if not run.has("reports"):
        return Record(name, manifest, scores, missing=f"{name} holds no reports")
    reports = run.read("reports")
    test = reports[reports["split"] == "test"]
    manifest |= {"texts": _digest(test), "corpora": sorted(reports["corpus"].unique())}
    tables = [run.read_labels(kind) for kind in run.sources()]
    tables += [run.read("predictions").drop(columns="reply")] if run.has("predictions") else []
    labels = pd.concat(tables) if tables else pd.DataFrame(columns=list(LABELS.columns))
    curated = labels[(labels["source"] == "curated") & (labels["task"] == "open")]
    manifest["vocabulary"] = {"open": sorted({f["code"] for row in curated["findings"] for f in row})}
    answers = as_answers(test, labels)
    missing = "" if len(answers) else f"{name} holds no answers on test reports"
    return Record(name, manifest, scores, answers, missing)


def as_answers(reports: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return what labels say of these reports, as codes alone: a table of the contract `ANSWERS`."""
    # The order of the labels stays: draws of patients then give the very intervals that the chapters give.
    rows = labels.merge(reports[["report_id", "patient_id"]], on="report_id")
    rows = rows.sort_values(["task", "source"], kind="stable", ignore_index=True)
    for column, presence in (("present", Presence.PRESENT), ("uncertain", Presence.UNCERTAIN)):
        rows[column] = [sorted({f["code"] for f in row if f["presence"] == presence}) for row in rows["findings"]]
    return rows[list(ANSWERS.columns)]


def _findings(row: object) -> list[dict]:
    return [finding(c) for c in row.present] + [finding(c, Presence.UNCERTAIN) for c in row.uncertain]


def _digest(test: pd.DataFrame) -> str:
    rows = sorted(zip(test["report_id"], test["text"], strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
