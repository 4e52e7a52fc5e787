"""Cut report text into sentences, fast, and without trusting the typing.

Reports come with full stops that lack the blank after them, numbered lists, bullets, hard line wraps and missing stops.
A line break alone is only a blank (dictation systems wrap anywhere); a blank line, a bullet or a list number ends a sentence.
"""

import re
from collections.abc import Iterator

from radbook.teachers.rules.lexicon import WORDS

__all__ = ["normalize", "sentence_at", "split_sentences", "statements"]

# Sentences longer than this (text without any stop) are cut at a blank, so that work stays linear in the text.
MAX_CHARACTERS = 1200

# The words as alternatives of a pattern.
_ANY = {
    kind: "|".join(map(re.escape, sorted(words, key=len, reverse=True))).replace(r"\ ", r"\s+") for kind, words in WORDS.items()
}

_ABBREVIATION = re.compile(rf"\b(?:{_ANY['abbreviations']})$", re.IGNORECASE)
_STOPS = re.compile(r"[.!?;]+")
_STOP = re.compile(r"(?<=[a-z])[.!?;]\s")
_GLUED = re.compile(r"[a-z]{2}|\d{1,2}[.)][\sa-z]", re.IGNORECASE)
# What opens an item of a list, with a blank behind it or glued to the item: "-No effusion", "2.Small", "b) nodule".
_MARK = (
    r"(?:[-*\u2022\u00b7\u25aa\u25cf\u2013\u2014]+(?![a-z]?ve\b)|\(?\d{1,2}[.)](?!\d)|#\d{1,2}[.:)]?(?=\s)|\(?(?:[a-h]|[ivx]{1,4})[.)])"
    rf"\s*(?=[^\W_]|[(?])(?!(?:{_ANY['negative']})\b)"
)
_FIRST = re.compile(rf"\s*{_MARK}", re.IGNORECASE)
# Inside a line bullets and spaced dashes (not "effusion - none"), and "2) ".
_BULLETS = re.compile(
    rf"\n\s*{_MARK}|\s(?:[-*\u2022\u2013\u2014]+\s(?!(?:{_ANY['negative']})\b)|\(?\d{{1,2}}\)(?=\s|[a-z])|#\d(?=[\s.:]\s?[A-Z]))",
    re.IGNORECASE,
)
_BLANK_LINE = re.compile(r"\n[ \t\r_=]*\n")
# A lost stop before the commonest opening; the words after which "there is" goes on with its sentence.
_THERE = re.compile(r"\sthere (?:is|are)\b", re.IGNORECASE)
_JOINED = re.compile(rf"(?:\b(?:{_ANY['joining']})|,)\s*$", re.IGNORECASE)
# Case tells a lost stop in text typed in mixed case: "... pneumothorax The heart ...".
_CASED = re.compile(r" (?=(?:The|There|No|This|These|Heart|Lungs)\s[a-z])")
# The lines of templates, one below the other or one behind the other: "LUNGS: clear PLEURA: no effusion".
_LABELS = re.compile(rf"\s(?=(?:{_ANY['sites']}|{_ANY['sites'].upper()}):)|(?<=[a-z)])\s(?=[A-Z][a-z]+(?: [a-z]+)?:\s)")
_LINE = re.compile(r"\n\s*(?=\S)")
_LABEL = re.compile(r"[A-Za-z][^\n:.]{0,40}:")
_UNFINISHED = re.compile(rf"(?:(?<!: )\b(?:{_ANY['unfinished']})|[_,:(/-])\s*$", re.IGNORECASE)
_LOWERED = {kind: frozenset(w.lower() for w in WORDS[kind]) for kind in ("openings", "complete", "ended_by", "degrees", "places")}
_NEXT = _LOWERED["degrees"] | _LOWERED["places"] | _LOWERED["openings"]


def _breaks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _STOPS.finditer(text, start, end):
        if _ends(text, match, start, end):
            # A question mark stays with its sentence: it is a hedge.
            yield match.start() + match[0].rfind("?") + 1, match.end()
    lines = "\n" in text
    for pattern in (_BULLETS, _BLANK_LINE) if lines else (_BULLETS,):
        yield from ((m.start(), m.end()) for m in pattern.finditer(text, start, end))
    if first := _FIRST.match(text, start, end):
        yield first.start(), first.end()
    for match in _THERE.finditer(text, start, end):
        if not _JOINED.search(text, max(start, match.start() - 12), match.start()):
            yield match.start(), match.start() + 1
    labels = (_LABELS,) if text.find(":", start, end) >= 0 else ()
    for pattern in (_CASED, *labels, _LINE) if lines else (_CASED, *labels):
        for match in pattern.finditer(text, start, end):
            left = text[max(start, match.start() - 40) : match.start()].rstrip()
            if not left or _UNFINISHED.search(left, max(0, len(left) - 12)):
                continue
            if pattern is _LINE:
                ends = _line_ends(left, text[match.end() : min(end, match.end() + 120)])
            else:
                ends = pattern is _LABELS or left[-2:].islower()
            if ends:
                yield match.start(), match.end()


def _line_ends(left: str, right: str) -> bool:
    """Say whether the line that ends in `left` is a sentence, so that `right` opens another."""
    # What is said behind a full stop is of another sentence.
    words = [word.strip(".,;:()") for word in _STOP.split(right, 1)[0].split(None, 6)[:6]] or [""]
    first, last = words[0], left.rsplit(None, 1)[-1].strip(".,;:()").lower()
    if first in WORDS["openings"]:
        return True
    if first[:1].isupper() and first[1:2].islower() and left[-1].islower() and first not in WORDS["names"]:
        return True
    if _LABEL.match(right) and (first[:1].isupper() or ":" in left):
        return True
    if last not in _LOWERED["complete"] and not (last in _LOWERED["ended_by"] and first.lower() in ("no", "there")):
        return False
    # "... consolidation, large effusion / or pneumothorax" is one list, however it is wrapped.
    said = [word.lower() for word in words]
    if not WORDS["lists"].isdisjoint(said) or said[0] in WORDS["verbs"]:
        return False
    own = next((k for k, w in enumerate(said) if w in _LOWERED["complete"]), None)
    return first.lower() in ("no", "there") or (own is not None and _NEXT.issuperset(said[:own]))


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
        return text[right : right + 2].isalpha() and len(text[right : right + 2]) == 2
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
    for right, after in [*sorted(_breaks(text, start, end), key=_longest_first), (end, end)]:
        if right < left:
            continue
        yield from _pieces(text, left, right)
        left = after


def _longest_first(place: tuple[int, int]) -> tuple[int, int]:
    return place[0], -place[1]


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


# What stands for the items of a list in what is said before it.
_FOLLOWING = re.compile(r"\b(?:the|these|any of the|all of the)? ?following(?: findings?| conditions?| abnormalit(?:y|ies))?\b")


_ANSWERS = WORDS["negative"] | {"no", "yes", "present", "normal"}
_TURNED = re.compile(r"^(\w+) (is|are|was|were)$")  # "Excluded are:"


def statements(text: str, start: int, end: int) -> Iterator[tuple[int, str, list[int] | None]]:
    """Yield the sentences in the form that is matched: offset, form, and where its characters come from (see `normalize`).

    What stands before a list and ends in a colon is said of every item of it.

    >>> text = "No evidence of:" + chr(10) + "- effusion" + chr(10) + "- edema"
    >>> [form for _, form, _ in statements(text, 0, len(text))]
    ['', 'no evidence of effusion', 'no evidence of edema']
    """
    said, last, marked = "", start, None
    for a, b in split_sentences(text, start, end):
        if said:
            # The list ends at a blank line, at a line that tells more, and where its bullets end.
            between = text[last:a]
            bullet = bool(between.strip(" .;\n"))
            goes_on = marked is None or (marked == bullet and not _BLANK_LINE.search(between))
            goes_on &= bullet or "." not in between
            said, marked = (said, bullet) if goes_on and ":" not in text[a:b] else ("", None)
        head, colon, item = text[a:b].partition(":")
        # "Effusion:" and "No" on the next line are a question and its answer; an item of several lines is a wrapped sentence.
        below = item.strip(" ")[:1] in "\n" and "\n" not in item.strip() and item.strip().lower() not in _ANSWERS
        if not said and colon and len(head) < 80 and (below or "following" in head):
            said = _TURNED.sub(r"following \2 \1", normalize(head)[0])
            a = b - len(item.lstrip())
        form, origin = normalize(text[a:b])
        if said and form:
            size, places = len(form), origin or range(len(form))
            form = _FOLLOWING.sub(lambda _, item=form: item, said) if _FOLLOWING.search(said) else f"{said} {form}"
            first = form.find(normalize(text[a:b])[0])
            origin = [places[min(max(k - first, 0), size - 1)] for k in range(len(form))]
        yield a, form, origin
        last = b


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
