"""Show a report with its evidence marked: escaped HTML for notebooks and for the rendered book.

Presence is told by color and, for readers who do not see it, by the kind of underline, a sign after the words,
and the tooltip and legend.
Report text is data: all of it is escaped, and with `shown="never"` none of it is written at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import STRENGTH, Presence

__all__ = ["SHOWN", "SIGNS", "Highlight", "foldable", "highlight", "legend", "marked"]

SHOWN = ("always", "never")  # what `radbook.reporting.privacy.may_show` decides

# Translucent colors sit on a light and on a dark page alike, and the text keeps the page's own color.
_STYLE = """
.radbook-highlight{line-height:1.9;max-width:100%;overflow-wrap:anywhere;white-space:pre-wrap}
.radbook-highlight mark{background:rgba(128,128,128,.18);color:inherit;border-radius:.2em;padding:.05em .15em}
.radbook-highlight mark.present{background:rgba(220,80,40,.25);border-bottom:.16em solid #d9480f}
.radbook-highlight mark.uncertain{background:rgba(230,170,0,.25);border-bottom:.16em dashed #b98900}
.radbook-highlight mark.absent{background:rgba(40,140,120,.22);border-bottom:.16em dotted #12876f}
.radbook-highlight div mark.present[title]::after{content:" +";font-weight:700}
.radbook-highlight div mark.uncertain[title]::after{content:" ?";font-weight:700}
.radbook-highlight div mark.absent[title]::after{content:" \\2212";font-weight:700}
.radbook-highlight .radbook-legend{white-space:normal;font-size:.85em;margin-top:.6em}
.radbook-highlight p{margin:.3em 0}
.radbook-highlight .radbook-codes{white-space:normal;padding-left:1.2em;margin:.3em 0}
.radbook-fold{margin:.4em 0;overflow-x:auto}.radbook-fold>summary{cursor:pointer;overflow-wrap:anywhere}
""".replace("\n", "")
SIGNS = {Presence.PRESENT: "+", Presence.UNCERTAIN: "?", Presence.ABSENT: "\u2212"}
_LINES = {"present": "solid line", "uncertain": "dashed line", "absent": "dotted line"}
_MARKS = " ".join(f'<mark class="{p}">{SIGNS[p]} {p} ({_LINES[p]})</mark>' for p in Presence)
_LEGEND = f'<style>{_STYLE}</style><div class="radbook-legend">Legend: {_MARKS}</div>'


@dataclass(frozen=True)
class Highlight:
    """HTML that a notebook displays; `html` is the fragment itself."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


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
    body = marked(text, findings).html
    if hidden:
        body = f"<p>Report text is not shown.{'' if findings else ' No finding.'}</p>"
    if listed := [f for f in findings if hidden or not _placed(f)]:
        title = "Findings:" if hidden else "Without a place in the text:"
        # The rule is left out: its trigger is wording of the report.
        items = (f'<mark class="{f["presence"]}">{SIGNS[f["presence"]]} {_words(f)}</mark>' for f in listed)
        body += f'<p>{title}</p><ul class="radbook-codes"><li>{"</li><li>".join(items)}</li></ul>'
    label = 'role="figure" aria-label="Findings of one report"'
    return Highlight(f'<div class="radbook-highlight" {label}>{body}{_LEGEND}</div>')


def marked(text: str, findings: Iterable[Mapping[str, object]]) -> Highlight:
    """Mark evidence as `highlight` does, without style and legend: for pages of many reports, which need one `legend`.

    Findings without offsets are left out. The caller decides whether the text may be shown.

    >>> marked("Wet lungs.", [{"code": "Edema", "presence": "present", "start": 0, "end": 9}]).html
    '<div><mark class="present" title="Edema, present">Wet lungs</mark>.</div>'
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
        here, piece = [f for f in placed if f["start"] <= left and right <= f["end"]], escape(text[left:right])
        if here:
            # Where marks overlap, the strongest claim gives the color.
            presence = max((f["presence"] for f in here), key=STRENGTH.get)
            title = "; ".join(_words(f) + (f" ({escape(f['rule'])})" if f.get("rule") else "") for f in here)
            piece = f'<mark class="{presence}" title="{title}">{piece}</mark>'
        pieces.append(piece)
    return Highlight(f"<div>{''.join(pieces)}</div>")


def legend() -> Highlight:
    """Return style and legend for texts of `marked`, each inside an element of the class radbook-highlight."""
    return Highlight(f'<div class="radbook-highlight">{_LEGEND}</div>')


def foldable(title: str, *parts: object) -> Highlight:
    """Put what a notebook shows as HTML, such as a `Highlight` or a table, under a title that opens it; the title is escaped.

    >>> foldable("1 < 2", Highlight("<p>inside</p>")).html
    '<details class="radbook-fold"><summary>1 &lt; 2</summary><p>inside</p></details>'
    """
    inside = "".join(part._repr_html_() for part in parts)
    return Highlight(f'<details class="radbook-fold"><summary>{escape(title)}</summary>{inside}</details>')


def _placed(finding: Mapping) -> bool:
    return finding.get("start") is not None and finding.get("end") is not None


def _words(finding: Mapping) -> str:
    return f"{escape(finding['code'])}, {Presence(finding['presence'])}"
