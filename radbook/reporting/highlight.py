"""Show a report with its evidence marked: escaped HTML for notebooks and for the rendered book.

Presence is told by color and, for readers who do not see it, by the kind of underline, a sign after the words,
and the tooltip and legend.
Report text is data: all of it is escaped, and with `shown="never"` none of it is written at all.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import STRENGTH, Presence
from radbook.reporting.templates import Highlight, render

__all__ = ["SHOWN", "SIGNS", "foldable", "highlight", "marked"]

SHOWN = ("always", "never")  # what `radbook.reporting.privacy.may_show` decides
SIGNS = {Presence.PRESENT: "+", Presence.UNCERTAIN: "?", Presence.ABSENT: "\u2212"}


def highlight(text: str, findings: Iterable[Mapping[str, object]], *, shown: str) -> Highlight:
    """Mark the evidence of findings in a report.

    Parameters
    ----------
    text
        The report, as in `reports.text`.
    findings
        Findings of one `labels` row; those without offsets are listed below the text.
    shown
        "never" lists the codes and shows nothing of the report, "always" shows it; `radbook.reporting.privacy.may_show` decides.

    Returns
    -------
    Highlight
        Displayed as HTML by Jupyter; `.html` holds the fragment.

    Raises
    ------
    RadbookError
        For another value of `shown`, or offsets outside the text.

    Examples
    --------
    >>> found = {"code": "Edema", "presence": "absent", "start": 3, "end": 8, "rule": "pulmonary_edema/name|neg:no"}
    >>> "Edema, absent" in highlight("No edema.", [found], shown="always").html
    True
    >>> "No" in highlight("No edema.", [found], shown="never").html
    False
    """
    findings, hidden = list(findings), choose(shown, SHOWN, "shown") == "never"
    pieces = marked(text, findings)
    # Of those that are listed the rule is left out: its trigger is wording of the report.
    listed = [f for f in findings if hidden or not _placed(f)]
    return render("highlight.html", hidden=hidden, pieces=pieces, listed=listed, signs=SIGNS)


def marked(text: str, findings: Iterable[Mapping[str, object]]) -> list[tuple[str, str, str]]:
    """Cut a text at the evidence of findings: pieces, each with the presence and the words to mark it by, or with neither.

    Findings without offsets are left out. The caller decides whether the text may be shown.

    >>> marked("Wet lungs.", [{"code": "Edema", "presence": "present", "start": 0, "end": 9}])
    [('Wet lungs', 'present', 'Edema, present'), ('.', '', '')]
    """
    placed = [f for f in findings if _placed(f)]
    for f in placed:
        if not 0 <= f["start"] < f["end"] <= len(text):
            of = f" of report {f['report_id']!r}" if "report_id" in f else ""
            raise RadbookError(
                f"finding {f['code']!r}{of} has the evidence {f['start']}-{f['end']}, outside a text of "
                f"{len(text)} characters: take text and labels from the same run"
            )
    # Overlapping evidence is cut at every start and end, so that marks never nest or cross.
    edges = sorted({0, len(text), *(f["start"] for f in placed), *(f["end"] for f in placed)})
    pieces = []
    for left, right in pairwise(edges):
        here = [f for f in placed if f["start"] <= left and right <= f["end"]]
        # Where marks overlap, the strongest claim gives the color.
        presence = max((f["presence"] for f in here), key=STRENGTH.get, default="")
        title = "; ".join(f"{f['code']}, {f['presence']}" + (f" ({f['rule']})" if f.get("rule") else "") for f in here)
        pieces.append((text[left:right], presence, title))
    return pieces


def foldable(title: str, *parts: object) -> Highlight:
    """Put what a notebook shows as HTML, such as a `Highlight` or a table, under a title that opens it; the title is escaped.

    >>> foldable("1 < 2", Highlight("<p>inside</p>")).html
    '<details class="radbook-fold"><summary>1 &lt; 2</summary><p>inside</p></details>'
    """
    return render("fold.html", title=title, parts=[part._repr_html_() for part in parts])


def _placed(finding: Mapping) -> bool:
    return finding.get("start") is not None and finding.get("end") is not None
