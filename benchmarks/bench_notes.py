"""Rules, untuned base and finished students on invented hospital notes: another style than the reports they were made with.

The students are those of the runs `default` and `openi`, where these have been executed here.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.evaluation import score
from radbook.pipeline.run import project_root
from radbook.student import Student
from radbook.teachers.rules import RuleTeacher

NOTES = Path(__file__).parents[1] / "tests" / "hospital_notes.jsonl"


def read_notes(*, read: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return reports and curated labels of the notes that were read while the rules and the grammar were written, or not.

    Their annotators did not see the rules; what they call probable counts as present, as it does for the rules.
    """
    notes = [json.loads(line) for line in NOTES.read_text(encoding="utf-8").splitlines()]
    notes = [note for note in notes if note["read"] is read]
    ids = [note["id"] for note in notes]
    reports = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": [note["text"] for note in notes]})
    state = {"probable": "present"}
    rows = [
        label_row(
            note["id"], "curated", "choice", [finding(c, state.get(s, s)) for c, s in note["labels"].items()]
        )
        for note in notes
    ]
    return reports, pd.DataFrame(rows)


def labelers() -> Iterator[tuple[str, Callable[[pd.DataFrame], pd.DataFrame], tuple[str, ...]]]:
    """Yield who labels, how, and the policies to read it by: base and students write what is certain and nothing else."""
    yield "rules", RuleTeacher().label, ("certain", "u-one")
    students = {"untuned base": Student.untuned()}
    for run in ("default", "openi"):
        try:
            students[f"student of the run {run}"] = Student.load(project_root() / "runs" / run)
        except RadbookError:
            continue  # not executed here
    for who, student in students.items():
        yield who, lambda reports, student=student: student.label(reports, tasks=("choice",)), ("certain",)


def measure(*, n_bootstrap: int = 2000) -> list[tuple[str, float, str]]:
    """Score both parts: micro-F1 with the ends of its 95% interval, under two policies."""
    figures = []
    for who, label, policies in labelers():
        for read, name in ((True, "read while writing"), (False, "not read")):
            reports, curated = read_notes(read=read)
            labels = label(reports)
            for policy in policies:
                options = {"policy": policy, "reports": reports, "n_bootstrap": n_bootstrap, "seed": 1}
                scores = score(curated, labels, task="choice", **options)
                row = scores.set_index(["label", "metric"]).loc[("micro", "f1")]
                figures += [
                    (f"{who}, {len(reports)} hospital notes {name}, {policy}", row["value"], "micro-F1"),
                    *((f"  {end}", row[end], "micro-F1") for end in ("low", "high")),
                ]
    return figures
