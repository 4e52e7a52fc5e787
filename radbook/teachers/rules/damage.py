"""Mend words that a copy ran together or tore apart, and tell text that is damaged or not English.

A word counts as known if the lexicon, a trigger or the tokenizer of the packaged base has it whole: the first two name
findings, the last has read generated reports.
"""

import json
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files

from radbook.teachers.rules.lexicon import WORDS, Speller, load_lexicon

__all__ = ["MENDED", "mend", "odd_words", "verdict"]

MENDED = "words that were run together or torn apart were mended"
_MOJIBAKE = re.compile("\ufffd|\u00c3[\u0080-\u00bf\u2018-\u2122]|\u00e2\u20ac|\u00c2[\u00a0-\u00bf]|\u00ef\u00bf\u00bd")
_SPACED = re.compile(r"(?:\b[^\W\d_] ){8}")
_PIECE = re.compile(r"\S+")
_LETTER, _WORD = re.compile(r"[^\W\d_]"), re.compile(r"[^\W\d_]{2,}")
# More than this share of words that nobody knows, of at least four: Open-I has no report above 0.28.
_TOO_MANY = 0.5
_SHORT = frozenset("no of or is in at to by on as an and the are was has with for not".split())


@cache
def _known() -> frozenset[str]:
    speller, lexicon = Speller(), load_lexicon()
    vocabulary = json.loads((files("radbook") / "resources" / "tiny" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    whole = (token.removeprefix("\u0120").lower() for token in vocabulary if token.startswith("\u0120") or not token.isalpha())
    words = (word.lower() for kind, group in WORDS.items() if kind != "foreign" for word in group)
    return frozenset((*whole, *words, *speller.known, *lexicon.spelling, *lexicon.misspelt))


@cache
def _read() -> frozenset[str]:
    return frozenset((*Speller().known, *WORDS["openings"], *WORDS["verbs"], *WORDS["degrees"]))


@cache
def _named() -> frozenset[str]:
    return frozenset(w for phrase in load_lexicon().vocabulary for w in phrase.split() if len(w) > 4)


@cache
def _torn() -> frozenset[str]:
    return frozenset(part for w in _named() for k in range(2, len(w) - 1) for part in (w[:k], w[k:]))


def odd_words(words: Sequence[str]) -> list[str]:
    """Return the words of a sentence that are not known.

    >>> odd_words("no focalconsolidation , kein erguss".split())
    ['focalconsolidation', 'kein', 'erguss']
    """
    known = _known()
    return [w for w in words if w not in known and any(map(str.isalpha, w)) and w.strip("x_")]


@lru_cache(maxsize=1 << 14)
def _apart(word: str) -> str:
    """The words that were run together in one, of which one names a finding; "" where there are none."""
    if len(word) < 6 or not word.isalpha():
        return ""
    best: list[tuple[str, ...] | None] = [()]
    known = _read() - WORDS["prefixes"]
    for end in range(1, len(word) + 1):
        parts = [
            (*best[start], word[start:end])
            for start in range(max(0, end - 18), end)
            if best[start] is not None and len(best[start]) < 5
            and (word[start:end] in _SHORT or (end - start > 2 and word[start:end] in known))
        ]
        best.append(min(parts, key=len) if parts else None)
    found = best[-1]
    telling = found and len(found) > 1 and any(len(w) > 3 and w in _read() for w in found)
    return " ".join(found) if telling else ""


def mend(form: str, odd: Sequence[str]) -> tuple[str, list[int]] | None:
    """Part the words that were run together, and join those torn apart; with the place of every character.

    >>> mend("nopleural effu- sion", ["nopleural", "effu", "sion"])[0]
    'no pleural effusion'
    """
    # Few sentences have a word that can be mended; the others are told by their odd words alone.
    if _torn().isdisjoint(odd) and not any(map(_apart, odd)):
        return None
    pieces: list[tuple[str, list[int]]] = []
    for match in _PIECE.finditer(form):
        word, places = match[0], list(range(match.start(), match.end()))
        bare = word.strip(".,:;()[]")
        if pieces and bare:
            torn, before = pieces[-1][0].rstrip("-"), pieces[-1][1]
            if torn + bare in _named() and (torn in odd or bare in odd):
                pieces[-1] = torn + word, before[: len(torn)] + places
                continue
        if bare in odd and (parted := _apart(bare)):
            first = word.index(bare)
            inside = [first + k - parted[: k + 1].count(" ") for k in range(len(parted))]
            places = [*places[:first], *(places[k] for k in inside), *places[first + len(bare) :]]
            word = word.replace(bare, parted, 1)
        pieces.append((word, places))
    mended = " ".join(word for word, _ in pieces)
    return None if mended == form else (mended, [p for _, places in pieces for p in (*places, places[-1])])


def verdict(text: str, n_words: int, odd: Sequence[str]) -> tuple[str, str]:
    """Say in which status a text can be read, and why not as it is: ("ok", ""), "repaired" or "failed".

    >>> verdict("Kein Pneumothorax.", 2, ["kein"]), verdict("No effusion.", 2, [])
    (('failed', 'not in English: the rules read English only'), ('ok', ''))
    """
    if not odd and text.isascii():
        return "ok", ""
    foreign = sum(w in WORDS["foreign"] for w in odd)
    strange = [] if text.isascii() or _MOJIBAKE.search(text) else [c.isascii() for c in _LETTER.findall(text)]
    if sum(strange) < 0.7 * len(strange) or (foreign and foreign >= sum(w in _SHORT for w in _WORD.findall(text.lower()))):
        return "failed", "not in English: the rules read English only"
    if (n_words > 3 and len(odd) > _TOO_MANY * n_words) or (odd and _SPACED.search(text)):
        return "failed", f"damaged text: {len(odd)} of {n_words} words are not known"
    return ("repaired", "damaged text: characters of another encoding") if _MOJIBAKE.search(text) else ("ok", "")
