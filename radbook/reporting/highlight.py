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

__all__ = ["SHOWN", "SIGNS", "Highlight", "evidence_table", "foldable", "highlight", "legend", "marked"]

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
.radbook-highlight .radbook-codes{white-space:normal;padding-left:1.2em;margin:.3em 0}
.radbook-fold{margin:.4em 0}.radbook-fold>summary{cursor:pointer;overflow-wrap:anywhere}
""".replace("\n", "")
SIGNS = {Presence.PRESENT: "+", Presence.UNCERTAIN: "?", Presence.ABSENT: "\u2212"}


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
    choose(shown, SHOWN, "shown")
    found = [dict(f) for f in findings]
    placed = _placed(text, found)
    if shown == "never":
        body = (
            _codes("Report text is not shown. Findings:", found)
            if found
            else "<p>Report text is not shown. No finding.</p>"
        )
    else:
        unplaced = [f for f in found if f not in placed]
        body = marked(text, placed).html + (_codes("Without a place in the text:", unplaced) if unplaced else "")
    return Highlight(
        '<div class="radbook-highlight" role="figure" aria-label="Findings of one report">'
        f"<style>{_STYLE}</style>{body}{_legend()}</div>"
    )


def marked(text: str, findings: Iterable[Mapping[str, object]]) -> Highlight:
    """Mark evidence as `highlight` does, without style and legend: for pages of many reports, which need one `legend`.

    Findings without offsets are left out. The caller decides whether the text may be shown.

    >>> marked("Wet lungs.", [{"code": "Edema", "presence": "present", "start": 0, "end": 9}]).html
    '<div><mark class="present" title="Edema, present">Wet lungs</mark>.</div>'
    """
    findings = _placed(text, findings)
    # Overlapping evidence is cut at every start and end, so that marks never nest or cross.
    edges = sorted({0, len(text), *(f["start"] for f in findings), *(f["end"] for f in findings)})
    pieces = []
    for left, right in pairwise(edges):
        here = [f for f in findings if f["start"] <= left and right <= f["end"]]
        pieces.append(_mark(text[left:right], here) if here else escape(text[left:right]))
    return Highlight(f"<div>{''.join(pieces)}</div>")


def legend() -> Highlight:
    """Return style and legend for texts of `marked`, each inside an element of the class radbook-highlight."""
    return Highlight(f'<style>{_STYLE}</style><div class="radbook-highlight">{_legend()}</div>')


def evidence_table(findings: Iterable[Mapping[str, object]], *, shown: str) -> Highlight:
    """List findings with their code, presence, phrase and rule, as an escaped HTML table.

    With `shown="never"` phrase and rule are left out: both hold wording of the report.

    >>> found = [{"code": "Edema", "presence": "absent", "phrase": "a<b", "rule": None}]
    >>> made = evidence_table(found, shown="always")
    >>> "a&lt;b" in made.html, "a<b" in made.html
    (True, False)
    """
    choose(shown, SHOWN, "shown")
    names = ("code", "presence") if shown == "never" else ("code", "presence", "phrase", "rule")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(f.get(name) or ''))}</td>" for name in names) + "</tr>"
        for f in findings
    )
    table = f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return Highlight(f'<div style="overflow-x:auto" tabindex="0" role="region" aria-label="Findings and rules">{table}</div>')


def foldable(title: str, *parts: Highlight) -> Highlight:
    """Put HTML under a title that opens it: closed until the reader asks. The title is escaped.

    >>> foldable("1 < 2", Highlight("<p>inside</p>")).html
    '<details class="radbook-fold"><summary>1 &lt; 2</summary><p>inside</p></details>'
    """
    inside = "".join(part.html for part in parts)
    return Highlight(f'<details class="radbook-fold"><summary>{escape(title)}</summary>{inside}</details>')


def _placed(text: str, findings: Iterable[Mapping[str, object]]) -> list[dict]:
    placed = [dict(f) for f in findings if f.get("start") is not None and f.get("end") is not None]
    for f in placed:
        if not 0 <= f["start"] < f["end"] <= len(text):
            of = f" of report {f['report_id']!r}" if "report_id" in f else ""
            raise RadbookError(
                f"finding {f['code']!r}{of} has the evidence {f['start']}-{f['end']}, outside a text of "
                f"{len(text)} characters: take text and labels from the same run"
            )
    return placed


def _mark(piece: str, findings: list[dict]) -> str:
    # Where marks overlap, the strongest claim gives the color.
    presence = max((Presence(f["presence"]) for f in findings), key=STRENGTH.get)
    said = escape("; ".join(_say(f, rule=True) for f in findings), quote=True)
    return f'<mark class="{presence}" title="{said}">{escape(piece)}</mark>'


def _say(finding: Mapping, *, rule: bool = False) -> str:
    words = f"{finding['code']}, {Presence(finding['presence'])}"
    return f"{words} ({finding['rule']})" if rule and finding.get("rule") else words


def _codes(title: str, findings: list[dict]) -> str:
    # The rule is left out: its trigger is wording of the report.
    items = "".join(
        f'<li><mark class="{Presence(f["presence"])}">{SIGNS[Presence(f["presence"])]} {escape(_say(f))}</mark></li>'
        for f in findings
    )
    return f'<p style="margin:.3em 0">{escape(title)}</p><ul class="radbook-codes">{items}</ul>'


def _legend() -> str:
    marks = {"present": "solid line", "uncertain": "dashed line", "absent": "dotted line"}
    items = " ".join(f'<mark class="{p}">{SIGNS[p]} {p} ({marks[p]})</mark>' for p in Presence)
    return f'<div class="radbook-legend">Legend: {items}</div>'
