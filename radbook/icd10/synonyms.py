"""Look a phrase up in the curated table of what chest reports say, its words in any form and misspellings forgiven.

The table is `radbook.icd10.terms.curated_codes`.
"""

import re
from functools import cache, lru_cache

from rapidfuzz import fuzz, process

from radbook.icd10.edition import descriptor
from radbook.icd10.matching import DEGREES, LITTLE, NEGATED, PLACES, opposed
from radbook.icd10.terms import curated_codes, is_known_word, stem, word_lists, words_of

__all__ = ["LONGEST", "codes_in_table"]

LONGEST = 20  # words; what is longer is no phrase
_WORD_ALIKE = 82  # least rapidfuzz ratio (0-100) of a misspelled word and the one that was meant
_LISTS = word_lists()
# Words that a phrase of the table may leave unsaid; the second set is for the second attempt.
_FREE = (DEGREES | PLACES, DEGREES | PLACES | _LISTS["patterns"] | _LISTS["carriers"])
_CARRIERS = {stem(w) for w in _LISTS["carriers"]}
_ANOTHER = {stem(w) for w in _LISTS["elsewhere"] | _LISTS["abdomen"] | _LISTS["circumstances"]}
_VERTEBRA = re.compile(r"[tl]1?\d")


def codes_in_table(phrase: str, *, loose: bool) -> tuple[str, ...]:
    """Codes of the phrases of the curated table that stand in a phrase and in no longer one that does.

    `loose` lets words of pattern and cause be left out, and takes any word that the table lacks for a misspelling of one
    it has, even where the edition knows it.

    >>> codes_in_table("small pleural efusions", loose=False), codes_in_table("interstitial edema", loose=True)
    (('J90',), ('J81.1',))
    """
    words = words_of(phrase)
    negated = next((at for at, w in enumerate(words) if w in NEGATED), len(words))
    words, table = words[:negated], curated_codes()
    if not 0 < len(words) <= LONGEST:
        return ()
    text = " ".join(words)
    if text in table:
        return table[text]
    meant = [_meant(w, loose) for w in words]
    said, told = {stem(w) for w in meant}, {stem(w) for w in meant if not (w in _FREE[loose] or w[0].isdigit())}
    fitting = [
        (known, parts)
        for known, parts in _table()
        if parts <= said and len(told - parts) <= (2 if len(parts) > 1 else 0) and told.isdisjoint(_ANOTHER - parts)
    ]
    longest = [fit for fit in fitting if not any(_within(fit[1], other) for _, other in fitting)]
    at = {stem(w): place for place, w in reversed([*enumerate(meant)])}
    # Of two findings in one phrase ("tortuous calcified aorta") the first mentioned comes first.
    longest.sort(
        key=lambda fit: (-len(fit[1]), sorted(at[w] for w in fit[1]), -fuzz.token_sort_ratio(fit[0], text), fit[0])
    )
    codes = dict.fromkeys(code for known, _ in longest for code in table[known])
    return tuple(code for code in codes if not code or not opposed(words_of(descriptor(code) or ""), words))


@cache
def _vocabulary() -> list[str]:
    return sorted(_FREE[1].union(*(phrase.split() for phrase in curated_codes())))


@cache
def _table() -> list[tuple[str, frozenset[str]]]:
    """Each phrase of the curated table with the stems of its words."""
    return [(known, frozenset(stem(w) for w in known.split() if w not in LITTLE)) for known in curated_codes()]


def _within(parts: frozenset[str], other: frozenset[str]) -> bool:
    """Whether other words name the same and more; "degenerative changes" name no more than "degenerative"."""
    return parts < other or (parts - _CARRIERS < other - _CARRIERS)


@lru_cache(maxsize=1 << 16)
def _meant(word: str, loose: bool) -> str:
    """The word of the table that a word stands for, itself where there is none."""
    if _VERTEBRA.fullmatch(word):
        return "vertebra"
    # Only a word that nobody knows is taken for a misspelling: "hemithorax" is not a bad "hemothorax".
    if stem(word) in _stems() or (not loose and is_known_word(word)):
        return word
    near = process.extractOne(word, _vocabulary(), scorer=fuzz.ratio, score_cutoff=_WORD_ALIKE)
    return near[0] if near else word


@cache
def _stems() -> frozenset[str]:
    return frozenset(map(stem, _vocabulary()))
