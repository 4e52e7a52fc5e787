"""Label reports with the rule teacher, as often as it is asked to: python label_rules.py REPORTS.jsonl."""

import sys

import pandas as pd
from rounds import read_reports, serve

from radbook.teachers.rules import RuleTeacher
from radbook.teachers.rules.sentences import split_sentences


def main(path: str) -> None:
    """Serve "corpus" (one call), "distinct" (one call, no sentence twice) and "single" (one call per report)."""
    reports = pd.DataFrame(read_reports(path))
    distinct = reports.assign(text=make_distinct(reports["text"]))
    singles = [reports.iloc[[row]] for row in range(len(reports))]
    teacher = RuleTeacher()
    teacher.label(singles[0])
    serve(
        {
            "corpus": lambda: present(teacher.label(reports)),
            "distinct": lambda: present(teacher.label(distinct)),
            "single": lambda: {k: v for report in singles for k, v in present(teacher.label(report)).items()},
        }
    )


def make_distinct(texts) -> list[str]:
    """Append a word of its own to every sentence: none can be read once and used again."""
    made = []
    for row, text in enumerate(texts):
        for n, (_, end) in enumerate(reversed(list(split_sentences(text)))):
            text = f"{text[:end]} q{row}q{n}{text[end:]}"
        made.append(text)
    return made


def present(labels: pd.DataFrame) -> dict[str, list[str]]:
    """Return the categories each report is said to show."""
    choice = labels[labels["task"] == "choice"]
    return {
        report: sorted(f["code"] for f in findings if f["presence"] == "present")
        for report, findings in zip(choice["report_id"], choice["findings"], strict=True)
    }


if __name__ == "__main__":
    main(sys.argv[1])
