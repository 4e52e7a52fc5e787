"""The page "What changed since the published run": settings, and the scores of both runs as their chapters gave them.

The page draws nothing; whether a difference could be chance is what `radbook compare` answers.
"""

from collections.abc import Mapping

from radbook.book.about_page import inline_code, markdown_table
from radbook.book.sanitize import scrub
from radbook.compare import Changes, compare_records, published_record
from radbook.compare.differences import NONE, PARTS
from radbook.compare.record import record_of
from radbook.pipeline.run import Run

__all__ = ["changes_page"]

_HEADER = ("task", "source", "answers that changed", "micro-F1, A", "micro-F1, B", "macro-F1, A", "macro-F1, B")
_ONE_SEED = (
    "Each score has the interval over patients of its own run. They are no test of the difference, which is paired, and none "
    "says what another seed of the training would have changed: two single runs are evidence about two students, not about a "
    "parameter."
)


def changes_page(run: Run, *, hidden: Mapping[str, str]) -> str:
    """Return the Markdown page that compares a run with the published run of the same corpus.

    Parameters
    ----------
    run
        The run that the book shows.
    hidden
        Paths that must not be shown, with what stands for each.
    """
    head = ["(what-changed)=", "# What changed since the published run", ""]
    corpus = run.manifest().get("parameters", {}).get("corpus", "")
    published = published_record(corpus, project=run.project)
    if published is None:
        what = f"the corpus {inline_code(corpus)}" if corpus else "a corpus without a name"
        none = f"These pages are of a run on {what}, of which no run is published, so there is nothing to compare them with."
        return "\n".join([*head, none, "", _command("ONE", "OTHER"), ""])
    changes = compare_records(published, record_of(run))
    lines = [
        *head,
        f"For the corpus `{corpus}` this project has a {{term}}`published run`, in `{published.name}`.",
        f"The pages you are reading are of the run `{run.name}`.",
        "Here the two are compared: A is the published run, B is this one.",
        "",
        "## What they were made from",
        "",
        *markdown_table(("part", "what of it"), [(part, changes.summary(part)) for part in PARTS]),
    ]
    for part in PARTS:
        rows = [
            (f"`{name}`", *(inline_code(scrub(v, hidden)) for v in values))
            for name, *values in changes.differing(part).itertuples(index=False)
        ]
        lines += [f"### {part.capitalize()} that differ", "", *markdown_table(("name", "A", "B"), rows)] if rows else []
    return "\n".join([*lines, "## What they answer", "", *_answers(changes), _command(published.name, run.name), ""])


def _command(a: str, b: str) -> str:
    return f"On the command line, `radbook compare {a} {b}` pairs two runs report by report, with the interval of each difference."


def _answers(changes: Changes) -> list[str]:
    if changes.same_tables:
        return ["The same tables: no report, label or answer differs, and so no score does.", ""]
    a, b = changes.a.policy, changes.b.policy
    said = [f"The answers cannot be compared one by one, because {changes.why}."] if changes.why else []
    said += [f"A is scored by policy {a} and B by {b}." if a != b else f"Both are scored by policy {a}.", _ONE_SEED, ""]
    rows = []
    for change in changes.answers:
        scores = changes.side_by_side(change).set_index("label")
        f1 = [scores[side].get(label, NONE) for label in ("micro", "macro") for side in ("a", "b")]
        rows.append((change.task, change.role, "not known" if change.why else f"{change.changed:,}", *f1))
    return said + (markdown_table(_HEADER, rows) if rows else ["Neither run holds scores.", ""])
