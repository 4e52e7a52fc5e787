"""What changed between two runs: what they were made from, and what they answer on the same test reports.

Differences are B minus A, paired report by report with intervals over patients; where the test reports are not the same,
the reason is given and the scores of both stand side by side, each with its own interval.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from radbook.compare.published import open_record
from radbook.compare.record import Record
from radbook.evaluation import has_reference, paired_table
from radbook.pipeline.parameters import UNPUBLISHED, public_value
from radbook.reporting.text import interval, plain
from radbook.tasks import TASKS

__all__ = ["COMPARED", "NONE", "PARTS", "Changes", "ScoreChange", "compare_records", "compare_runs"]

COMPARED = ("student", "base", "rules")
PARTS = ("parameters", "code", "data", "package versions", "hardware")
NONE = "not recorded"
# Tables that name the run itself differ always; of those, the answers are compared one by one.
_TABLES = {
    "reports.parquet": "reports",
    "labels/curated.parquet": "curated labels",
    "labels/rules.parquet": "labels of the rules",
    "labels/chat.parquet": "labels of a language model",
    "labels/simulated.parquet": "labels of the simulated teacher",
    "instructions.parquet": "instructions",
    "student/adapter/adapter_model.safetensors": "weights of the student",
}


@dataclass(frozen=True)
class ScoreChange:
    """One role in one task: the sources that play it, how many answers changed, and the scores.

    `scores` has one row per label: label, value_a, value_b, value (B minus A), low, high, p, p_holm and n_positive; or, if
    `why` says why the reports cannot be paired, label, a and b as text.
    """

    task: str
    role: str
    a: str
    b: str
    scores: pd.DataFrame
    changed: int = 0
    why: str = ""


@dataclass(frozen=True)
class Changes:
    """Two runs compared.

    `settings` has one row per thing they were made from: part, name, a, b (as text) and state ("same", "differs" or
    "not recorded"); `why` says why their answers cannot be paired, or is empty; `scores` has one entry per task and role.
    """

    a: Record
    b: Record
    settings: pd.DataFrame
    why: str
    scores: tuple[ScoreChange, ...]

    @property
    def same_tables(self) -> bool:
        """Whether every table that both recorded is the same, and every answer."""
        data = self.settings[self.settings["part"] == "data"]
        alike = len(data) and (data["state"] == "same").all() and not self.why
        return bool(alike and len(self.scores) and not any(c.changed for c in self.scores))

    def summary(self, part: str) -> str:
        """Say in a sentence what of a part differs and what is the same."""
        rows = self.settings[self.settings["part"] == part]
        names = {s: rows.loc[rows["state"] == s, "name"].tolist() for s in ("differs", "same", NONE)}
        if len(names["same"]) == len(rows):
            what = f" ({_listed(names['same'])})" if part in ("code", "data") else ""
            return f"all {len(rows)} are the same{what}" if len(rows) else "nothing is recorded"
        told = {state: _listed(which) for state, which in names.items()}
        if part not in ("code", "data"):
            told["differs"] = f"{len(names['differs'])} of {len(rows)}"
            told["same"] = f"{len(names['same'])}"
        words = {"differs": "different", "same": "the same", NONE: f"{NONE} on one side"}
        return "; ".join(f"{words[state]}: {told[state]}" for state in words if names[state])

    def differing(self, part: str) -> pd.DataFrame:
        """Return name, a and b of what differs in a part."""
        rows = self.settings[(self.settings["part"] == part) & (self.settings["state"] == "differs")]
        return rows[["name", "a", "b"]]


def compare_runs(a: str, b: str, *, project: Path | None = None) -> Changes:
    """Compare two runs by name: `NAME` for a run folder, `results/NAME` for a published run.

    Raises
    ------
    RadbookError
        If there is no run of that name; the message names the nearest that there is.
    """
    return compare_records(open_record(a, project=project), open_record(b, project=project))


def compare_records(a: Record, b: Record, *, n_bootstrap: int = 2000) -> Changes:
    """Compare two records: settings, then for every task and role of `COMPARED` the scores of B minus those of A.

    The policy is that of A; scores that only stand side by side have that of their own run.

    Examples
    --------
    >>> import pandas as pd
    >>> columns = ["report_id", "patient_id", "task", "source", "status", "present", "uncertain"]
    >>> def record(name, code):
    ...     rows = [("1", "p", "choice", s, "ok", [c], []) for s, c in (("curated", "Edema"), ("rules", code))]
    ...     none = pd.DataFrame(columns=["task", "source", "policy", "label", "metric"])
    ...     return Record(name, {"parameters": {"seed": len(name)}}, none, pd.DataFrame(rows, columns=columns))
    >>> changes = compare_records(record("one", "Edema"), record("other", "Fracture"), n_bootstrap=40)
    >>> changes.summary("parameters"), changes.scores[0].role, changes.scores[0].changed
    ('different: 1 of 1', 'rules', 1)
    """
    why = _unpaired(a, b)
    found = []
    for task in TASKS:
        for role in COMPARED:
            one, two = a.source(role, task), b.source(role, task)
            if one or two:
                found.append(_change(a, b, task, role, one, two, why, n_bootstrap))
    return Changes(a, b, _settings(a, b), why, tuple(found))


def _settings(a: Record, b: Record) -> pd.DataFrame:
    parts = []
    published = any(record.name.startswith("results/") for record in (a, b))
    for record in (a, b):
        m = record.manifest
        # Of a path only its last name was published, so only that can be compared.
        given = {k: public_value(v) if published else v for k, v in record.parameters.items()}
        code = {"version of radbook": m.get("radbook"), "the library": m.get("code")}
        code |= {f"chapter {name}": digest for name, digest in m.get("notebooks", {}).items()}
        files = m.get("files", {})
        data = {"texts of the test reports": m.get("texts")} | {
            n: files[f] for f, n in _TABLES.items() if f in files
        }
        versions = {"Python": m.get("python"), **m.get("packages", {})}
        hardware = {k: plain(v) if k == "gpus" else v for k, v in m.get("hardware", {}).items()}
        found = zip(PARTS, (given, code, data, versions, hardware), strict=True)
        parts.append({(part, name): value for part, values in found for name, value in values.items()})
    rows = []
    for key in dict.fromkeys([*parts[0], *parts[1]]):
        one, two = (p.get(key) for p in parts)
        state = NONE if one is None or two is None else "same" if one == two else "differs"
        if key[0] == "parameters" and state == NONE and key[1] not in UNPUBLISHED:
            state = "differs"  # a parameter that only one of the two knows
        if one is not None or two is not None:
            rows.append((*key, *(NONE if v is None else str(v) or "(empty)" for v in (one, two)), state))
    return pd.DataFrame(rows, columns=["part", "name", "a", "b", "state"])


def _listed(names: list[str]) -> str:
    """Name things; chapters by their numbers.

    >>> _listed(["the library", "chapter 01_reports", "chapter 02_rule_labels"])
    'the library and chapters 1 and 2'
    """
    chapters = [n for n in names if n.startswith("chapter ")]
    if len(chapters) > 1:
        numbers = [str(int(n.removeprefix("chapter ")[:2])) for n in chapters]
        names = [*(n for n in names if n not in chapters), f"chapters {plain(numbers)}"]
    return plain(names) if names else ""


def _unpaired(a: Record, b: Record) -> str:
    """Say why the answers of two records cannot be paired; "" if they can."""
    for record in (a, b):
        if record.missing:
            return record.missing
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
    if changed:
        return f"the curated labels are not the same: {changed} of {len(ids[0]) * len(TASKS)} answers differ"
    return ""


def _change(
    a: Record, b: Record, task: str, role: str, one: str, two: str, why: str, n_bootstrap: int
) -> ScoreChange:
    lone = next((f"{r.name} has no {role}" for r, source in ((a, one), (b, two)) if not source), "")
    known = sorted({c for r in (a, b) for c in r.manifest.get("vocabulary", {}).get(task, [])})
    curated = replace(a, manifest={**a.manifest, "vocabulary": {task: known}}).labels("curated", task)
    unscored = "" if has_reference(curated, task) else "there are no curated labels"
    changed = 0 if why else _changed(a, b, one, two, task)
    if why or lone or unscored:
        scores = _side_by_side(a, b, task, one, two)
        return ScoreChange(task, role, one, two, scores, changed, why or lone or unscored)
    tables = [r.labels(source, task) for r, source in ((a, one), (b, two))]
    options = {"task": task, "policy": a.policy, "reports": a.reports, "n_bootstrap": n_bootstrap}
    scores = paired_table(curated, *reversed(tables), **options)
    scores = scores.rename(columns={"value_a": "value_b", "value_b": "value_a"})
    return ScoreChange(task, role, one, two, scores, changed)


def _changed(a: Record, b: Record, one: str, two: str, task: str) -> int:
    """Count the test reports that two sources do not answer alike."""
    said = []
    for record, source in ((a, one), (b, two)):
        rows = record.answers[(record.answers["source"] == source) & (record.answers["task"] == task)]
        cells = zip(rows["status"] == "failed", rows["present"], rows["uncertain"], strict=True)
        said.append(dict(zip(rows["report_id"], cells, strict=True)))
    return sum(said[0].get(i) != said[1].get(i) for i in said[0].keys() | said[1].keys())


def _side_by_side(a: Record, b: Record, task: str, one: str, two: str) -> pd.DataFrame:
    columns = {}
    for name, record, source in (("a", a, one), ("b", b, two)):
        s, policy = record.scores, record.policy
        rows = s[
            (s["task"] == task) & (s["source"] == source) & (s["policy"] == policy) & (s["metric"] == "f1")
        ]
        columns[name] = {r["label"]: interval(r) for _, r in rows.iterrows()}
    frame = pd.DataFrame(columns, dtype=object).fillna(NONE)
    return frame.rename_axis("label").reset_index()
