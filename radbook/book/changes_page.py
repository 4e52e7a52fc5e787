"""The page "What changed since the published run", with the scores that the chapters of both runs gave."""

from collections.abc import Mapping

from radbook.book.sanitize import scrub
from radbook.compare import as_markdown, compare_records, published_record
from radbook.compare.markdown import inline_code
from radbook.compare.record import record_of
from radbook.pipeline.run import Run

__all__ = ["changes_page"]

_PAGE = """\
(what-changed)=
# What changed since the published run

{}
On the command line, `radbook compare {} {}` also pairs the answers of two runs, report by report.
"""
_PUBLISHED = """\
For the corpus `{corpus}` this project has a {{term}}`published run`, in `{a}`: A.
The pages you are reading are of the run `{b}`: B.

{body}
A {{term}}`paired difference` is much surer than two intervals side by side.
It says how far chance in the choice of patients could move it, not what another seed of the training would have changed:
two single runs are evidence about two students, not about a parameter.
"""


def changes_page(run: Run, *, hidden: Mapping[str, str]) -> str:
    """Return the Markdown page that compares a run with the published run of its corpus; paths in `hidden` are scrubbed."""
    corpus = run.manifest().get("parameters", {}).get("corpus", "")
    published = published_record(corpus, project=run.project)
    if published is None:
        what = f"the corpus {inline_code(corpus)}" if corpus else "a corpus without a name"
        none = f"These pages are of a run on {what}, of which no run is published, so there is nothing to compare them with.\n"
        return _PAGE.format(none, "ONE", "OTHER")
    body = scrub(as_markdown(compare_records(published, record_of(run)), paired=False), hidden)
    told = _PUBLISHED.format(corpus=corpus, a=published.name, b=run.name, body=body)
    return _PAGE.format(told, published.name, run.name)
