"""What a chapter may show of a corpus: its text or none of it, tables with wording blanked, and how the corpus was made.

`may_show` decides once per chapter, by the corpus and by what the reader of the run asked for; everything that writes text
takes its answer, "always" or "never".
"""

from collections.abc import Mapping
from importlib.resources import files

import pandas as pd
import yaml
from pandas.api.types import is_numeric_dtype

from radbook.core.errors import choose
from radbook.corpora import SHARING
from radbook.reporting.highlight import highlight
from radbook.reporting.templates import Highlight, render

__all__ = ["corpus_story", "error_shown", "hide_private", "may_show"]

_IDS = ("report_id", "patient_id")
# Columns that hold names of ours and no wording of a report; what a chapter calls its text cannot be foreseen.
_WORDLESS = (
    "task", "code", "presence", "start", "end", "split", "corpus", "source", "status", "kind", "curated", "predicted",
    "fate", "policy", "metric", "lost", "invented",
)  # fmt: skip


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
    for number, (name, kind) in enumerate(frame.infer_objects().dtypes.items()):
        if name in _IDS or not (name in _WORDLESS or is_numeric_dtype(kind)):
            hidden.isetitem(number, "(hidden)")
    return hidden


def error_shown(error: Mapping, text: str, *, shown: str) -> Highlight:
    """Show one row of `disagreements`: what kind of error it is, then the report with the evidence of whoever claimed it.

    >>> error = {"kind": "miss", "code": "Edema", "curated": "present", "predicted": "absent", "phrase": None}
    >>> error_shown(error | {"start": None, "end": None}, "Wet lungs.", shown="never").html[:69]
    '<p><strong>miss of Edema</strong>: curated present, source absent</p>'
    """
    # A row of the table itself holds pandas' missing values where it has no evidence.
    evidence = {name: None if pd.isna(value) else value for name, value in error.items()} | {"presence": "present"}
    return render("error.html", error=error, text=highlight(text, [evidence], shown=shown).html)


def corpus_story(corpus: str, *, full: bool = False) -> str:
    """Return what a figure owes to the way its corpus was made: one line, or in `full` for the chapter that opens the corpus.

    >>> corpus_story("openi", full=True).split(":")[0], corpus_story("openi").split(":")[0]
    ('This corpus is real', 'The corpus is real')
    """
    stories = yaml.safe_load((files("radbook") / "resources" / "corpus_stories.yaml").read_text(encoding="utf-8"))
    return stories[corpus]["full" if full else "line"]
