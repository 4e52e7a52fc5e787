"""The reports behind the numbers: a table that counts errors, and for each count its reports with the evidence of every reader.

Plain escaped HTML, opened by a link of the table or by hand, without any script.
Where the text of a corpus may not be shown, a case is a number (its row among the reports given), codes, and nothing else.
"""

from collections.abc import Callable, Mapping
from html import escape

import pandas as pd

from radbook.core.errors import choose
from radbook.evaluation.comparison import SILENT
from radbook.reporting.error_report.report import Mistakes
from radbook.reporting.error_report.tables import anchor, buckets_of, named
from radbook.reporting.highlight import SHOWN, SIGNS, Highlight, legend, marked
from radbook.tasks import task_of
from radbook.teachers.rules.sentences import sentence_at

__all__ = ["case_list", "confusion_table"]

_STYLE = """
.radbook-cases{font-size:.92em}
.radbook-cases details{border:1px solid var(--pst-color-border,#bbb);border-radius:4px;margin:.15em 0;padding:.05em .6em}
.radbook-cases details:target{border-color:var(--pst-color-primary,#0e5a6b);border-width:2px}
.radbook-cases details:target::details-content{content-visibility:visible;block-size:auto}
.radbook-cases details:target>summary{list-style-type:disclosure-open}
.radbook-cases summary{cursor:pointer;overflow-wrap:anywhere}
.radbook-case{border-top:1px solid var(--pst-color-border,#bbb);margin-top:.6em}
.radbook-cases p{margin:.2em 0}.radbook-cases .radbook-highlight{line-height:1.6}
.radbook-cases h4{font-size:1em;margin:.35em 0 .1em}
.radbook-sources{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(13rem,100%),1fr));gap:.3em 1.1em}
.radbook-sources section{min-width:0;overflow-wrap:anywhere}
.radbook-whole{border-left:3px solid var(--pst-color-border,#bbb);padding-left:.7em}
""".replace("\n", "")
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
    >>> given = {"curated": truth, "student": student, "teacher": student, "readers": {"student": student}}
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
    table = pd.DataFrame(
        [[_count(n, task, code, *cell[1:]) for cell, n in row.items()] for code, row in counts.iterrows()],
        index=[escape(named(code, task)) for code in counts.index],
        columns=[f"{outcome}<br>{escape(curated)} \u2192 {escape(predicted)}" for outcome, curated, predicted in counts],
    )
    with pd.option_context("display.max_colwidth", None):  # a link cut short is no link
        html = table.rename_axis(columns="label").to_html(escape=False, border=0)  # escaped above, but for the links
    own = found.decided[found.decided["source"] == found.student]
    others = own[~own["code"].isin(counts.index)]
    silent, wrong = len(own) - len(others) - len(rows), (others["outcome"] != "right").sum()
    more = f" {others['code'].nunique()} further labels, with {wrong} errors, are not in this table." if len(others) else ""
    name = escape(f"Decisions of {found.student} by label, curated and predicted")
    return Highlight(
        f'<div id="table-{task}" style="overflow-x:auto" tabindex="0" role="region" aria-label="{name}">{html}</div>'
        f"<p>Not shown: {silent:,} decisions on these labels that are right by not calling the label present.{more}</p>"
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
    task, key = found.task, task_of(found.task).key()
    rows = {reader: table[["report_id", "status", "findings"]].to_numpy() for reader, table in found.tables.items()}
    answers = {reader: {r: answer for r, *answer in table} for reader, table in rows.items()}
    text_of = dict(zip(found.reports["report_id"], found.reports["text"], strict=True))
    number = {r: i for i, r in enumerate(text_of, start=1)}
    called = {r: f"Report {escape(r) if shown == 'always' else f'{i} of {len(number)}'}" for r, i in number.items()}
    parts = []
    for code, rows in found.linked().groupby("code", sort=False):
        for pair, cell in rows.groupby(["curated", "predicted"]):
            ids, right = sorted(cell["report_id"], key=number.get), cell["outcome"].iloc[0] == "right"
            in_full = min(limit, _RIGHT) if right else limit
            title = f"<strong>{escape(named(code, task))}</strong>: {escape(pair[0])} \u2192 {escape(pair[1])}"
            title += f", {len(ids)} {'report' if len(ids) == 1 else 'reports'}"
            parts.append(f'<details id="{anchor(task, code, *pair)}"><summary>{title}</summary>')
            for r in ids[:in_full]:
                given = {reader: answer.get(r, ("", [])) for reader, answer in answers.items()}
                evidence = _evidence(given, code, key, text_of[r] if shown == "always" else None)
                head = f"<strong>{called[r]}</strong> <small>{escape(_note(found, (r, code)))}</small>"
                parts.append(f'<div class="radbook-case"><p>{head}</p>{evidence}</div>')
            if rest := [called[r] for r in ids[in_full:]]:
                more = "" if right else " A higher <code>cases_per_cell</code> shows them."
                parts.append(f"<p>{len(rest)} more, not shown in full: {', '.join(rest)}.{more}</p>")
            parts.append(f'<p><a href="#table-{task}">Back to the table</a></p></details>')
    head = legend().html if shown == "always" else ""
    return Highlight(f'<style>{_STYLE}</style>{head}<div class="radbook-cases">{"".join(parts)}</div>')


def _count(n: int, task: str, code: str, curated: str, predicted: str) -> str:
    if not n:
        return ""
    name = escape(f"{n} reports: {code}, curated {curated}, predicted {predicted}")
    return f'<a href="#{anchor(task, code, curated, predicted)}" aria-label="{name}">{n}</a>'


def _note(found: Mistakes, cell: tuple[str, str]) -> str:
    """What became of the error, and its buckets."""
    fate = {"shared": f"shared with {found.teacher}", "added": "added by the student"}.get(found.fate.get(cell))
    return "; ".join(filter(None, (fate, buckets_of(found.held.loc[cell]))))


def _evidence(answers: Mapping[str, tuple], code: str, key: Callable[[str], str], text: str | None) -> str:
    """What each reader says of the label and in which sentence, then the whole `text`; without one, codes and no wording."""
    sections, evidence = [], []
    for reader, (status, findings) in answers.items():
        findings = [] if status == "failed" else list(findings)
        own = [f for f in findings if key(f["code"]) == code]
        words = "<br>".join(_statement(f, quoted=text is not None) for f in own) or _SILENCE.get(status, SILENT)
        parts = [f"<h4>{escape(reader)}</h4><p>{words}</p>"]
        for f in own if text is not None else ():
            if f.get("start") is not None:
                start, end = sentence_at(text, f["start"]) or (f["start"], f["end"])
                inside = {"start": f["start"] - start, "end": min(f["end"], end) - start}
                parts.append(f'<div class="radbook-highlight">{marked(text[start:end], [{**f, **inside}]).html}</div>')
                evidence.append({**f, "rule": ": ".join(filter(None, (reader, f.get("rule"))))})
        if others := {f"{SIGNS[f['presence']]} {f['code']}" for f in findings if f not in own and f["presence"] != "absent"}:
            parts.append(f"<p><small>also {escape(', '.join(sorted(others)))}</small></p>")
        sections.append(f"<section>{''.join(parts)}</section>")
    whole = ""
    if text is not None:
        whole = f'<div class="radbook-highlight radbook-whole">{marked(text, evidence).html}</div>'
    return f'<div class="radbook-sources">{"".join(sections)}</div>{whole}'


def _statement(finding: Mapping, *, quoted: bool) -> str:
    """A finding in words; with `quoted` also how it was found, which holds wording of the report."""
    words = f"{SIGNS[finding['presence']]} {escape(finding['code'])}, {escape(finding['presence'])}"
    if quoted and finding.get("start") is None:
        phrase = f"; \u201c{escape(finding['phrase'])}\u201d" if finding.get("phrase") else ""
        return f"{words}{phrase}; no place in the text given"
    if quoted and finding.get("rule"):
        rule, _, trigger = finding["rule"].partition("|")
        how = "; ".join(filter(None, (rule, trigger.replace(":", ": ", 1))))
        return f"{words} <small>({escape(how)})</small>"
    return words
