"""Whether a term of the edition names what a phrase says.

A term may say more than the phrase, as the name of a kind of it does, but no other circumstance, no further condition and
no opposite; `beyond` counts how much more it says.
What kinds of words there are stands in `resources/icd10_words.yaml`.
"""

import re
from collections.abc import Collection

from radbook.icd10.terms import same_word, stem, word_lists, words_of

__all__ = ["DEGREES", "LITTLE", "NEGATED", "PLACES", "UNSAID", "VAGUE", "beyond", "claim", "names", "opposed"]

NEGATED = {"no", "not", "without", "negative", "denies"}
_LISTS = word_lists()
LITTLE, _PLAIN, PLACES, _CIRCUMSTANCES = (_LISTS[k] for k in ("little", "plain", "places", "circumstances"))
DEGREES = _LISTS["degrees"] | LITTLE
UNSAID = LITTLE | _PLAIN
VAGUE = {stem(w) for w in PLACES | _PLAIN | _LISTS["elsewhere"] | _LISTS["abdomen"] | _LISTS["vague"]}
# Words that a term may have beside those of a phrase that it names.
_BESIDE = {stem(w) for w in DEGREES | PLACES | _PLAIN | _LISTS["filling"]}
_SITES = {stem(w) for w in PLACES}
_OPPOSITES = tuple(map(frozenset, (("left", "right"), ("unilateral", "bilateral"), ("acute", "chronic"))))
# What follows says what the code leaves out, or which visit it is; parentheses hold words that may be left unsaid.
_CUT = re.compile(
    r"\b(?:without|not elsewhere|except|excluding|initial encounter|subsequent encounter|unspecified whether)\b",
    re.IGNORECASE,
)
_FURTHER = re.compile(r"\b(?:with|due to)\b", re.IGNORECASE)
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


def claim(term: str) -> str:
    """What a term says, without what its code leaves out and which visit it is.

    >>> claim("Pleural effusion, not elsewhere classified")
    'Pleural effusion, '
    """
    return _CUT.split(term)[0]


def names(term: str, phrase: str, *, exactly: bool) -> bool:
    """Say whether a term names what the phrase says, in no other circumstance and with no further condition.

    `exactly`: nor may it name a kind of it. Where the phrase has a code of its own, that of a kind is none for it.
    A single word, or words that name no finding, are always taken so.

    >>> [names(t, "lung abscess", exactly=False) for t in ("Abscess of lung with pneumonia", "Abscess of lung, right")]
    [False, True]
    """
    said = set(words_of(phrase))
    stated = claim(term)
    words = words_of(stated)
    further = words_of("".join(_FURTHER.split(_ASIDE.sub(" ", stated))[1:]))
    if _CIRCUMSTANCES.intersection(words) - said or not said.isdisjoint(NEGATED):
        return False
    if opposed(words, said):
        return False
    if not all(w in UNSAID or any(same_word(s, w) for s in said) for w in further):
        return False
    what = said - DEGREES
    if not what - PLACES or not all(any(same_word(w, t) for t in words) for w in what):
        return False
    if exactly or len(what) == 1 or {stem(w) for w in what} <= VAGUE:
        # One word leaves open where: "hypertension" is no pulmonary one.
        beside = _BESIDE if len(what) > 1 else _BESIDE - _SITES
        stated = words_of(_ASIDE.sub(" ", stated))
        return all(stem(w) in beside or any(same_word(s, w) for s in said) for w in stated)
    return True


def beyond(term: str, words: list[str]) -> tuple[int, int, bool] | None:
    """Count the words that part a term from a phrase that it names; None if the term says another thing.

    Counted are words of degree that only the phrase has, then words that only the term has; last comes whether the
    term lacks an "unspecified".

    >>> beyond("Acute abscess of lung", ["small", "lung", "abscess"]), beyond("Abscess of liver", ["abscess"])
    ((1, 1, True), None)
    """
    stated = words_of(_ASIDE.sub(" ", claim(term)))
    unsaid = sum(w not in LITTLE and not any(same_word(w, t) for t in words_of(term)) for w in words)
    extra = {stem(w) for w in stated if w not in LITTLE and not any(same_word(s, w) for s in words)}
    told = extra - _PLAIN
    implied = {"acute", "chronic"}
    if len([w for w in words if w not in DEGREES]) > 1:
        implied |= {"lung", "thorax"}  # where a chest film shows it
    return (unsaid, len(told), extra == told) if told <= implied else None


def opposed(one: Collection[str], other: Collection[str]) -> bool:
    """Say whether one has the first word of a pair of opposites and the other the second, neither of them both.

    >>> opposed(["acute", "edema"], ["chronic", "edema"]), opposed(["acute"], ["acute", "chronic"])
    (True, False)
    """
    said = ((pair.intersection(one), pair.intersection(other)) for pair in _OPPOSITES)
    return any(len(a) == len(b) == 1 and a != b for a, b in said)
