"""What a chapter may show of a corpus: its text or none of it, tables with wording blanked, and how the corpus was made.

`may_show` decides once per chapter, by the corpus and by what the reader of the run asked for; everything that writes text
takes its answer, "always" or "never".
"""

from collections.abc import Mapping
from html import escape

import pandas as pd
from pandas.api.types import is_numeric_dtype

from radbook.corpora import SHARING
from radbook.errors import choose
from radbook.highlight import Highlight, highlight

__all__ = ["corpus_story", "error_shown", "hide_private", "may_show"]

_IDS = ("report_id", "patient_id")
# Columns that hold names of ours and no wording of a report; what a chapter calls its text cannot be foreseen.
_WORDLESS = (
    "task", "code", "presence", "start", "end", "split", "corpus", "source", "status", "kind", "curated", "predicted",
    "fate", "policy", "metric", "lost", "invented",
)  # fmt: skip
_STORIES = {
    "synthetic": (
        "This corpus is synthetic: a seeded grammar wrote every report and its labels in one step, so the "
        "curated labels are true by construction. Its hospital style holds wording that the rule lexicon "
        "lacks and that the base model met before in another style, as happens with real hospitals, but "
        "here we put it there: every comparison between rules and student below is partly a consequence "
        "of that choice and says nothing about any real hospital."
    ),
    "openi": (
        "This corpus is real: chest X-ray reports of Indiana University, published by the U.S. National "
        "Library of Medicine, which people coded with MeSH terms. Those codes, mapped to categories by a "
        "table of ours, are the curated labels, so every figure below depends on the coders and on that "
        "table. The rule lexicon, and the grammar whose reports taught the packaged base, were written with "
        "reports of this very collection at hand, the test split not held apart: the scores of rules and base "
        "on it are friendlier than a new hospital's would be."
    ),
    "table": (
        "This corpus is a table of your own. Its label column, if it has one, is taken as the curated "
        "truth without question; where it has none, nothing below can be scored, and the figures say so."
    ),
}


def may_show(corpus: str, show_text: str) -> str:
    """Decide whether report text may appear on the page: "always" or "never".

    `show_text` "open" shows the text of corpora that anyone may read and hides that of private and credentialed ones.

    >>> may_show("synthetic", "open"), may_show("table", "open"), may_show("table", "always")
    ('always', 'never', 'always')
    """
    choose(show_text, ("never", "open", "always"), "show_text")
    allowed = show_text == "always" or (show_text == "open" and SHARING.get(corpus) == "open")
    return "always" if allowed else "never"


def hide_private(frame: pd.DataFrame, shown: str) -> pd.DataFrame:
    """Blank the columns that could identify a patient or repeat a report, unless `shown` is "always".

    Numbers stay, and so do columns known to hold no wording (task, code, presence, ...); any other is blanked.
    The index, which may hold ids, gives way to row numbers.

    >>> frame = pd.DataFrame({"report_id": ["1"], "split": ["dev"], "answer": ["wet lungs"]})
    >>> hide_private(frame, "never").iloc[0].tolist()
    ['(hidden)', 'dev', '(hidden)']
    """
    if shown == "always":
        return frame
    hidden = frame.reset_index(drop=True)
    for place, (name, kind) in enumerate(frame.infer_objects().dtypes.items()):
        if name in _IDS or not (name in _WORDLESS or is_numeric_dtype(kind)):
            hidden.isetitem(place, "(hidden)")
    return hidden


def error_shown(error: Mapping, text: str, *, shown: str) -> Highlight:
    """Show one row of `disagreements`: what kind of error it is, then the report with the evidence of whoever claimed it.

    >>> error = {"kind": "miss", "code": "Edema", "curated": "present", "predicted": "absent", "phrase": None}
    >>> error_shown(error | {"start": None, "end": None}, "Wet lungs.", shown="never").html[:69]
    '<p><strong>miss of Edema</strong>: curated present, source absent</p>'
    """
    said = f"curated {escape(error['curated'])}, source {escape(error['predicted'])}"
    title = f"<p><strong>{escape(error['kind'])} of {escape(error['code'])}</strong>: {said}</p>"
    # A row of the table itself holds pandas' missing values where it has no evidence.
    evidence = {name: None if pd.isna(value) else value for name, value in error.items()} | {"presence": "present"}
    return Highlight(title + highlight(text, [evidence], shown=shown).html)


def corpus_story(corpus: str) -> str:
    """Return the sentences that say how a corpus was made and what that does to every figure.

    >>> corpus_story("openi").split(":")[0]
    'This corpus is real'
    """
    return _STORIES.get(corpus, f"The corpus {corpus} has no description here.")
