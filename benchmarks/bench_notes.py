"""Rules and untuned base on invented hospital notes: another style than the reports that both were made with."""

import json
from pathlib import Path

import pandas as pd

from radbook.evaluation import score
from radbook.findings import finding, label_row
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


def measure(*, n_bootstrap: int = 2000) -> list[tuple[str, float, str]]:
    """Score both parts: micro-F1 with the ends of its 95 % interval, under two policies."""
    figures = []
    for read, name in ((True, "read while writing"), (False, "not read")):
        reports, curated = read_notes(read=read)
        # The base writes what is certain and nothing else, so there is one way to read it.
        for labels, who, policies in (
            (RuleTeacher().label(reports), "rules", ("certain", "u-one")),
            (Student.untuned().label(reports, tasks=("choice",)), "untuned base", ("certain",)),
        ):
            for policy in policies:
                options = {"policy": policy, "reports": reports, "n_bootstrap": n_bootstrap, "seed": 1}
                scores = score(curated, labels, task="choice", **options)
                row = scores.set_index(["label", "metric"]).loc[("micro", "f1")]
                figures += [
                    (f"{who}, {len(reports)} hospital notes {name}, {policy}", row["value"], "micro-F1"),
                    *((f"  {end}", row[end], "micro-F1") for end in ("low", "high")),
                ]
    return figures
