"""From a phrase to an ICD-10-CM code, and the gate every code passes.

A phrase is looked up in a curated table of what chest reports say, then among the descriptors and inclusion terms of the
edition; `radbook.icd10.terms` says whether one of these names the phrase.
A code that exists may still name something else ("chest tube" is not Z48.02, removal of sutures).
So `check_code` also asks whether the descriptor names the finding.
"""

import re
from functools import cache, lru_cache

from rapidfuzz import fuzz, process

from radbook.icd10 import terms
from radbook.icd10.edition import EDITION, descriptor, inclusion_terms, is_leaf, normalize_code

__all__ = ["candidates", "check_code", "map_phrase"]

_LONGEST = 20  # words; what is longer is no phrase
_ALIKE = 85  # least token_set_ratio (0-100) of a phrase and a term that may name it
_CHAPTERS = frozenset("ABCDEIJKMNQRST")  # first letters of codes that name something a chest film may show
_VERTEBRA = re.compile(r"[tl]1?\d")
_ANOTHER = terms.KINDS["elsewhere"] | terms.KINDS["abdomen"] | terms.KINDS["circumstances"]
# Words that a phrase of the table may leave unsaid.
_FREE = terms.DEGREES | terms.PLACES | terms.KINDS["carriers"] | terms.KINDS["patterns"]


def map_phrase(phrase: str) -> str | None:
    """Find the code of a finding, first in the curated table, then in the edition.

    In the table an exact match wins.
    Otherwise a phrase of the table fits if all its words are in `phrase`, in any form ("scoliotic"), misspellings
    forgiven, and the longest that fits wins, then the first mentioned; further words must be of side, degree, time, place,
    pattern or cause where the phrase of the table is a single word.
    What follows a negation is not read.
    A phrase the table does not know is looked for in the edition: a descriptor or inclusion term must say the same and
    nothing more but "unspecified", must pass `check_code`, and no other code may fit as well.
    None means that the phrase is not known, is negated or over 20 words, or that no code names it ("chest tube").
    The kinds of words stand in `resources/icd10_words.yaml`.

    >>> map_phrase("small left pleural effusion"), map_phrase("lung abscess"), map_phrase("chest tube")
    ('J90', 'J85.2', None)
    """
    return next(iter(_resolve(phrase)), None) or None


def candidates(phrase: str, *, limit: int = 5) -> list[tuple[str, str, float]]:
    """Rank the codes whose wording in the curated table or the edition is most like a phrase.

    This is a list for a person to choose from: it may be right where `map_phrase` says None, and is often wrong.

    Parameters
    ----------
    phrase
        Up to 20 words; for a longer text the list is empty.
    limit
        Most codes to return.

    Returns
    -------
    (code, term, score) with the highest score first: rapidfuzz's token_set_ratio (0-100) of phrase and term, by word
    stems; among equals the term that says least beyond the phrase.
    Each code stands once, with its best term; every code is a leaf.

    Examples
    --------
    >>> [code for code, term, score in candidates("lung abscess", limit=2)]
    ['J85.2', 'A06.5']
    """
    best: dict[str, tuple[str, str, float]] = {}
    for code, term, score in _ranked(phrase, 0):
        best.setdefault(code, (code, term, score))
    return list(best.values())[:limit]


def check_code(code: str, phrase: str) -> tuple[bool, str]:
    """Decide whether a code may stand for a phrase.

    The code must have the right form, exist in the edition and be a leaf; then the curated table, or its descriptor or
    an inclusion term, must name the finding.
    In the table a phrase may have several codes, and a phrase with two findings ("tortuous calcified aorta") has both.

    Parameters
    ----------
    code
        As a person or a model wrote it.
    phrase
        The finding it is to stand for.

    Returns
    -------
    ok : bool
    reason : str
        Why, in words; it names the descriptor where the code exists.

    Examples
    --------
    >>> check_code("J90", "small left pleural effusion")
    (True, 'J90 means "Pleural effusion, not elsewhere classified"')
    >>> check_code("Z95.828", "right PICC")
    (True, 'the curated table gives Z95.828 for the phrase')
    >>> check_code("Z48.02", "chest tube")
    (False, 'Z48.02 means "Encounter for removal of sutures"; no ICD-10-CM code names "chest tube"')
    """
    normal = normalize_code(code)
    if normal is None:
        return False, f"{code!r} has not the form of an ICD-10-CM code"
    meaning = descriptor(normal)
    if meaning is None:
        return False, f"{normal} does not exist in {EDITION}"
    if not is_leaf(normal):
        return False, f'{normal} means "{meaning}" but is no leaf: a more specific code is needed'
    expected = _resolve(phrase)
    if expected == ("",):
        return False, f'{normal} means "{meaning}"; no ICD-10-CM code names "{phrase}"'
    spellings = tuple(map(terms.stem, terms.words_of(phrase))), terms.stems_of(phrase)  # as written, and repaired
    if _former(phrase) is not None:
        ok = normal in expected
        return ok, f'{normal} means "{meaning}"' + ("" if ok else f', which does not name "{phrase}"; {expected[0]} does')
    # "Pulmonary edema NOS" stands under chronic edema, but is no acute one.
    for term in () if _contradicts(normal, spellings[0]) else (meaning, *inclusion_terms(normal)):
        said = terms.KINDS["specific"].isdisjoint(set(terms.claim(term, aside=False)).difference(*spellings))
        if said and any(terms.names(term, stems, exactly=bool(expected)) for stems in spellings):
            return True, f'{normal} means "{term}"'
    if normal in expected:
        return True, f"the curated table gives {normal} for the phrase"
    instead = f"; {expected[0]} does" if expected and expected[0] else ""
    return False, f'{normal} means "{meaning}", which does not name "{phrase}"{instead}'


@lru_cache(maxsize=1 << 16)
def _resolve(phrase: str) -> tuple[str, ...]:
    """Codes of the phrase, the best first; "" where it is known to have none, nothing where it is not known."""
    past = _former(phrase)
    return (past,) if past is not None else _in_table(phrase) or _in_edition(phrase)


def _former(phrase: str) -> str | None:
    """The code that is left of a thing that is over, "" where none is; None for what is there or known by name.

    "Old tuberculosis" is a name.
    """
    words = terms.words_of(phrase)
    stems = tuple(map(terms.stem, words))
    before = [None, *words]
    over = any(s in terms.KINDS["former"] and w not in ("than", "since", "from") for s, w in zip(stems, before, strict=False))
    over |= "chronic" in stems and "fracture" in stems
    known = " ".join(words) in terms.curated_codes()
    if not over or known or terms.KINDS["passing"].isdisjoint(stems) or terms.NEGATED & set(stems):
        return None
    return next((code for names, code in terms.HISTORY.items() if set(stems).issuperset(names.split())), "")


def _in_table(phrase: str) -> tuple[str, ...]:
    """Codes of the phrases of the curated table that stand in a phrase and in no longer one that does."""
    words, table = terms.words_of(phrase), terms.curated_codes()
    at = next((at for at, w in enumerate(words) if w in terms.NEGATED), len(words))
    if terms.KINDS["little"].issuperset(map(terms.stem, words[at + 1 : at + 2])) and at < len(words):
        # "effusion, not present": what stands before is denied.
        return ()
    words = words[:at]
    if not 0 < len(words) <= _LONGEST:
        return ()
    text = " ".join(words)
    if text in table:
        return table[text]
    stems = ["vertebra" if _VERTEBRA.fullmatch(w) else s for w, s in zip(words, terms.stems_of(text), strict=True)]
    telling = {s for s in stems if not (s in _FREE or s[0].isdigit())}
    fitting = [
        (known, parts)
        for known, parts in _table()
        if parts.issubset(stems)
        and len(telling - parts) <= (2 if len(parts) > 1 else 0)
        and telling.isdisjoint(_ANOTHER - parts)
    ]
    # Other words may name the same and more; "degenerative changes" name no more than "degenerative".
    carriers = terms.KINDS["carriers"]
    longest = [
        (known, parts)
        for known, parts in fitting
        if not any(parts < other or parts - carriers < other - carriers for _, other in fitting)
    ]

    def order(fit: tuple[str, frozenset[str]]) -> tuple:
        # Of two findings in one phrase ("tortuous calcified aorta") the first mentioned comes first.
        known, parts = fit
        return -len(parts), sorted(map(stems.index, parts)), -fuzz.token_sort_ratio(known, text), known

    codes = dict.fromkeys(code for known, _ in sorted(longest, key=order) for code in table[known])
    return tuple(code for code in codes if not _contradicts(code, stems))


@cache
def _table() -> list[tuple[str, frozenset[str]]]:
    """Each phrase of the curated table with the stems of its words."""
    return [(known, frozenset(map(terms.stem, known.split())) - terms.KINDS["little"]) for known in terms.curated_codes()]


def _contradicts(code: str, stems: tuple[str, ...]) -> bool:
    return terms.opposed(terms.claim(descriptor(code) or ""), stems)


def _ranked(phrase: str, cutoff: float) -> list[tuple[str, str, float]]:
    """(code, term, score) of all terms that share a telling word with the phrase, best first."""
    stems = terms.stems_of(phrase)
    if len(stems) > _LONGEST:
        return []
    pool = terms.terms_sharing(s for s in stems if s not in terms.DEGREES | terms.NEGATED)
    # Little words would part "abscess of lung" from "lung abscess", and "unspecified" says nothing.
    text, *wordings = (
        " ".join(s for s in words if s not in terms.UNSAID) for words in (stems, *(terms.claim(term) for _, term in pool))
    )
    scored = process.extract(text, wordings, scorer=fuzz.token_set_ratio, score_cutoff=cutoff, limit=None)

    def order(found: tuple[str, float, int]) -> tuple:
        wording, score, at = found
        return -score, -fuzz.token_sort_ratio(text, wording), len(pool[at][1].split()), pool[at]

    return [(*pool[at], score) for _, score, at in sorted(scored, key=order)]


def _in_edition(phrase: str) -> tuple[str, ...]:
    """The code of the phrase in the edition, where exactly one names it and says no more."""
    stems = terms.stems_of(phrase)
    telling = set(stems) - terms.DEGREES
    if telling <= terms.VAGUE or telling & (terms.KINDS["elsewhere"] | terms.NEGATED):
        return ()
    fitting: dict[str, tuple[int, int, bool]] = {}
    for code, term, _ in _ranked(phrase, _ALIKE):
        more = terms.beyond(term, stems)
        if code[0] in _CHAPTERS and more is not None and terms.names(term, stems, exactly=False):
            fitting[code] = min(more, fitting.get(code, more))
    best = [code for code, more in fitting.items() if more == min(fitting.values())]
    return (best[0],) if len(best) == 1 else ()
