"""The reports behind the numbers: for each count of errors, its reports with the evidence of several readers beside each other.

Plain escaped HTML, opened by a link from `radbook.reporting.error_report.tables` or by hand, without any script.
Where the text of a corpus may not be shown, a case is a number (its row among the reports given), codes, and nothing else.
"""

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from radbook.core.errors import choose
from radbook.core.findings import Presence
from radbook.evaluation.comparison import SILENT
from radbook.reporting.error_report.tables import anchor, linked_decisions, named
from radbook.reporting.highlight import SHOWN, SIGNS, Highlight, legend, marked
from radbook.tasks import task_of
from radbook.teachers.rules.sentences import sentence_at

__all__ = ["case_list"]

_STYLE = """
.radbook-cases{font-size:.92em}
.radbook-cases details{border:1px solid var(--pst-color-border,#bbb);border-radius:4px;margin:.15em 0;padding:.05em .6em}
.radbook-cases details:target{border-color:var(--pst-color-primary,#0e5a6b);border-width:2px;padding-bottom:.4em}
.radbook-cases details:target::details-content{content-visibility:visible;block-size:auto}
.radbook-cases details:target>summary{list-style-type:disclosure-open}
.radbook-whole{font-size:.92em;border-left:3px solid var(--pst-color-border,#bbb);padding-left:.7em;margin:.4em 0 .2em}
.radbook-cases summary{cursor:pointer;overflow-wrap:anywhere;line-height:1.45}
.radbook-case{border-top:1px solid var(--pst-color-border,#bbb);margin-top:.6em;padding-top:.5em}
.radbook-case>p{margin:.2em 0}
.radbook-sources{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(13rem,100%),1fr));gap:.3em 1.1em}
.radbook-sources section{min-width:0;overflow-wrap:anywhere}
.radbook-sources h4{font-size:.95em;margin:.35em 0 .1em}
.radbook-sources p{margin:.1em 0 .3em}
.radbook-sources .radbook-highlight{line-height:1.6}
.radbook-cases small{opacity:.8}
""".replace("\n", "")
_RIGHT = 4  # cases of decisions that are right: enough to see what such a report looks like
_SILENCE = {"": "has no answer", "failed": "the answer failed"}


def case_list(
    decided: pd.DataFrame,
    reports: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    *,
    task: str,
    source: str,
    notes: Mapping[tuple[str, str], str],
    shown: str,
    limit: int,
    top: int | None = None,
) -> Highlight:
    """List the reports of each cell of a `confusion_table`, the evidence of several readers side by side.

    Parameters
    ----------
    decided, task, source, top
        As for `radbook.reporting.error_report.tables.confusion_table`.
    reports
        The reports, with report_id and text; a case that may not be shown is called by its row here, from 1.
    tables
        Name to `labels` table: the columns of a case, from left to right, each with the sentence of its evidence.
        A source that gives no place has its words only. The whole report follows, with the evidence of all of them.
    notes
        A remark per report_id and code, such as its buckets.
    shown
        "always" shows the text, "never" shows numbers and codes only (`radbook.reporting.privacy.may_show` decides).
    limit
        Reports shown in full per cell of wrong decisions, and at most four of right ones; the others are listed by name, with
        their number.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> reports = pd.DataFrame({"report_id": ["r7"], "text": ["Wet lungs."]})
    >>> cell = {"report_id": "r7", "code": "Edema", "source": "rules", "curated": "absent", "predicted": "present"}
    >>> decided = pd.DataFrame([cell | {"outcome": "invention"}])
    >>> rules = pd.DataFrame([label_row("r7", "rules", "choice", [finding("Edema", phrase="Wet lungs", start=0, end=9)])])
    >>> told = {"task": "choice", "source": "rules", "notes": {}, "limit": 1}
    >>> "Wet lungs" in case_list(decided, reports, {"rules": rules}, shown="always", **told).html
    True
    >>> closed = case_list(decided, reports, {"rules": rules}, shown="never", **told).html
    >>> "Wet" in closed, "r7" in closed, "Report 1 of 1" in closed
    (False, False, True)
    """
    choose(shown, SHOWN, "shown")
    rows = linked_decisions(decided, source, top)
    codes = list(dict.fromkeys(rows["code"]))
    said = {name: _by_report(table[table["task"] == task]) for name, table in tables.items()}
    text_of = dict(zip(reports["report_id"], reports["text"], strict=True))
    number = {r: i for i, r in enumerate(reports["report_id"], start=1)}
    called = {r: f"Report {escape(r) if shown == 'always' else f'{i} of {len(number)}'}" for r, i in number.items()}

    def case(report_id: str, code: str) -> str:
        note = escape(notes.get((report_id, code), ""))
        columns = _columns(report_id, code, said, text_of[report_id], task_of(task).key(), shown)
        return f'<div class="radbook-case"><p><strong>{called[report_id]}</strong> <small>{note}</small></p>{columns}</div>'

    cells = sorted(rows.groupby(["code", "curated", "predicted"]), key=lambda item: (codes.index(item[0][0]), item[0]))
    parts = []
    for place, cell in cells:
        ids = sorted(cell["report_id"], key=number.get)
        right = cell["outcome"].iloc[0] == "right"
        in_full = min(limit, _RIGHT) if right else limit
        full, rest = [case(r, place[0]) for r in ids[:in_full]], [called[r] for r in ids[in_full:]]
        parts.append(_cell(task, *place, full, rest, right=right))
    head = legend().html if shown == "always" else ""
    return Highlight(f'<style>{_STYLE}</style>{head}<div class="radbook-cases">{"".join(parts)}</div>')


def _cell(
    task: str, code: str, curated: str, predicted: str, full: Sequence[str], rest: Sequence[str], *, right: bool
) -> str:
    """One fold: the cases of a cell that are shown in full, then the names of the others."""
    n = len(full) + len(rest)
    title = f"{escape(named(code, task))}</strong>: {curated} \u2192 {predicted}"
    summary = f"<summary><strong>{title}, {n} {'report' if n == 1 else 'reports'}</summary>"
    more = "" if right else " A higher <code>cases_per_cell</code> shows them."
    others = f"<p>{len(rest)} more, not shown in full: {', '.join(rest)}.{more}</p>" if rest else ""
    back = f'<p><a href="#table-{task}">Back to the table</a></p>'
    return f'<details id="{anchor(task, code, curated, predicted)}">{summary}{"".join(full)}{others}{back}</details>'


def _by_report(table: pd.DataFrame) -> dict[str, tuple[str, list[dict]]]:
    rows = zip(table["report_id"], table["status"], table["findings"], strict=True)
    return {r: (status, [] if status == "failed" else list(findings)) for r, status, findings in rows}


def _columns(report_id: str, code: str, said: Mapping, text: str, key, shown: str) -> str:
    """What each source says of the label and in which sentence; then the report, with the evidence of all of them."""
    columns, evidence = [], []
    for source, rows in said.items():
        status, findings = rows.get(report_id, ("", []))
        own = [f for f in findings if key(f["code"]) == code]
        placed = [f for f in own if f.get("start") is not None]
        others = sorted(
            {f"{SIGNS[f['presence']]} {f['code']}" for f in findings if _names(f) and key(f["code"]) != code}
        )
        said_here = "<br>".join(_words(f, shown) for f in own) or _SILENCE.get(status, SILENT)
        parts = [f"<h4>{escape(source)}</h4><p>{said_here}</p>"]
        if shown == "always":
            parts += [f'<div class="radbook-highlight">{_sentence(text, f)}</div>' for f in placed]
            evidence += [
                {**f, "rule": f"{source}{': ' + f['rule'] if f.get('rule') else ''}"} for f in placed
            ]
        if others:
            parts.append(f"<p><small>also {escape(', '.join(others))}</small></p>")
        columns.append(f"<section>{''.join(parts)}</section>")
    whole = (
        f'<div class="radbook-highlight radbook-whole">{marked(text, evidence).html}</div>'
        if shown == "always"
        else ""
    )
    return f'<div class="radbook-sources">{"".join(columns)}</div>{whole}'


def _sentence(text: str, entry: Mapping) -> str:
    start, end = sentence_at(text, entry["start"]) or (entry["start"], entry["end"])
    inside = {"start": entry["start"] - start, "end": min(entry["end"], end) - start}
    return marked(text[start:end], [{**entry, **inside}]).html


def _names(entry: Mapping) -> bool:
    return entry["presence"] != Presence.ABSENT


def _words(entry: Mapping, shown: str) -> str:
    words = f"{SIGNS[entry['presence']]} {escape(entry['code'])}, {escape(entry['presence'])}"
    if shown == "never":
        return words
    if entry.get("start") is None:
        quoted = f"; \u201c{escape(entry['phrase'])}\u201d" if entry.get("phrase") else ""
        return f"{words}{quoted}; no place in the text given"
    # The rule is shown with the text only: its trigger is wording of the report.
    name, _, why = (entry.get("rule") or "").partition("|")
    told = "; ".join(filter(None, (name, why.replace(":", ": ", 1))))
    return f"{words} <small>({escape(told)})</small>" if told else words
