"""The comparison of two runs as Markdown: what `radbook compare` prints, and a page of the book."""

from collections.abc import Iterator, Sequence

import pandas as pd

from radbook.compare.differences import NONE, PARTS, Change, Changes
from radbook.evaluation import FEW_POSITIVES
from radbook.reporting.text import interval, p_value, plain, verdict

__all__ = ["as_markdown", "inline_code", "markdown_table"]

_PAIRED = (
    "F1 is paired on the same {reports:,} test reports of {patients:,} patients, B minus A: policy {policy}, ICD-10 codes "
    "compared by category, 95% intervals over patients, p-values of a permutation test, Holm over the categories with at "
    f"least {FEW_POSITIVES} positives."
)
_MOVED = {"above": "B is higher", "below": "B is lower", "tie": "no difference can be told", "unknown": "not known"}


def as_markdown(changes: Changes, *, paired: bool = True) -> str:
    """Return a comparison as Markdown.

    Where `paired`, scores of changed answers are paired, which draws thousands of samples; the scores that the chapters of
    both runs gave stand side by side in any case.
    """
    return "\n".join([*_made_from(changes), "## What they answer", "", *_answers(changes, paired)])


def _made_from(changes: Changes) -> Iterator[str]:
    settings = changes.settings
    counts = pd.crosstab(settings["part"], settings["state"]).reindex(PARTS, fill_value=0)
    counts = counts.reindex(columns=["same", "differs", NONE], fill_value=0)
    yield from ["## What they were made from", ""]
    yield from markdown_table(("part", *counts), counts.reset_index().astype(str).to_numpy().tolist())
    told = settings[settings["state"] != "same"]
    if len(told):
        cells = [(r.part, inline_code(r.name), inline_code(r.a), inline_code(r.b)) for r in told.itertuples(index=False)]
        yield from markdown_table(("part", "name", "A", "B"), cells)


def _answers(changes: Changes, paired: bool) -> Iterator[str]:
    policies = changes.a.policy, changes.b.policy
    rows = []
    for change in changes.answers:
        scores = changes.side_by_side(change)
        f1 = [scores[side].get(label, NONE) for label in ("micro", "macro") for side in ("A", "B")]
        rows.append((change.task, _names(change), "not known" if change.why else f"{change.changed:,}", *f1))
    if changes.why:
        yield from [f"The answers cannot be compared report by report, because {changes.why}.", ""]
    if rows:
        own = f"policy {policies[0]}" if policies[0] == policies[1] else f"policies {policies[0]} and {policies[1]}"
        yield from [f"Each run's own scores, with their own intervals over patients ({own}):", ""]
        f1 = [f"{label}-F1, {side}" for label in ("micro", "macro") for side in "AB"]
        yield from markdown_table(("task", "source", "answers that changed", *f1), rows)
    if paired:
        for change in changes.answers:
            yield from _details(changes, change)
        if any(change.changed and not change.why for change in changes.answers):
            reports = changes.a.reports
            numbers = {"reports": len(reports), "patients": reports["patient_id"].nunique()}
            yield from [_PAIRED.format(policy=policies[0], **numbers), ""]


def _details(changes: Changes, change: Change) -> Iterator[str]:
    title = f"### Task {change.task}, {_names(change)}"
    if change.why:
        table = changes.side_by_side(change).reset_index()
        yield from [title, "", f"Not paired, because {change.why}.", "", *markdown_table(tuple(table), table.to_numpy().tolist())]
    elif change.changed:
        table = changes.paired(change)
        micro = table.set_index("label").loc["micro"]
        moved = f"{interval(micro, signed=True)}, p {p_value(micro['p'])}: {verdict(micro, **_MOVED)}"
        yield from [title, "", f"Micro-F1 {moved}.", ""]
        cells = [
            (r.label, f"{r.n_positive:,}", plain(r.value_a), plain(r.value_b), interval(r._asdict(), signed=True), _p(r.p),
             "" if pd.isna(r.p_holm) else _p(r.p_holm))
            for r in table.itertuples(index=False)
        ]  # fmt: skip
        yield from markdown_table(("label", "positives", "A", "B", "B - A (95% interval)", "p", "p (Holm)"), cells)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of Markdown, its columns aligned, with an empty line at its end.

    >>> markdown_table(("part", "here"), [("CPU cores", "2")])
    ['| part      | here |', '| --------- | ---- |', '| CPU cores | 2    |', '']
    """
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = (" | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
    return [*(f"| {line} |" for line in padded), ""]


def inline_code(value: str) -> str:
    """Return a value as inline code of a table cell, whatever characters it holds.

    >>> inline_code("a | `b`"), inline_code("")
    ("`a / 'b'`", '(empty)')
    """
    value = value.replace("`", "'").replace("|", "/").replace("\n", " ")
    return f"`{value}`" if value.strip() else "(empty)"


def _names(change: Change) -> str:
    sources = change.a if change.a == change.b else f"A: {change.a or 'none'}, B: {change.b or 'none'}"
    return f"{change.role} ({sources})" if sources != change.role else change.role


def _p(p: float) -> str:
    return p_value(p).removeprefix("= ")
