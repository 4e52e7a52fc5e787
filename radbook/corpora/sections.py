"""Find the sections of a report by their headers, and put sections together into a report text.

Reports come in many shapes: one header per line, everything on one line, indented notes with blank lines, or no header at all.
`split_sections` copes with all of them and never fails: every string has an answer, with offsets into it.
The headers stand in `resources/section_headers.yaml`.
"""

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml

__all__ = ["Section", "body_spans", "compose_text", "correction_spans", "report_body", "split_sections"]

_CORRECTIONS = ("addend", "correct", "amended", "revised")
_CONTEXT = ("indication", "history", "comparison", "technique")
_CONTENT = re.compile(r"\S(?:.*\S)?", re.DOTALL)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_SMALL = re.compile(r"\s{0,40}[a-z]")
_LINE_END = re.compile(r"\n[ \t\r]*\n|\.[ \t\r]*\n(?=[ \t]*[A-Z])")


class Section(NamedTuple):
    """One section: its name (lower case, "" for none) and where its content lies, without the header.

    An addendum or a correction `corrects`: what it says holds against the rest of the report.
    """

    name: str
    start: int
    end: int
    corrects: bool = False


def split_sections(text: str) -> list[Section]:
    """Split a report into its sections.

    Parameters
    ----------
    text
        Any string.

    Returns
    -------
    list of Section
        In order of the text; blank sections are left out.
        The names are "findings", "impression", "indication", "comparison", "history", "technique", "other" (whom
        the radiologist told, what was recommended), and "" for text under none of these.
        An indication, history, comparison or technique ends at a blank line: what follows is the unnamed body
        of the report, as in notes that head everything except the findings.

    Examples
    --------
    >>> text = "INDICATION: cough. FINDINGS: Clear lungs."
    >>> [(s.name, text[s.start:s.end]) for s in split_sections(text)]
    [('indication', 'cough.'), ('findings', 'Clear lungs.')]
    """
    sections: list[Section] = []
    name, start, corrects = "", 0, False
    for header in _header_pattern().finditer(text):
        wording = header[header.lastgroup]
        # "Findings" alone on a line before one in lower case is the first word of a wrapped sentence.
        if header.lastgroup == "alone" and not wording.isupper() and _SMALL.match(text, header.end()):
            continue
        _add(sections, text, name, start, header.start(header.lastgroup), corrects)
        name, start = _names()[wording.lower()], header.end()
        corrects = wording.lower().startswith(_CORRECTIONS)
    _add(sections, text, name, start, len(text), corrects)
    return sections


@cache
def _names() -> dict[str, str]:
    """The section that each header opens."""
    text = (files("radbook") / "resources" / "section_headers.yaml").read_text(encoding="utf-8")
    return {wording: name for name, wordings in yaml.safe_load(text).items() for wording in wordings}


@cache
def _header_pattern() -> re.Pattern:
    longest_first = sorted(_names(), key=len, reverse=True)
    any_case = "|".join(map(re.escape, longest_first))
    capitals = "|".join(re.escape(wording.upper()) for wording in longest_first)
    return re.compile(
        rf"""
        ^[ \t]*(?ai:(?P<opens>{any_case}))[ \t]*:  # opens a line
        # Stands alone on its line, or before a spaced dash; what has no capital is the end of a wrapped sentence.
        | ^[ \t]*(?=[A-Z])(?ai:(?P<dashed>{any_case}))[ \t]+[-\u2013\u2014](?=\s|\Z)
        | ^[ \t]*(?=[A-Z])(?ai:(?P<alone>{any_case}))(?=[^\S\n]*$)
        | (?<=[\s.;])(?=[A-Z]{{2}})(?P<capitals>{capitals})[ \t]*:  # inside a line
        | [.!?;]\s+(?=[A-Z])(?ai:(?P<follows>{any_case}))[ \t]*:  # after the end of a sentence
        """,
        re.MULTILINE | re.VERBOSE,
    )


def _add(sections: list[Section], text: str, name: str, start: int, end: int, corrects: bool) -> None:
    content = _CONTENT.search(text, start, end)
    if content is None:
        return
    start, end = content.span()
    # A comparison is one line; where a stop ends it, the next line is the body of a note that heads nothing else.
    ends = _LINE_END if name == "comparison" else _BLANK_LINE
    blank = ends.search(text, start, end) if name in _CONTEXT else None
    if blank is None:
        sections.append(Section(name, start, end, corrects))
        return
    stop = blank.start() + (text[blank.start()] == ".")
    sections.append(Section(name, *_CONTENT.search(text, start, stop).span()))
    sections.append(Section("", *_CONTENT.search(text, blank.end(), end).span()))


def compose_text(*, findings: str = "", impression: str = "", indication: str = "", comparison: str = "") -> str:
    """Put sections together under headers, one per line; empty ones are left out.

    >>> compose_text(findings="Clear lungs.", indication="Cough.")
    'INDICATION: Cough.\\nFINDINGS: Clear lungs.'
    """
    parts = {"INDICATION": indication, "COMPARISON": comparison, "FINDINGS": findings, "IMPRESSION": impression}
    return "\n".join(f"{header}: {content.strip()}" for header, content in parts.items() if content.strip())


def body_spans(text: str) -> list[tuple[int, int]]:
    """Say where a report speaks of what was seen: its findings and its impression.

    Where no section is headed "findings", unnamed text takes its place.
    A text without any header is all body; one of nothing but an indication and the like has none.

    >>> body_spans("INDICATION: cough. FINDINGS: Clear lungs.")
    [(29, 41)]
    >>> body_spans("Clear lungs.")
    [(0, 12)]
    """
    sections = split_sections(text)
    wanted = {"findings", "impression"}
    if not any(s.name == "findings" for s in sections):
        # Unnamed text before the first header is a title ("CHEST RADIOGRAPH") where more comes further on.
        wanted.add("")
        if any(not s.name for s in sections[1:]) and not sections[0].name:
            sections = sections[1:]
    return [(s.start, s.end) for s in sections if s.name in wanted]


def correction_spans(text: str) -> list[tuple[int, int]]:
    """Say where an addendum or a correction stands.

    >>> correction_spans("Small pneumothorax. ADDENDUM: There is no pneumothorax.")
    [(30, 55)]
    """
    lowered = text.lower()
    if not any(word in lowered for word in _CORRECTIONS):
        return []
    return [(s.start, s.end) for s in split_sections(text) if s.corrects]


def report_body(text: object) -> str:
    """Return the findings and the impression without their headers, one per line: what a prompt shows.

    It is "" where there is nothing to label: no text, or none but a history, an indication and the like.

    >>> report_body("INDICATION: cough. FINDINGS: Clear lungs. IMPRESSION: Normal.")
    'Clear lungs.\\nNormal.'
    >>> report_body("HISTORY: cough."), report_body(None)
    ('', '')
    """
    return "\n".join(text[start:end] for start, end in body_spans(text)) if isinstance(text, str) else ""
