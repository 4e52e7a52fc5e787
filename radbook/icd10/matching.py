"""Whether a term of the edition names what a phrase says.

A term may say more than the phrase, as the name of a kind of it does, but no other circumstance, no further condition and
no opposite; `beyond` counts how much more it says.
What kinds of words there are stands in `resources/icd10_words.yaml`.
"""

import re
from collections.abc import Collection
from functools import lru_cache

from radbook.icd10.terms import KINDS, stem, words_of

__all__ = ["DEGREES", "NEGATED", "PLACES", "UNSAID", "VAGUE", "beyond", "claim", "names", "opposed"]

NEGATED = {"no", "not", "without", "negative", "deny"}
_LITTLE, PLACES, _PLAIN = KINDS["little"], KINDS["places"], KINDS["plain"]
DEGREES = KINDS["degrees"] | _LITTLE
UNSAID = _LITTLE | _PLAIN
VAGUE = PLACES | _PLAIN | KINDS["elsewhere"] | KINDS["abdomen"] | KINDS["vague"]
# Words that a term may have beside those of a phrase that it names.
_BESIDE = DEGREES | PLACES | _PLAIN | KINDS["filling"]
_OPPOSITES = tuple(map(frozenset, (("left", "right"), ("unilateral", "bilateral"), ("acute", "chronic"))))
# What follows says what the code leaves out, or which visit it is; parentheses hold words that may be left unsaid.
_CUT = re.compile(
    r"(?i)\b(?:without|not elsewhere|except|excluding|initial encounter|subsequent encounter|unspecified whether)\b"
)
_FURTHER = re.compile(r"(?i)\b(?:with|due to)\b")
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


@lru_cache(maxsize=1 << 16)
def claim(term: str, *, aside: bool = True) -> tuple[str, ...]:
    """Stems of what a term says, without what its code leaves out and which visit it is; or without its words in brackets.

    >>> claim("Pleural effusion (malignant), not elsewhere classified", aside=False)
    ('pleura', 'effusion')
    """
    stated = _CUT.split(term)[0]
    return tuple(map(stem, words_of(stated if aside else _ASIDE.sub(" ", stated))))


def names(term: str, stems: Collection[str], *, exactly: bool) -> bool:
    """Say whether a term names what the words of a phrase say, in no other circumstance and with no further condition.

    Taken `exactly`, it may not name a kind of it either: where the phrase has a code of its own, that of a kind is none
    for it; a single word, or words that name no finding, are always taken so.

    >>> [names(t, {"lung", "abscess"}, exactly=False) for t in ("Abscess of lung with pneumonia", "Abscess of lung, right")]
    [False, True]
    """
    phrase, stated = set(stems), set(claim(term))
    what = phrase - DEGREES
    # What stands behind "with" or "due to" is a further condition.
    further = _FURTHER.split(_ASIDE.sub(" ", _CUT.split(term)[0]))[1:]
    unsaid = {stem(w) for part in further for w in words_of(part)} - UNSAID | KINDS["circumstances"] & stated
    if unsaid - phrase or phrase & NEGATED or opposed(stated, phrase) or not what - PLACES or not what <= stated:
        return False
    if exactly or len(what) == 1 or what <= VAGUE:
        # One word leaves open where: "hypertension" is no pulmonary one.
        beside = _BESIDE if len(what) > 1 else _BESIDE - PLACES
        return phrase.union(beside).issuperset(claim(term, aside=False))
    return True


def beyond(term: str, stems: Collection[str]) -> tuple[int, int, bool] | None:
    """Count the words that part a term from a phrase that it names; None if the term says another thing.

    Counted are words of degree that only the phrase has, then words that only the term has; last comes whether the
    term lacks an "unspecified".

    >>> beyond("Acute abscess of lung", ["small", "lung", "abscess"]), beyond("Abscess of liver", ["abscess"])
    ((1, 1, True), None)
    """
    unsaid = sum(s not in _LITTLE for s in stems if s not in set(map(stem, words_of(term))))
    extra = set(claim(term, aside=False)) - _LITTLE - set(stems)
    telling = extra - _PLAIN
    implied = {"acute", "chronic"}
    if sum(s not in DEGREES for s in stems) > 1:
        implied |= {"lung", "thorax"}  # where a chest film shows it
    return (unsaid, len(telling), extra == telling) if telling <= implied else None


def opposed(one: Collection[str], other: Collection[str]) -> bool:
    """Say whether one has the first word of a pair of opposites and the other the second, neither of them both.

    >>> opposed(["acute", "edema"], ["chronic", "edema"]), opposed(["acute"], ["acute", "chronic"])
    (True, False)
    """
    pairs = ((pair.intersection(one), pair.intersection(other)) for pair in _OPPOSITES)
    return any(len(a) == len(b) == 1 and a != b for a, b in pairs)
