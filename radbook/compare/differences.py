"""What changed between two runs: what they were made from, and what they answer on the same test reports.

Differences are B minus A, paired report by report with intervals over patients; where the test reports are not the same,
the reason is given and the scores of both stand side by side, each with its own interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from radbook.compare.published import open_record
from radbook.compare.record import Record
from radbook.evaluation import has_reference, paired_table
from radbook.pipeline.parameters import UNPUBLISHED, public_value
from radbook.reporting.text import interval
from radbook.tasks import TASKS

__all__ = ["NONE", "PARTS", "Change", "Changes", "compare_records", "compare_runs"]

COMPARED = ("student", "base", "rules")
PARTS = ("parameters", "code", "notebooks", "data", "packages", "hardware")
NONE = "not recorded"
# Tables that name the run itself differ always; their answers are compared one by one.
_NAMED = {"predictions.parquet", "scores.parquet", "scores_teachers.parquet", "errors.parquet", "student/losses.parquet"}


@dataclass(frozen=True)
class Change:
    """One role in one task: the sources that play it in A and in B, and how many answers changed.

    `why` says why the two cannot be paired report by report, or is empty.
    """

    task: str
    role: str
    a: str
    b: str
    changed: int
    why: str


@dataclass(frozen=True)
class Changes:
    """Two runs compared.

    `settings` has one row per thing they were made from: part, name, a, b (as text) and state ("same", "differs" or
    "not recorded"); `why` says why their answers cannot be paired, or is empty; `answers` has one entry per task and role.
    """

    a: Record
    b: Record
    settings: pd.DataFrame
    why: str
    answers: tuple[Change, ...]

    def paired(self, change: Change, *, n_bootstrap: int = 2000) -> pd.DataFrame:
        """Return `radbook.evaluation.paired_table` of B minus A, under the policy of A."""
        tables = [r.labels(source, change.task) for r, source in ((self.b, change.b), (self.a, change.a))]
        options = {"task": change.task, "policy": self.a.policy, "reports": self.a.reports}
        found = paired_table(_curated(self.a, self.b, change.task), *tables, **options, n_bootstrap=n_bootstrap)
        return found.rename(columns={"value_a": "value_b", "value_b": "value_a"})

    def side_by_side(self, change: Change) -> pd.DataFrame:
        """Return F1 by label of A and B, as text: each under its own policy, with the interval that its chapters gave it."""
        columns = {}
        for name, record, source in (("A", self.a, change.a), ("B", self.b, change.b)):
            s = record.scores
            own = (s["source"] == source) & (s["policy"] == record.policy)
            rows = s[own & (s["task"] == change.task) & (s["metric"] == "f1")]
            columns[name] = {row["label"]: interval(row) for _, row in rows.iterrows()}
        return pd.DataFrame(columns, dtype=object).fillna(NONE).rename_axis("label")


def compare_runs(a: str, b: str, *, project: Path | None = None) -> Changes:
    """Compare two runs by name: `NAME` for a run folder, `results/NAME` for a published run.

    Raises
    ------
    RadbookError
        If there is no run of that name; the message names the nearest that there is.
    """
    return compare_records(open_record(a, project=project), open_record(b, project=project))


def compare_records(a: Record, b: Record) -> Changes:
    """Compare two records: what they were made from, and the answers of students, bases and rules in every task.

    Nothing is drawn here; `Changes.paired` does that, role by role.

    Examples
    --------
    >>> columns = ["report_id", "patient_id", "task", "source", "status", "present", "uncertain"]
    >>> def record(name, code):
    ...     rows = [("1", "p", "choice", s, "ok", [c], []) for s, c in (("curated", "Edema"), ("rules", code))]
    ...     none = pd.DataFrame(columns=["task", "source", "policy", "label", "metric"])
    ...     return Record(name, {"parameters": {"seed": len(name)}}, none, pd.DataFrame(rows, columns=columns))
    >>> changes = compare_records(record("one", "Edema"), record("other", "Fracture"))
    >>> changes.settings["state"].tolist(), changes.answers[0].role, changes.answers[0].changed
    (['differs'], 'rules', 1)
    >>> float(changes.paired(changes.answers[0], n_bootstrap=40)["value"].iloc[0])
    -1.0
    """
    why, found = _unpaired(a, b), []
    for task in TASKS:
        unscored = "" if has_reference(_curated(a, b, task), task) else "there are no curated labels"
        for role in COMPARED:
            one, two = a.source(role, task), b.source(role, task)
            if one or two:
                lone = "" if one and two else f"{(b if one else a).name} has no {role}"
                changed = 0 if why or lone else _changed(a, b, one, two, task)
                found.append(Change(task, role, one, two, changed, why or lone or unscored))
    return Changes(a, b, _settings(a, b), why, tuple(found))


def _settings(a: Record, b: Record) -> pd.DataFrame:
    published = any(record.name.startswith("results/") for record in (a, b))
    one, two = _made_from(a.manifest, published), _made_from(b.manifest, published)
    rows = []
    for part, name in dict.fromkeys([*one, *two]):
        values = [side.get((part, name)) for side in (one, two)]
        # A parameter that only one of the two knows differs, unless it was not to be published.
        unknown = None in values and (part != "parameters" or name in UNPUBLISHED)
        state = NONE if unknown else "same" if values[0] == values[1] else "differs"
        rows.append((part, name, *(NONE if v is None else str(v) or "(empty)" for v in values), state))
    return pd.DataFrame(rows, columns=["part", "name", "a", "b", "state"])


def _made_from(manifest: Mapping, published: bool) -> dict[tuple[str, str], object]:
    parts = {part: dict(manifest.get(part, {})) for part in PARTS if part not in ("code", "data")}
    if published:  # of a path only its last name was published, so only that can be compared
        parts["parameters"] = {name: public_value(value) for name, value in parts["parameters"].items()}
    code = {"version of radbook": "radbook", "the library": "code", "Python": "python"}
    parts["code"] = {name: manifest.get(key) for name, key in code.items()}
    files = {name: digest for name, digest in manifest.get("files", {}).items() if name not in _NAMED}
    parts["data"] = {"texts of the test reports": manifest.get("texts"), **files}
    return {(part, name): v for part in PARTS for name, v in parts[part].items() if v is not None}


def _unpaired(a: Record, b: Record) -> str:
    """Say why the answers of two records cannot be paired; "" if they can."""
    if a.missing or b.missing:
        return a.missing or b.missing
    corpora = [r.parameters.get("corpus") for r in (a, b)]
    if corpora[0] != corpora[1]:
        return f"the corpora are {corpora[0]} and {corpora[1]}"
    ids = [set(r.reports["report_id"]) for r in (a, b)]
    if ids[0] != ids[1]:
        both = len(ids[0] & ids[1])
        return f"the test reports are not the same: {len(ids[0])} in A, {len(ids[1])} in B, {both} in both"
    texts = [r.manifest.get("texts") for r in (a, b)]
    if None not in texts and texts[0] != texts[1]:
        return "the test reports have the same ids but other texts"
    changed = sum(_changed(a, b, "curated", "curated", task) for task in TASKS)
    answers = len(ids[0]) * len(TASKS)
    return f"the curated labels are not the same: {changed} of {answers} answers differ" if changed else ""


def _curated(a: Record, b: Record, task: str) -> pd.DataFrame:
    """The reference of A, which knows the codes of both."""
    known = {code for record in (a, b) for code in record.manifest.get("vocabulary", {}).get(task, [])}
    return replace(a, manifest={**a.manifest, "vocabulary": {task: sorted(known)}}).labels("curated", task)


def _changed(a: Record, b: Record, one: str, two: str, task: str) -> int:
    """Count the test reports that two sources do not answer alike."""
    said = []
    for record, source in ((a, one), (b, two)):
        rows = record.answers[(record.answers["source"] == source) & (record.answers["task"] == task)]
        cells = zip(rows["status"] == "failed", rows["present"], rows["uncertain"], strict=True)
        said.append(dict(zip(rows["report_id"], cells, strict=True)))
    return sum(said[0].get(i) != said[1].get(i) for i in said[0].keys() | said[1].keys())
