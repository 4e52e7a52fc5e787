"""From a phrase to an ICD-10-CM code, and the gate every code passes.

A phrase is looked up in a curated table of what chest reports say, then among the descriptors and inclusion terms of
the edition (`radbook.icd10_terms`).
A code that exists may still name something else ("chest tube" is not Z48.02, removal of sutures).
So `check_code` also asks whether the descriptor names the finding.
"""

import re
from collections.abc import Collection
from functools import cache, lru_cache

from rapidfuzz import fuzz, process

from radbook.icd10_terms import (
    EDITION,
    block,
    category,
    curated_codes,
    descriptor,
    inclusion_terms,
    is_known_word,
    is_leaf,
    normalize_code,
    pack_edition,
    same_word,
    stem,
    terms_sharing,
    words_of,
)

__all__ = [
    "EDITION",
    "block",
    "candidates",
    "category",
    "check_code",
    "descriptor",
    "inclusion_terms",
    "is_leaf",
    "map_phrase",
    "normalize_code",
    "pack_edition",
]

# How alike two spellings of a phrase, and of one word in it, must be.
_ALIKE, _WORD_ALIKE = 85, 82
_NEGATED = {"no", "not", "without", "negative", "denies"}
# Words that say how much, since when or on which side, but not what.
_DEGREES_TEXT = """
left right bilateral both unilateral sided side small tiny trace minimal mild moderate large severe marked minor
borderline slight slightly mildly moderately severely markedly acute subacute chronic old new stable unchanged healed
healing remote prior probable persistent increased increasing decreased decreasing worsening improved improving residual
recurrent diffuse focal multifocal multilobar scattered patchy streaky multiple few several
"""
_LITTLE_TEXT = "a an the of in at to and with is are there present seen noted has"
# Words that say where in the chest.
_PLACES_TEXT = """
lung lungs pulmonary chest thorax thoracic hemithorax lobe lobes lobar upper lower middle mid base bases basal basilar
bibasilar apex apices apical biapical perihilar hilar retrocardiac lingula lingular zone zones region anterior posterior
lateral medial
"""
# A descriptor with one of these words says more than a phrase that lacks it: another circumstance, not the finding.
_CIRCUMSTANCES_TEXT = """
encounter screening history family congenital newborn neonatal perinatal birth pregnancy puerperium postprocedural
intraoperative malignant tuberculous exposure removal fitting
"""
# Words by which a descriptor says that it says no more than the finding.
_PLAIN = frozenset({"unspecified", "nos", "uncomplicated", "site", "organism", "type"})
# Words that name no finding by themselves.
_VAGUE_TEXT = """
disease disorder injury illness symptom sign finding condition abnormality abnormal complication infection syndrome lesion
normal change anomaly deformity tissue bone heart structure age process
"""
# Parts of the body that are not on a chest film, and those that have no finding of the lungs.
_ELSEWHERE_TEXT = "knee hip ankle foot hand wrist leg thigh finger toe eye ear brain skull pelvis pelvic skin breast"
_ABDOMEN_TEXT = "abdomen abdominal liver hepatic spleen splenic kidney renal stomach gastric bowel bladder thyroid"
_LITTLE = frozenset(_LITTLE_TEXT.split())
_DEGREES = frozenset(_DEGREES_TEXT.split()) | _LITTLE
_UNSAID = _LITTLE | _PLAIN
_PLACES = frozenset(_PLACES_TEXT.split())
_CIRCUMSTANCES = frozenset(_CIRCUMSTANCES_TEXT.split())
_ELSEWHERE = frozenset(_ELSEWHERE_TEXT.split())
_OTHER_ORGANS = _ELSEWHERE | frozenset(_ABDOMEN_TEXT.split())
_VAGUE = {stem(w) for w in _PLACES | _PLAIN | _OTHER_ORGANS | frozenset(_VAGUE_TEXT.split())}
_OPPOSITES = (("left", "right"), ("unilateral", "bilateral"), ("acute", "chronic"))
_CHAPTERS = frozenset("ABCDEIJKMNQRST")  # first letters of codes that name something a chest film may show
_LONGEST = 20  # words; what is longer is no phrase
# What follows says what the code leaves out, or which visit it is; parentheses hold words that may be left unsaid.
_CUT = re.compile(
    r"\b(?:without|not elsewhere|except|excluding|initial encounter|subsequent encounter|unspecified whether)\b",
    re.IGNORECASE,
)
_FURTHER = re.compile(r"\b(?:with|due to)\b", re.IGNORECASE)
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


def map_phrase(phrase: str) -> str | None:
    """Find the code of a finding, first in the curated table, then in the edition.

    In the table an exact match wins.
    Otherwise a phrase of the table fits if all its words are in `phrase`, misspellings forgiven, and the longest that
    fits wins; further words must be of side, degree, time or place where the phrase of the table is a single word.
    A phrase the table does not know is looked for in the edition: a descriptor or inclusion term must say the same and
    nothing more but "unspecified", must pass `check_code`, and no other code may fit as well.
    Last, the table is asked once more and takes any similar word for a misspelling.
    None means that the phrase is not known, is negated or over 20 words, or that no code names it ("chest tube").

    >>> map_phrase("small left pleural effusion"), map_phrase("lung abscess"), map_phrase("chest tube")
    ('J90', 'J85.2', None)
    """
    return _resolve(phrase) or None


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
    if expected == "":
        return False, f'{normal} means "{meaning}"; no ICD-10-CM code names "{phrase}"'
    for term in (meaning, *inclusion_terms(normal)):
        if _names(term, phrase):
            return True, f'{normal} means "{term}"'
    if expected == normal:
        return True, f"the curated table gives {normal} for the phrase"
    instead = f"; {expected} does" if expected else ""
    return False, f'{normal} means "{meaning}", which does not name "{phrase}"{instead}'


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(w for phrase in curated_codes() for w in phrase.split()) | _DEGREES | _PLACES


def _resolve(phrase: str) -> str | None:
    """Code of the phrase; "" where it is known to have none, None where it is not known."""
    known = _lookup(phrase, loose=False)
    if known is None:
        known = _search(phrase)
    return _lookup(phrase, loose=True) if known is None else known


@lru_cache(maxsize=1 << 16)
def _lookup(phrase: str, *, loose: bool) -> str | None:
    """Code of the phrase in the curated table, or "", or None.

    A word that the table lacks may be a misspelling of one it has: `loose` says, even where the edition knows it.
    """
    words = words_of(phrase)
    if not 0 < len(words) <= _LONGEST or words[0] in _NEGATED:
        return None
    table, text = curated_codes(), " ".join(words)
    if text in table:
        return table[text]
    # Words of side, degree and place would drown a misspelled word, so the phrase is also compared without them.
    core = " ".join(w for w in words if w not in _DEGREES | _PLACES)
    fitting = {
        known
        for wording in (text, core)
        for known, _, _ in process.extract(
            wording, list(table), scorer=fuzz.token_set_ratio, score_cutoff=_ALIKE, limit=None
        )
        if _contains(words, known.split(), loose)
    }
    if not fitting:
        return None
    return table[max(sorted(fitting), key=lambda known: (len(known.split()), fuzz.token_sort_ratio(known, text)))]


def _contains(words: list[str], known: list[str], loose: bool) -> bool:
    if not all(_has(words, w, loose) for w in known if w not in _LITTLE):
        return False
    rest = [w for w in words if w not in _DEGREES | _PLACES and not _has(known, w, loose)]
    if not _OTHER_ORGANS.union(_CIRCUMSTANCES).isdisjoint(rest):
        return False
    return not rest if len(known) == 1 else len(rest) <= 2


def _has(words: list[str], word: str, loose: bool) -> bool:
    if stem(word) in map(stem, words):
        return True

    # Only a word that nobody knows is taken for a misspelling: "hemithorax" is not a bad "hemothorax".
    def known(w: str) -> bool:
        return w in _vocabulary() or (not loose and is_known_word(w))

    return any(fuzz.ratio(word, w) >= _WORD_ALIKE and known(w) != known(word) for w in words)


def _ranked(phrase: str, cutoff: float) -> list[tuple[str, str, float]]:
    """(code, term, score) of all terms that share a telling word with the phrase, best first."""
    words = words_of(phrase)
    if len(words) > _LONGEST:
        return []
    pool = terms_sharing(w for w in words if w not in _DEGREES | _NEGATED)
    # Little words would part "abscess of lung" from "lung abscess", and "unspecified" says nothing.
    text, *wordings = (
        " ".join(stem(w) for w in words_of(wording) if w not in _UNSAID)
        for wording in (phrase, *(_CUT.split(term)[0] for _, term in pool))
    )
    scored = process.extract(text, wordings, scorer=fuzz.token_set_ratio, score_cutoff=cutoff, limit=None)
    order = {
        at: (-score, -fuzz.token_sort_ratio(text, wording), len(pool[at][1].split()), pool[at])
        for wording, score, at in scored
    }
    return [(*pool[at], -order[at][0]) for at in sorted(order, key=order.__getitem__)]


@lru_cache(maxsize=1 << 14)
def _search(phrase: str) -> str | None:
    """Code of the phrase in the edition, where exactly one names it and says no more."""
    words = words_of(phrase)
    said = {stem(w) for w in words if w not in _DEGREES}
    if said <= _VAGUE or not said.isdisjoint(_ELSEWHERE) or not _NEGATED.isdisjoint(words):
        return None
    fitting: dict[str, tuple[int, int, bool]] = {}
    for code, term, _ in _ranked(phrase, _ALIKE):
        beyond = _beyond(term, words)
        if code[0] in _CHAPTERS and beyond is not None and _names(term, phrase):
            fitting[code] = min(beyond, fitting.get(code, beyond))
    best = [code for code, beyond in fitting.items() if beyond == min(fitting.values())]
    return best[0] if len(best) == 1 else None


def _beyond(term: str, words: list[str]) -> tuple[int, int, bool] | None:
    """How many words part a term from a phrase that it names; None if the term says another thing.

    Counted are words of degree that only the phrase has, then words that only the term has; last comes whether the
    term lacks an "unspecified".
    """
    stated = words_of(_ASIDE.sub(" ", _CUT.split(term)[0]))
    unsaid = sum(w not in _LITTLE and not any(same_word(w, t) for t in words_of(term)) for w in words)
    extra = {stem(w) for w in stated if w not in _LITTLE and not any(same_word(s, w) for s in words)}
    told = extra - _PLAIN
    implied = {"acute", "chronic"}
    if len([w for w in words if w not in _DEGREES]) > 1:
        implied |= {"lung", "thorax"}  # where a chest film shows it
    return (unsaid, len(told), extra == told) if told <= implied else None


def _names(term: str, phrase: str) -> bool:
    """Whether a term names what the phrase says, in no other circumstance and with no further condition."""
    said = set(words_of(phrase))
    stated = _CUT.split(term)[0]
    words = words_of(stated)
    further = words_of("".join(_FURTHER.split(_ASIDE.sub(" ", stated))[1:]))
    if _CIRCUMSTANCES.intersection(words) - said or not said.isdisjoint(_NEGATED):
        return False
    if any(_one_sided(pair, words, said) or _one_sided(pair, said, words) for pair in _OPPOSITES):
        return False
    if not all(w in _UNSAID or any(same_word(s, w) for s in said) for w in further):
        return False
    what = said - _DEGREES
    return bool(what - _PLACES) and all(any(same_word(w, t) for t in words) for w in what)


def _one_sided(pair: tuple[str, str], one: Collection[str], other: Collection[str]) -> bool:
    """Whether `one` says the first word of the pair and `other` the second, neither of them both."""
    return pair[0] in one and pair[1] not in one and pair[1] in other and pair[0] not in other
