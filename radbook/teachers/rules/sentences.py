"""Cut report text into sentences, fast, and without trusting the typing.

Reports come with full stops that lack the blank after them, numbered lists, bullets, hard line wraps and missing stops.
A line break alone is only a blank (dictation systems wrap anywhere); a blank line, a bullet or a list number ends a sentence.
"""

import re
from collections.abc import Iterator

from radbook.teachers.rules.lexicon import WORDS

__all__ = ["normalize", "sentence_at", "split_sentences"]

# Sentences longer than this (text without any stop) are cut at a blank, so that work stays linear in the text.
MAX_CHARACTERS = 1200

# The words as alternatives of a pattern.
_ANY = {kind: "|".join(map(re.escape, sorted(words))) for kind, words in WORDS.items()}

_ABBREVIATION = re.compile(rf"\b(?:{_ANY['abbreviations']})$", re.IGNORECASE)
_STOPS = re.compile(r"[.!?;]+")
_GLUED = re.compile(r"[a-z]{2}|\d+[.)]\s", re.IGNORECASE)
# Bullets and spaced dashes (not "effusion - none"), and "2) ".
_BULLETS = re.compile(
    r"\s(?:[-*\u2022\u2013\u2014]+\s(?!none\b|negative\b|absent\b)|\(?\d{1,2}\)(?=\s))", re.IGNORECASE
)
_FIRST_BULLET = re.compile(r"\s*(?:[-*\u2022\u2013\u2014]+|\(?\d{1,2}\))\s")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
# A lost stop before the commonest opening; the words after which "there is" goes on with its sentence.
_THERE = re.compile(r"\sthere (?:is|are)\b", re.IGNORECASE)
_JOINED = re.compile(rf"(?:\b(?:{_ANY['joining']})|,)\s*$", re.IGNORECASE)
# Case tells a lost stop in text typed in mixed case: "... pneumothorax The heart ..."; a new line that opens with a
# capitalized word ends the sentence as well, unless the line before ends in a word that cannot end one.
_CASED = re.compile(r" (?=(?:The|There|No|This|These|Heart|Lungs)\s[a-z])")
_LINE = re.compile(rf"\n\s*(?=(?:{_ANY['openings']})\b)")
_UNFINISHED = re.compile(rf"(?:\b(?:{_ANY['unfinished']})|[_,:(/-])\s*$", re.IGNORECASE)


def _breaks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _STOPS.finditer(text, start, end):
        if _ends(text, match, start, end):
            # A question mark stays with its sentence: it is a hedge.
            yield match.start() + match[0].rfind("?") + 1, match.end()
    for pattern in (_BULLETS, _BLANK_LINE) if "\n" in text else (_BULLETS,):
        yield from ((m.start(), m.end()) for m in pattern.finditer(text, start, end))
    if first := _FIRST_BULLET.match(text, start, end):
        yield first.start(), first.end()
    for match in _THERE.finditer(text, start, end):
        if not _JOINED.search(text, max(start, match.start() - 12), match.start()):
            yield match.start(), match.start() + 1
    for pattern in (_CASED, _LINE) if "\n" in text else (_CASED,):
        for match in pattern.finditer(text, start, end):
            left = max(start, match.start() - 12)
            lower = pattern is _LINE or (text[match.start() - 2 : match.start()].islower())
            if lower and not _UNFINISHED.search(text, left, match.start()):
                yield match.start(), match.end()


def _ends(text: str, match: re.Match, start: int, end: int) -> bool:
    if ";" in match[0]:
        return True
    left, right = match.start(), match.end()
    if match[0] == "?" and text[max(start, left - 1) : left] in ("", " ", "\n", "(") and text[right : right + 2].strip():
        # "opacity ?pneumonia" and "? effusion" ask for what follows.
        return False
    if right >= end or text[right].isspace():
        return match[0] != "." or not _ABBREVIATION.search(text, max(start, left - 8), left)
    # Without a blank after it a stop ends a sentence between words ("pneumothorax.There", "effusion .Heart",
    # "effusion.2. Nodule", "1.Nodule"), never in "e.g." or "1.5".
    before = text[max(start, left - 2) : left]
    if before[-1:].isdigit():
        return text[right : right + 3].isalpha() and len(text[right : right + 3]) == 3
    word = before[-1:].isspace() or before[-1:] == ")" or (before.isalpha() and len(before) == 2)
    return word and bool(_GLUED.match(text, right, end))


def split_sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the offsets of the sentences of `text[start:end]`, without their final stops.

    >>> text = "No effusion.Heart size normal. 2. Old rib" + chr(10) + "fracture."
    >>> [text[a:b].split() for a, b in split_sentences(text)]
    [['No', 'effusion'], ['Heart', 'size', 'normal'], ['2'], ['Old', 'rib', 'fracture']]
    """
    end = len(text) if end is None else end
    left = start
    for right, after in [*sorted(_breaks(text, start, end)), (end, end)]:
        if right < left:
            continue
        yield from _pieces(text, left, right)
        left = after


def sentence_at(text: str, place: int) -> tuple[int, int] | None:
    """Return the offsets of the sentence around a place, or None where there is none.

    >>> sentence_at("No effusion. Old rib fracture.", 13), sentence_at("Clear.", 6)
    ((13, 29), None)
    """
    return next(((a, b) for a, b in split_sentences(text) if a <= place < b), None)


def _pieces(text: str, left: int, right: int) -> Iterator[tuple[int, int]]:
    while left < right:
        cut = right
        if right - left > MAX_CHARACTERS:
            cut = left + MAX_CHARACTERS
            blank = max(text.rfind(" ", left, cut), text.rfind("\n", left, cut))
            cut = blank if blank > left else cut
        piece = text[left:cut]
        stripped = piece.strip()
        if stripped:
            first = left + len(piece) - len(piece.lstrip())
            yield first, first + len(stripped)
        left = cut


_HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z0-9])")
_ODD_BLANKS = re.compile(r"\s\s|[^\S ]")


def normalize(sentence: str) -> tuple[str, list[int] | None]:
    """Return the form that is matched (lower case, single blanks, hyphens opened) and where its characters come from.

    The second value is None where every character stayed in its place.

    >>> normalize("Left-sided PICC")
    ('left sided picc', None)
    >>> normalize("a" + chr(10) + " b")
    ('a b', [0, 1, 3])
    """
    lowered = sentence.lower()
    if len(lowered) != len(sentence):
        # A few letters grow when lowered; they are kept as they are so that offsets stay true.
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in sentence)
    lowered = _HYPHEN.sub(" ", lowered)
    if not _ODD_BLANKS.search(lowered):
        return lowered, None
    places = [blank_or_letter.start() for blank_or_letter in re.finditer(r"\s+|\S", lowered)]
    return re.sub(r"\s+", " ", lowered), places
