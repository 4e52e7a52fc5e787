"""Soil clean report text the way collections do: de-identification marks, typing errors, lost blanks, capitals.

Evidence marks (private-use characters, see `radbook.corpora.synthetic.realizer`) pass through unharmed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from radbook.corpora.synthetic.dice import Dice

__all__ = ["respelled", "soil", "wrapped"]

_WORD = re.compile(r"\b[A-Za-z]{5,}")
_STOP = re.compile(r"(?<=[a-z])([.]) (?=[\ue000-\uf8fe]?[A-Z])")
# What a statement turns on is left legible.
_TURNS = re.compile(
    r"(?i)resol|remov|clear|discont|withdr|absen|witho|longer|suspe|possib|quest|exclu|negat|neith|consider|pulled|taken|versus"
)


def soil(texts: Sequence[str], dice: Dice, masks: Mapping[str, float]) -> list[str]:
    """Soil the sections of one report, all in the same way; `masks` says how often a word is masked.

    >>> chances = {"masks": {"___": 1.0}, "typos": 0, "glued": 0, "capitals": 0}
    >>> soil(["Old XXXX."], Dice("a seed", chances), {"old": 1.0})
    ['Old ___.']
    """
    mask = dice.name("masks")
    if mask == "XXXX":
        texts = [_masked(t, dice, masks) for t in texts]
    elif mask:
        texts = [t.replace("XXXX", mask) for t in texts]
    if dice.happens("typos"):
        texts = [_typo(t, dice) for t in texts]
    if dice.happens("glued"):
        texts = [_STOP.sub(lambda m: "." if dice.happens("glued_stop") else m[0], t) for t in texts]
    return [t.upper() for t in texts] if dice.happens("capitals") else list(texts)


def respelled(text: str, spellings: Mapping[str, str], random: Callable[[], float], share: float) -> str:
    """Write words in another way of spelling or in short, each with the chance `share`.

    >>> respelled("Edema of the tumor.", {"edema": "oedema", "tumor": "tumour"}, lambda: 0.5, 1.0)
    'Oedema of the tumour.'
    """

    def other(match: re.Match) -> str:
        if random() >= share:
            return match[0]
        word = spellings[match[0].lower()]
        return word[0].upper() + word[1:] if match[0][0].isupper() else word

    return _any_of(tuple(sorted(spellings, key=len, reverse=True))).sub(other, text)


def wrapped(text: str, width: int, indent: str = "") -> str:
    """Break the lines of a text at blanks, as systems do that print on paper; line breaks in it stay.

    >>> wrapped("Heart size is normal.\\nNo effusion.", 12, " ")
    ' Heart size\\n is normal.\\n No effusion.'
    """
    # A line that is too long is cut at its last blank that still fits; where there is none, it runs on.
    pieces = re.compile(rf"(?=.{{{width + 1}}})(.{{1,{width - 1}}}) |.+")
    return pieces.sub(lambda m: indent + (m[1].rstrip(" ") + "\n" if m[1] else m[0]), text)


def _masked(text: str, dice: Dice, masks: Mapping[str, float]) -> str:
    """Replace words by XXXX: those the collection's de-identification took for names, and now and then another one."""
    text = _any_of(tuple(masks)).sub(lambda m: "XXXX" if dice.random() < masks[m[0].lower()] else m[0], text)
    if dice.happens("masked_word"):
        word = _word(text, dice)
        marks = re.findall("[\ue000-\uf8ff]", text[: word.start()]) if word else []
        within_evidence = marks and marks[-1] != "\uf8ff"
        if word and not _TURNS.match(word[0]) and not within_evidence:
            text = text[: word.start()] + "XXXX" + text[word.end() :]
    return text


@cache
def _any_of(words: tuple[str, ...]) -> re.Pattern:
    return re.compile(rf"\b({'|'.join(words)})\b", re.IGNORECASE)


def _word(text: str, dice: Dice) -> re.Match | None:
    return _WORD.search(text, int(dice.random() * len(text))) if text else None


def _typo(text: str, dice: Dice) -> str:
    word = _word(text, dice)
    if not word:
        return text
    at = word.start() + 1 + int(dice.random() * (len(word[0]) - 3))
    swapped = dice.pick((text[at + 1] + text[at], text[at + 1], text[at] + text[at : at + 2]))
    return text[:at] + swapped + text[at + 2 :]
