"""The reports behind the numbers: a table that counts errors, and for each count its reports with the evidence of every reader.

Plain HTML, opened by a link of the table or by hand, without any script.
Where the text of a corpus may not be shown, a case is a number (its row among the reports given), codes, and nothing else.
"""

from collections.abc import Mapping

import pandas as pd

from radbook.core.errors import choose
from radbook.evaluation.comparison import SILENT
from radbook.reporting.error_report.report import Mistakes
from radbook.reporting.error_report.tables import anchor, buckets_of, named
from radbook.reporting.highlight import SHOWN, SIGNS, marked
from radbook.reporting.templates import Highlight, render
from radbook.tasks import task_of
from radbook.teachers.rules.sentences import sentence_at

__all__ = ["case_list", "confusion_table"]

_RIGHT = 4  # cases of decisions that are right: enough to see what such a report looks like
_SILENCE = {"": "has no answer", "failed": "the answer failed"}


def confusion_table(found: Mistakes) -> Highlight:
    """Count the student's decisions by label and (curated, predicted); each count links to its reports in `case_list`.

    Codes of the open task are shown with their titles.
    Decisions that are right by not calling the label present have no column: their number stands below the table, and so
    does what was left out.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> from radbook.reporting.error_report.report import examine
    >>> reports = pd.DataFrame({"report_id": ["r7"], "patient_id": ["p"], "text": ["Wet lungs."]})
    >>> truth = pd.DataFrame([label_row("r7", "curated", "choice", [finding("Edema", start=0, end=3)])])
    >>> student = pd.DataFrame([label_row("r7", "student", "choice", [])])
    >>> given = {"curated": truth, "student": student, "teacher": truth, "readers": {"student": student}}
    >>> found = examine("choice", **given, reports=reports, train=reports, policy="certain")
    >>> 'href="#cases-choice-edema-present-not-mentioned"' in confusion_table(found).html
    True
    >>> [name in case_list(found, shown="always", limit=1).html for name in ("r7", "Wet", 'id="cases-choice-edema-present-')]
    [True, True, True]
    >>> [name in case_list(found, shown="never", limit=1).html for name in ("r7", "Wet", "Report 1 of 1")]
    [False, False, True]
    """
    task, rows = found.task, found.linked()
    counts = pd.crosstab(rows["code"], [rows["outcome"], rows["curated"], rows["predicted"]])
    counts = counts.reindex(rows["code"].unique()).sort_index(axis=1, level="outcome", ascending=False, sort_remaining=False)
    own = found.decided[found.decided["source"] == found.student]
    others = own[~own["code"].isin(counts.index)]
    return render(
        "confusion_table.html",
        task=task,
        student=found.student,
        columns=list(counts),
        rows=[(code, row.items()) for code, row in counts.iterrows()],
        silent=f"{len(own) - len(others) - len(rows):,}",
        further=others["code"].nunique(),
        wrong=(others["outcome"] != "right").sum(),
        anchor=anchor,
        named=named,
    )


def case_list(found: Mistakes, *, shown: str, limit: int) -> Highlight:
    """List the reports of each cell of a `confusion_table`, the evidence of all readers side by side.

    Each case has a column per reader with the sentence of its evidence, or its words alone where it gives no place; the
    whole report follows, with the evidence of all of them.

    Parameters
    ----------
    found
        As for `confusion_table`, which has an example.
    shown
        "always" shows the text, "never" numbers and codes only (`radbook.reporting.privacy.may_show` decides); a case that
        may not be shown is called by its row in the reports, from 1.
    limit
        Reports shown in full per cell of wrong decisions, and at most four of right ones; the others are listed by name, with
        their number.
    """
    choose(shown, SHOWN, "shown")
    task, show = found.task, shown == "always"
    rows = {reader: table[["report_id", "status", "findings"]].to_numpy() for reader, table in found.tables.items()}
    answers = {reader: {r: answer for r, *answer in table} for reader, table in rows.items()}
    text_of = dict(zip(found.reports["report_id"], found.reports["text"], strict=True))
    number = {r: i for i, r in enumerate(text_of, start=1)}
    called = {r: f"Report {r}" if show else f"Report {i} of {len(number)}" for r, i in number.items()}
    cells = []
    for code, rows in found.linked().groupby("code", sort=False):
        for pair, cell in rows.groupby(["curated", "predicted"]):
            ids, right = sorted(cell["report_id"], key=number.get), cell["outcome"].iloc[0] == "right"
            in_full = min(limit, _RIGHT) if right else limit
            cases = []
            for r in ids[:in_full]:
                given = {reader: answer.get(r, ("", [])) for reader, answer in answers.items()}
                case = _case(given, code, task, text_of[r] if show else None)
                cases.append(case | {"called": called[r], "note": _note(found, (r, code))})
            head = {"anchor": anchor(task, code, *pair), "label": named(code, task), "curated": pair[0], "predicted": pair[1]}
            rest = [called[r] for r in ids[in_full:]]
            cells.append(head | {"n": len(ids), "right": right, "cases": cases, "rest": rest})
    return render("cases.html", task=task, show=show, cells=cells, signs=SIGNS)


def _note(found: Mistakes, cell: tuple[str, str]) -> str:
    """What became of the error, and its buckets."""
    fate = {"shared": f"shared with {found.teacher}", "added": "added by the student"}.get(found.fate.get(cell))
    return "; ".join(filter(None, (fate, buckets_of(found.held.loc[cell]))))


def _case(answers: Mapping[str, tuple], code: str, task: str, text: str | None) -> dict[str, list]:
    """What each reader says of the label and in which sentence, then the whole `text`; without one, codes and no wording."""
    readers, evidence, key = [], [], task_of(task).key()
    for name, (status, findings) in answers.items():
        findings = [] if status == "failed" else list(findings)
        own, quotes = [f for f in findings if key(f["code"]) == code], []
        for f in own if text is not None else ():
            if f.get("start") is not None:
                start, end = sentence_at(text, f["start"]) or (f["start"], f["end"])
                inside = {"start": f["start"] - start, "end": min(f["end"], end) - start}
                quotes.append(marked(text[start:end], [{**f, **inside}]))
                evidence.append({**f, "rule": ": ".join(filter(None, (name, f.get("rule"))))})
        also = {f"{SIGNS[f['presence']]} {f['code']}" for f in findings if f not in own and f["presence"] != "absent"}
        said = {"name": name, "own": own, "silence": _SILENCE.get(status, SILENT)}
        readers.append(said | {"quotes": quotes, "also": ", ".join(sorted(also))})
    return {"readers": readers, "whole": [] if text is None else marked(text, evidence)}
