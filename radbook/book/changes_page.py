"""The comparison of two runs in words: lines for a terminal, and the page "What changed since the published run"."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from radbook.book.about_page import inline_code, markdown_table
from radbook.book.sanitize import scrub
from radbook.compare.differences import PARTS, Changes, ScoreChange, compare_records
from radbook.compare.published import published_record
from radbook.compare.record import Record, record_of
from radbook.evaluation import FEW_POSITIVES
from radbook.pipeline.run import Run
from radbook.reporting.text import interval, p_value, plain, verdict

__all__ = ["as_markdown", "as_text", "changes_page"]

_READING = (
    "policy {policy}, ICD-10 codes compared by category, 95% intervals over patients, "
    "p-values of a permutation test, Holm over the categories"
)
_HOW_TO_READ = (
    "A {term}`paired difference` sees both runs on the same reports; its interval says how far chance in the choice of "
    "patients could move it.",
    "It does not say what another seed of the training would have changed: a difference between two single runs is evidence "
    "about these two students, not about a parameter.",
    "`p` is that of one label alone; where many are asked, believe `p (Holm)`, the {term}`Holm correction` for asking in "
    f"every category with at least {FEW_POSITIVES} positives.",
)
_HEADER = ("label", "positives", "A", "B", "B - A (95% interval)", "p", "p (Holm)")


def as_text(changes: Changes) -> str:
    """Return a comparison as lines for a terminal."""
    lines = [f"A  {_title(changes.a)}", f"B  {_title(changes.b)}", ""]
    for part in PARTS:
        lines.append(f"{part.capitalize()}: {changes.summary(part)}.")
        if part not in ("code", "data"):
            lines += [f"  {r.name}: {r.a} -> {r.b}" for r in changes.differing(part).itertuples(index=False)]
    lines += ["", _heading(changes)]
    for change in _told(changes):
        frame, rest = _shown(change)
        lines += ["", f"{change.task}, {_names(change)}: {_outcome(change, changes.why)}"]
        lines += (
            [f"  {line}".rstrip() for line in frame.to_string(index=False).splitlines()] if len(frame) else []
        )
        lines += [f"  {rest}"] if rest else []
    lines += ["", _unchanged(changes)] if _unchanged(changes) else []
    return "\n".join(lines)


def as_markdown(changes: Changes, *, hidden: Mapping[str, str]) -> str:
    """Return a comparison as the sections of a page; `hidden` names paths that must not be shown, and what stands for each."""
    lines = ["## What they were made from", ""]
    lines += markdown_table(("part", "what of it"), [(p, changes.summary(p)) for p in PARTS])
    for part in PARTS:
        differing = changes.differing(part)
        if part in ("code", "data") or not len(differing):
            continue
        rows = [
            (f"`{r.name}`", *(inline_code(scrub(v, hidden)) for v in (r.a, r.b)))
            for r in differing.itertuples(index=False)
        ]
        lines += [f"### {part.capitalize()} that differ", "", *markdown_table(("name", "A", "B"), rows)]
    lines += ["## What they answer", "", _heading(changes), ""]
    for change in _told(changes):
        frame, rest = _shown(change)
        lines += [
            f"### Task {change.task}, {_names(change)}",
            "",
            f"{_sentence(_outcome(change, changes.why))}",
            "",
        ]
        rows = [
            [label, *(c.replace(" ", "\u00a0") for c in cells)] for label, *cells in frame.to_numpy().tolist()
        ]
        lines += markdown_table(tuple(frame), rows) if rows else []
        lines += [rest.replace("*:", "\\*:"), ""] if rest else []
    lines += [_unchanged(changes), ""] if _unchanged(changes) else []
    return "\n".join(lines)


def changes_page(run: Run, *, hidden: Mapping[str, str]) -> str:
    """Return the Markdown page that compares a run with the published run of the same corpus."""
    head = ["(what-changed)=", "# What changed since the published run", ""]
    corpus = run.manifest().get("parameters", {}).get("corpus", "")
    published = published_record(corpus, project=run.project)
    if published is None:
        what = f"the corpus {inline_code(corpus)}" if corpus else "a corpus without a name"
        none = f"These pages are of a run on {what}, of which no run is published, so there is nothing to compare them with."
        return "\n".join([*head, none, "", _terminal("ONE", "OTHER"), ""])
    changes = compare_records(published, record_of(run))
    lines = [
        *head,
        f"For the corpus `{corpus}` this project has a {{term}}`published run`, in `{published.name}`.",
        f"The pages you are reading are of the run `{run.name}`.",
        "Here the two are compared: A is the published run, B is this one.",
        "",
        as_markdown(changes, hidden=hidden),
    ]
    if any(c.changed and not c.why for c in changes.scores):
        lines += ["## How to read it", "", *_HOW_TO_READ, ""]
    return "\n".join([*lines, _terminal(published.name, run.name), ""])


def _terminal(a: str, b: str) -> str:
    return f"Any two runs can be compared on the command line: `radbook compare {a} {b}`."


def _heading(changes: Changes) -> str:
    """Say how the scores below come about, or that there is nothing to show."""
    if changes.same_tables:
        return "The same tables: no report, label or answer differs, and so no score does."
    policies = changes.a.policy, changes.b.policy
    own = f" Side by side, A is scored by policy {policies[0]} and B by {policies[1]}." * (policies[0] != policies[1])
    if changes.why:
        return f"Scores stand side by side, each with its own interval, because {changes.why}.{own}"
    paired = next((c.scores.attrs for c in changes.scores if not c.why), None)
    if paired is None:
        return "No scores can be paired." if changes.scores else "Neither run holds answers."
    reports = f"{paired['n_reports']:,} test reports of {paired['n_patients']:,} patients"
    beside = any(c.why for c in changes.scores)
    return f"F1 on the same {reports}, B minus A ({_READING.format(policy=paired['policy'])}).{own if beside else ''}"


def _told(changes: Changes) -> list[ScoreChange]:
    """Return what has something to tell: changed answers, or scores that cannot be paired."""
    return [] if changes.same_tables else [c for c in changes.scores if c.changed or c.why]


def _unchanged(changes: Changes) -> str:
    same = [f"{c.task}, {_names(c)}" for c in changes.scores if not (c.changed or c.why)]
    return (
        f"Every answer is the same, and so is every score: {'; '.join(same)}."
        if same and not changes.same_tables
        else ""
    )


def _names(change: ScoreChange) -> str:
    if change.a == change.b:
        return f"{change.role} ({change.a})" if change.a != change.role else change.role
    return f"{change.role} (A: {change.a or 'none'}, B: {change.b or 'none'})"


def _outcome(change: ScoreChange, known: str) -> str:
    """Say how many answers changed, and how micro-F1 moved, as surely as the interval allows; `known` was said before."""
    answers = f"{change.changed:,} answer{'s' * (change.changed != 1)} changed"
    if change.why == known != "":
        return "side by side"
    if change.why:
        return f"not paired, {change.why}" + (f"; {answers}" if change.changed else "")
    micro = change.scores.set_index("label").loc["micro"]
    moved = verdict(
        micro, above="B is higher", below="B is lower", tie="no difference can be told", unknown="not known"
    )
    return f"{answers}; micro-F1 {interval(micro, signed=True)}, p {p_value(micro['p'])}: {moved}"


def _shown(change: ScoreChange) -> tuple[pd.DataFrame, str]:
    """Return the table to show, and a sentence on the rows left out of it."""
    table = change.scores
    if change.why:
        pooled = table["label"].isin(["micro", "macro"]) if len(table) else []
        if change.task == "choice" or not len(table):
            return table.rename(columns=str.upper).rename(columns={"LABEL": "label"}), ""
        rest = f"{(~pooled).sum()} single categories are left to the scores of each run."
        return table[pooled].rename(columns={"a": "A", "b": "B"}), rest
    pooled = table["label"].isin(["micro", "macro"])
    known = table[["value_a", "value_b"]].notna().sum(axis=1)
    same, unknown = ~pooled & np.isclose(table["value_a"], table["value_b"]), ~pooled & (known == 0)
    rows = table[~(same | unknown)]
    few = rows["n_positive"] < FEW_POSITIVES
    cells = [
        rows["label"],
        rows["n_positive"].map("{:,}".format) + few.map({True: "*", False: ""}),
        rows["value_a"].map(plain),
        rows["value_b"].map(plain),
        [interval(row, signed=True) for _, row in rows.iterrows()],
        rows["p"].map(_p),
        rows["p_holm"].map(_p).where(rows["p_holm"].notna(), ""),
    ]
    told = {"The same score in both": same, "Unknown in both": unknown, "Known in one of them only": known == 1}
    said = [f"{what}: {plain(table.loc[which, 'label'].tolist())}." for what, which in told.items() if which.any()]
    said += [f"*: fewer than {FEW_POSITIVES} positives, too few to be tested with the others."] * bool(
        few.any()
    )
    return pd.DataFrame(dict(zip(_HEADER, cells, strict=True))), " ".join(said)


def _p(p: float) -> str:
    return p_value(p).removeprefix("= ")


def _title(record: Record) -> str:
    return f"{record.name}  (corpus {record.parameters.get('corpus', 'unknown')}, profile {record.manifest.get('profile')})"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
