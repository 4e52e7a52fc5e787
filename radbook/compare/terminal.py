"""The comparison of two runs as lines for a terminal."""

import numpy as np
import pandas as pd

from radbook.compare.differences import PARTS, Change, Changes
from radbook.evaluation import FEW_POSITIVES
from radbook.reporting.text import interval, p_value, plain, verdict

__all__ = ["as_text", "names"]

_READING = (
    "policy {policy}, ICD-10 codes compared by category, 95% intervals over patients, "
    "p-values of a permutation test, Holm over the categories"
)
_MOVED = {"above": "B is higher", "below": "B is lower", "tie": "no difference can be told", "unknown": "not known"}


def as_text(changes: Changes) -> str:
    """Return a comparison as text; F1 of what changed is paired here, which takes seconds."""
    lines = []
    for side, record in (("A", changes.a), ("B", changes.b)):
        corpus, profile = record.parameters.get("corpus", "unknown"), record.manifest.get("profile")
        lines.append(f"{side}  {record.name}  (corpus {corpus}, profile {profile})")
    lines.append("")
    for part in PARTS:
        lines.append(f"{part.capitalize()}: {changes.summary(part)}.")
        lines += [f"  {row.name}: {row.a} -> {row.b}" for row in changes.differing(part).itertuples(index=False)]
    lines += ["", _heading(changes)]
    same = []
    for change in changes.answers:
        if change.changed or change.why:
            lines += ["", *(_side_by_side(changes, change) if change.why else _paired(changes, change))]
        else:
            same.append(names(change))
    if same and not changes.same_tables:
        lines += ["", f"Every answer is the same, and so is every score: {'; '.join(same)}."]
    return "\n".join(lines)


def names(change: Change) -> str:
    """Name task, role and sources.

    >>> names(Change("open", "base", "base:tiny", "", 0, ""))
    'open, base (A: base:tiny, B: none)'
    """
    sources = change.a if change.a == change.b else f"A: {change.a or 'none'}, B: {change.b or 'none'}"
    return f"{change.task}, {change.role}" + (f" ({sources})" if sources != change.role else "")


def _heading(changes: Changes) -> str:
    if changes.same_tables:
        return "The same tables: no report, label or answer differs, and so no score does."
    policies = changes.a.policy, changes.b.policy
    own = f" Side by side, A is scored by policy {policies[0]} and B by {policies[1]}." * (policies[0] != policies[1])
    if changes.why:
        return f"Scores stand side by side, each with its own interval, because {changes.why}.{own}"
    reports = changes.a.reports
    where = f"the same {len(reports):,} test reports of {reports['patient_id'].nunique():,} patients"
    return f"F1 on {where}, B minus A ({_READING.format(policy=policies[0])}).{own}"


def _side_by_side(changes: Changes, change: Change) -> list[str]:
    answers = f"; {_answers(change)}" if change.changed else ""
    said = "side by side" if change.why == changes.why else f"not paired, {change.why}{answers}"
    table, rest = changes.side_by_side(change), []
    pooled = table["label"].isin(["micro", "macro"])
    if change.task != "choice" and not pooled.all():
        table, rest = table[pooled], [f"  {(~pooled).sum()} single categories are left to the scores of each run."]
    return [f"{names(change)}: {said}", *_lines(table.rename(columns={"a": "A", "b": "B"})), *rest]


def _paired(changes: Changes, change: Change) -> list[str]:
    table = changes.paired(change)
    micro = table.set_index("label").loc["micro"]
    moved = f"micro-F1 {interval(micro, signed=True)}, p {p_value(micro['p'])}: {verdict(micro, **_MOVED)}"
    pooled, known = table["label"].isin(["micro", "macro"]), table[["value_a", "value_b"]].notna().sum(axis=1)
    same, unknown = ~pooled & np.isclose(table["value_a"], table["value_b"]), ~pooled & (known == 0)
    rows = table[~(same | unknown)]
    few = rows["n_positive"] < FEW_POSITIVES
    shown = pd.DataFrame(
        {
            "label": rows["label"],
            "positives": rows["n_positive"].map("{:,}".format) + few.map({True: "*", False: ""}),
            "A": rows["value_a"].map(plain),
            "B": rows["value_b"].map(plain),
            "B - A (95% interval)": [interval(row, signed=True) for _, row in rows.iterrows()],
            "p": rows["p"].map(_p),
            "p (Holm)": rows["p_holm"].map(_p).where(rows["p_holm"].notna(), ""),
        }
    )
    told = {"The same score in both": same, "Unknown in both": unknown, "Known in one of them only": known == 1}
    rest = [f"{what}: {plain(table.loc[which, 'label'].tolist())}." for what, which in told.items() if which.any()]
    rest += [f"*: fewer than {FEW_POSITIVES} positives, too few to be tested with the others."] * bool(few.any())
    left_out = [f"  {' '.join(rest)}"] if rest else []
    return [f"{names(change)}: {_answers(change)}; {moved}", *_lines(shown), *left_out]


def _answers(change: Change) -> str:
    return f"{change.changed:,} answer{'s' * (change.changed != 1)} changed"


def _lines(table: pd.DataFrame) -> list[str]:
    return [f"  {line}".rstrip() for line in table.to_string(index=False).splitlines()] if len(table) else []


def _p(p: float) -> str:
    return p_value(p).removeprefix("= ")
