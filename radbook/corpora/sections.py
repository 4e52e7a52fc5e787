"""Find the sections of a report by their headers, and put sections together into a report text.

Reports come in many shapes: one header per line, everything on one line, indented notes with blank lines, or
no header at all.
`split_sections` copes with all of them and never fails: every string has an answer, with offsets into it.
"""

import re
from dataclasses import dataclass

__all__ = ["Section", "body_of", "body_spans", "compose_text", "correction_spans", "is_empty", "report_body", "split_sections"]

# Header wordings of each section. "" marks text of the report in no section (titles, preliminary reads).
_HEADERS = {
    "findings": ("findings", "finding", "findings and impression", "findings & impression", "findings/impression",
                 "findings and impressions", "impression and findings", "impression/findings", "report", "results",
                 "discussion", "narrative", "comment", "comments"),
    "impression": (
        "impression", "impressions", "impression and recommendation", "impression and recommendations",
        "conclusion", "conclusions", "opinion", "interpretation", "summary", "diagnosis",
        # An addendum stands for no findings: the unnamed body of the report still counts beside it.
        "addendum", "addenda", "addendum #1", "addendum 1", "addendum to report", "correction", "corrected report",
        "corrected impression", "amended report", "amended impression", "revised report", "revised impression",
    ),
    "indication": (
        "indication", "indications", "clinical indication", "indication for study", "clinical question",
        "reason for exam", "reason for the exam", "reason for this exam", "reason for study",
        "reason for examination", "reason for the examination", "reason for this examination",
        "reason for the study", "reason", "clinical question", "rfe",
    ),
    "history": (
        "history", "clinical history", "clinical information", "patient history", "indication/history", "hx",
        "clinical data", "clinical info", "clinical details", "clinical statement", "pertinent history",
        "medical condition", "underlying medical condition", "admitting diagnosis", "clinical diagnosis",
    ),
    "comparison": ("comparison", "comparisons", "comparison study", "comparison studies", "prior studies"),
    "technique": (
        "technique", "examination", "exam", "study", "procedure", "views",
        "type of exam", "type of examination",
    ),
    # Never body: what was asked for and who was told.
    "other": (
        "recommendation", "recommendations", "recommendation(s)", "notification", "notifications",
    ),
    "": ("final report", "wet read", "preliminary report", "preliminary read"),
}
_NAME_OF = {wording: name for name, wordings in _HEADERS.items() for wording in wordings}
_CORRECTIONS = ("addend", "correct", "amended", "revised")
_CONTEXT = ("indication", "history", "comparison", "technique")


_LONGEST = max(map(len, _NAME_OF)) + 8
_ENDING_IN: dict[str, list[str]] = {}
for _wording in sorted(_NAME_OF, key=len, reverse=True):
    _ENDING_IN.setdefault(_wording.rsplit(" ", 1)[-1], []).append(_wording)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_LINE_END = re.compile(r"\n[ \t\r]*\n|\.[ \t\r]*\n(?=[ \t]*[A-Z])")
_DASH = re.compile(r"[ \t]+[-\u2013\u2014](?=\s|$)")


@dataclass(frozen=True)
class Section:
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
    for left, right, wording in sorted(_headers_before_colons(text) + _headers_of_lines(text)):
        if left < start:
            continue
        _add(sections, text, name, start, left, corrects)
        name, start, corrects = _NAME_OF[wording], right, wording.startswith(_CORRECTIONS)
    _add(sections, text, name, start, len(text), corrects)
    return sections


def _headers_before_colons(text: str) -> list[tuple[int, int, str]]:
    # A header before a colon opens a line (in any case), or stands inside a line in capitals, or as a
    # capitalized word after the end of a sentence. Only the few characters before each colon are looked at,
    # so the time is linear in the length of the text.
    found = []
    colon = text.find(":")
    while colon >= 0:
        window = text[max(0, colon - _LONGEST) : colon].rstrip(" \t")
        end = max(0, colon - _LONGEST) + len(window)
        lowered = window.lower()
        for wording in _ENDING_IN.get(_last_word(lowered), ()):
            left = end - len(wording)
            if lowered.endswith(wording) and _may_stand(text, left, end):
                found.append((left, colon + 1, wording))
                break
        colon = text.find(":", colon + 1)
    return found


def _last_word(lowered: str) -> str:
    pieces = lowered.split()
    # "clear.findings" after lost blanks: the header is what follows the full stop.
    return pieces[-1].rsplit(".", 1)[-1].rsplit(";", 1)[-1] if pieces else ""


def _may_stand(text: str, left: int, end: int) -> bool:
    before = text[max(0, left - _LONGEST) : left]
    if not before.rpartition("\n")[2].strip(" \t") and (left < _LONGEST or "\n" in before):
        return True
    header = text[left:end]
    if header.isupper():
        return before[-1].isspace() or before[-1] in ".;"
    return header[0].isupper() and before[-1].isspace() and before.rstrip()[-1:] in tuple(".!?;")


def _headers_of_lines(text: str) -> list[tuple[int, int, str]]:
    # A capitalized header alone on its line, or before a spaced dash at the start of one. A lower-case word
    # alone on a line is the end of a wrapped sentence ("no acute / findings"), not a header.
    found, position = [], 0
    for line in text.split("\n"):
        head = line[:_LONGEST].lstrip(" \t")
        if head[:1].isupper():
            left = position + len(line) - len(line.lstrip(" \t"))
            whole = line.strip()
            dash = _DASH.search(head) if "-" in head or "\u2013" in head or "\u2014" in head else None
            after = text[position + len(line) : position + len(line) + _LONGEST].lstrip()
            # "Findings" before a line in lower case is the first word of a wrapped sentence.
            if whole.lower() in _NAME_OF and (whole.isupper() or not after[:1].islower()):
                found.append((left, left + len(whole), whole.lower()))
            elif dash and head[: dash.start()].lower() in _NAME_OF:
                found.append((left, left + dash.end(), head[: dash.start()].lower()))
        position += len(line) + 1
    return found


def _add(sections: list[Section], text: str, name: str, start: int, end: int, corrects: bool) -> None:
    start, end = _trim(text, start, end)
    if start == end:
        return
    # A comparison is one line; where a stop ends it, the next line is the body of a note that heads nothing else.
    ends = _LINE_END if name == "comparison" else _BLANK_LINE
    blank = ends.search(text, start, end) if name in _CONTEXT else None
    if blank is None:
        sections.append(Section(name, start, end, corrects))
        return
    sections.append(Section(name, *_trim(text, start, blank.start() + (text[blank.start()] == "."))))
    sections.append(Section("", *_trim(text, blank.end(), end)))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, start + len(piece.rstrip())) if left < len(piece) else (start, start)


def compose_text(
    *, findings: str = "", impression: str = "", indication: str = "", comparison: str = ""
) -> str:
    """Put sections together under headers, one per line; empty ones are left out.

    >>> compose_text(findings="Clear lungs.", indication="Cough.")
    'INDICATION: Cough.\\nFINDINGS: Clear lungs.'
    """
    parts = (
        ("INDICATION", indication),
        ("COMPARISON", comparison),
        ("FINDINGS", findings),
        ("IMPRESSION", impression),
    )
    return "\n".join(f"{header}: {content.strip()}" for header, content in parts if content.strip())


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


def report_body(text: str) -> str:
    """Return the findings and the impression without their headers, one per line: what a prompt shows.

    >>> report_body("INDICATION: cough. FINDINGS: Clear lungs. IMPRESSION: Normal.")
    'Clear lungs.\\nNormal.'
    """
    return "\n".join(text[start:end] for start, end in body_spans(text))


def body_of(text: object) -> str:
    """Return what a prompt shows of a report: its body, "" where there is nothing to label.

    >>> body_of("FINDINGS: Clear lungs. "), body_of("HISTORY: cough."), body_of(None)
    ('Clear lungs.', '', '')
    """
    return report_body(text).strip() if isinstance(text, str) else ""


def is_empty(text: object) -> bool:
    """Say whether a report has nothing to label: no text, or none but a history, an indication and the like.

    >>> is_empty("HISTORY: cough."), is_empty(None), is_empty("Clear lungs.")
    (True, True, False)
    """
    return not body_of(text)
