"""Find the sections of a report by their headers, and put sections together into a report text.

Reports come in many shapes: one header per line, everything on one line, indented notes with blank lines, or no header at all.
`split_sections` copes with all of them and never fails: every string has an answer, with offsets into it.
The headers stand in `resources/section_headers.yaml`.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

import yaml
from rapidfuzz.distance import OSA

from radbook.corpora.marks import unmarked

__all__ = ["Section", "body_spans", "compose_text", "correction_spans", "find_body", "report_body", "split_sections"]

_HEADERS = yaml.load(
    (files("radbook") / "resources" / "section_headers.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader
)
_WORDS = {kind: frozenset(words) for kind, words in _HEADERS.pop("words").items()}
# The section that each header opens.
_NAMES = {wording: name for name, wordings in _HEADERS.items() for wording in wordings}

_CORRECTIONS = ("addend", "correct", "amended", "revised")
_CONTEXT = ("indication", "history", "comparison", "technique")
_CONTENT = re.compile(r"\S(?:.*\S)?", re.DOTALL)
_RULED = r"\n[ \t]*[_=*-]{5,}[ \t\r]*(?:\n|\Z)"
_BLANK_LINE = re.compile(rf"\n[ \t\r]*\n|{_RULED}")
_RULE = re.compile(_RULED)
_SMALL = re.compile(r"\s{0,40}[a-z]")
_LINE_END = re.compile(rf"\n[ \t\r]*\n|\.[ \t\r]*\n(?=[ \t]*[A-Z])|{_RULED}")
_NEXT_LINE = re.compile(r"\n[ \t]*(?=[A-Z0-9*-])")
_NEXT_SENTENCE = re.compile(r"[.!]\s+(?=[A-Z])")
# Before a colon, what may be a header that is not listed: it names the views, lacks a letter, or says whose addendum it is.
_ODD = re.compile(r"(?:^|\n|(?<!Dr)(?<!\d)[.!?;][ \n])[ \t]*([A-Za-z](?:[^\n.;]|\.(?! )|Dr\. ){1,60})$")
_NO_HEADER = tuple("0123456789.:")  # behind the colon: a time, a slip, a row of colons
_WORD = re.compile(r"[a-z/?]+")
_READ = re.compile(r"[A-Za-z]{3}")  # a date behind the views is no reading
REMAINDER = "no section of findings: what follows the other sections was read"


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
    text = unmarked(text)
    for left, right, wording in _headers(text):
        if left < start:
            continue
        _add(sections, text, name, start, left, corrects)
        name, start = _section_of(wording), right
        corrects = wording.lower().startswith(_CORRECTIONS)
    _add(sections, text, name, start, len(text), corrects)
    return sections


def _headers(text: str) -> Iterator[tuple[int, int, str]]:
    colon = text.find(":")
    for header in _header_pattern().finditer(text):
        while -1 < colon < header.start():
            yield from _odd_header(text, colon)
            colon = text.find(":", colon + 1)
        wording = header[header.lastgroup]
        # "Findings" alone on a line before one in lower case is the first word of a wrapped sentence.
        if not (header.lastgroup == "alone" and not wording.isupper() and _SMALL.match(text, header.end())):
            yield header.start(header.lastgroup), header.end(), wording
        colon = text.find(":", header.end())
    while colon > -1:
        yield from _odd_header(text, colon)
        colon = text.find(":", colon + 1)


def _odd_header(text: str, colon: int) -> Iterator[tuple[int, int, str]]:
    if text[colon + 1 : colon + 2] in _NO_HEADER:
        return
    before = text[max(0, colon - 62) : colon].rstrip(" \t")
    odd = _ODD.search(before if colon > 62 else "\n" + before)
    if odd and _section_of(odd[1]) is not None:
        yield max(0, colon - 62) + len(before) - len(odd[1]), colon + 1, odd[1]


@lru_cache(maxsize=1 << 14)
def _section_of(wording: str) -> str | None:
    """The section that a header opens; None where the words are no header."""
    lowered = " ".join(wording.lower().split())
    if lowered in _NAMES:
        return _NAMES[lowered]
    words = _WORD.findall(lowered)
    if words and words[0] in ("addendum", "addenda"):
        return "impression"
    if _names_views(words):
        return "findings"
    if wording[0].isupper() or len(words) == 1:
        joined = lowered.replace(" ", "")
        return next((_NAMES[n] for n in sorted(_WORDS["mended"]) if OSA.distance(joined, n, score_cutoff=1) <= 1), None)
    return None


def _names_views(words: list[str]) -> bool:
    return not _WORDS["subjects"].isdisjoint(words) and (_WORDS["views"] | _WORDS["subjects"]).issuperset(words)


@cache
def _header_pattern() -> re.Pattern:
    longest_first = sorted(_NAMES, key=len, reverse=True)
    any_case = "|".join(map(re.escape, longest_first))
    capitals = "|".join(re.escape(wording.upper()) for wording in longest_first)
    return re.compile(
        rf"""
        ^[ \t]*(?ai:(?P<opens>{any_case}))[ \t]*:  # opens a line
        # Stands alone on its line, or before a spaced dash; what has no capital is the end of a wrapped sentence.
        | ^[ \t]*(?=[A-Z])(?ai:(?P<dashed>{any_case}))[ \t]+[-\u2013\u2014](?=\s|\Z)
        | ^[ \t]*(?=[A-Z])(?ai:(?P<alone>{any_case}))(?=[^\S\n]*$)
        | ^[ \t]*(?=[A-Z]{{2}})(?P<spaced>{capitals})[ \t]{{2,}}(?=\S)  # before two blanks
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
    ends = _LINE_END if name == "comparison" else _BLANK_LINE if name in _CONTEXT else _RULE if corrects else None
    blank = ends.search(text, start, end) if ends else None
    if blank is None:
        sections.append(Section(name, start, end, corrects))
        return
    stop = blank.start() + (text[blank.start()] == ".")
    sections.append(Section(name, *_CONTENT.search(text, start, stop).span(), corrects))
    if rest := _CONTENT.search(text, blank.end(), end):
        sections.append(Section("", *rest.span()))


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
    return find_body(text)[0]


def find_body(text: str) -> tuple[list[tuple[int, int]], str]:
    """Return the `body_spans` of a report, and what was done to find them where no header named any; "" where nothing was.

    >>> find_body("Indication: fall" + chr(10) + "Left rib fracture.")
    ([(17, 35)], 'no section of findings: what follows the other sections was read')
    """
    sections = split_sections(text)
    named = [s for s in sections if s.name in ("findings", "impression")]
    unnamed = [s for s in sections if not s.name]
    if any(s.name == "findings" and _READ.search(text, s.start, s.end) for s in named):
        return [(s.start, s.end) for s in named], ""
    # Unnamed text before the first header is a title where more comes further on, or where it tells the views.
    first = unnamed[0] if unnamed and unnamed[0] is sections[0] else None
    if first and (len(unnamed) > 1 or (len(sections) > 1 and _names_views(_WORD.findall(text[first.start : first.end].lower())))):
        unnamed.remove(first)
    more, note = None, ""
    if all(s is first and "." not in text[s.start : s.end] for s in unnamed):
        context = [s for s in sections if s.name in _CONTEXT]
        more = next((rest for s in reversed(context) if (rest := _next_line(text, s))), None)
        if more is None and context and not named:
            more = _next_sentence(text, context[-1])
        note = REMAINDER if more else ""
    spans = [(s.start, s.end) for s in sections if s in named or s in unnamed]
    return sorted([*spans, more] if more else spans), note


def _next_line(text: str, section: Section) -> tuple[int, int] | None:
    # "Indication: fall", and on the next line what was read; not the second line of a long history.
    for end in _NEXT_LINE.finditer(text, section.start, section.end):
        line = text[max(section.start, end.start() - 40) : end.start()].rpartition("\n")[2].rstrip()
        if line[-1:] not in ",:(/-" and (line.split() or [""])[-1].lower() not in _WORDS["unfinished"]:
            return None if _asks(text[end.end() : section.end].partition("\n")[0]) else (end.end(), section.end)
    return None


def _next_sentence(text: str, section: Section) -> tuple[int, int] | None:
    # A comparison may be the reading itself ("Compared with ___, there is a new effusion").
    end = _NEXT_SENTENCE.search(text, section.start, section.end)
    start = end.end() if end else section.start
    words = _WORD.findall(text[start : section.end].lower())
    told = section.name == "comparison" and not _WORDS["telling"].isdisjoint(words)
    return (start, section.end) if (end or told) and not _asks(text[start : section.end]) else None


def _asks(text: str) -> bool:
    return not _WORDS["asking"].isdisjoint(_WORD.findall(text.lower().replace("?", " ? ")))


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
