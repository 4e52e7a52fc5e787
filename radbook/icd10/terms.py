"""Words of phrases and of the edition as they are compared, all wordings that have a code, and what these name.

What reports call a finding stands in `resources/findings.csv` and `resources/icd10_synonyms.csv`, what kinds of words there
are beside the finding in `resources/icd10_words.yaml`.
A term may say more than a phrase that it names, as the name of a kind of it does, but no other circumstance, no further
condition and no opposite; `beyond` counts how much more it says.
"""

import re
from collections.abc import Collection, Iterable
from functools import cache, lru_cache
from importlib.resources import files

import yaml
from rapidfuzz import fuzz, process

from radbook.core.ontology import FINDINGS, read_resource
from radbook.icd10.edition import edition_lines

__all__ = [
    "DEGREES", "HISTORY", "KINDS", "NEGATED", "PLACES", "UNSAID", "VAGUE", "beyond", "claim", "curated_codes", "names", "opposed",
    "stem", "stems_of", "terms_sharing", "words_of",
]  # fmt: skip

# Least rapidfuzz ratio (0-100) of a misspelled word and the one that was meant, of the curated table or of the edition.
_ALIKE_IN_TABLE, _ALIKE_IN_EDITION = 82, 85
_SHORTEST = 7  # letters of a misspelled word of the edition: too many short ones are alike (a bullet is no bulla)

_WORD = re.compile(r"[a-z0-9]+")
_BRITISH = re.compile("[ao]e")  # haemothorax, oedema
_LISTS = yaml.load(
    (files("radbook") / "resources" / "icd10_words.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader
)
_NOUNS = {form: noun for noun, forms in _LISTS["forms"].items() for form in forms.split()}
# Endings of the adjectives and plurals of a finding: scoliotic, atelectatic, bronchitic, emphysematous, metastases.
_ENDINGS = {
    "otic": "osis", "atic": "asis", "itic": "itis", "matous": "ma", "tases": "tasis", "oses": "osis", "sses": "ss", "ies": "y"
}  # fmt: skip
# Codes a chest film is never read for: mental, eye and ear, pregnancy, newborn, how an accident came about.
_NOT_SEARCHED = frozenset("FHOPVWXY")
_LIMBS = ("S5", "S6", "S7", "S8", "S9")


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers of a text, in order, without the possessive s and the marks of de-identification.

    >>> words_of("Ebstein's anomaly, S22.31XA of XXXX")
    ['ebstein', 'anomaly', 's22', '31xa', 'of']
    """
    found = _WORD.findall(text.lower().replace("'s", ""))
    return [word for word in found if word.strip("x")] if "xxx" in text.lower() else found


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The form in which two words are compared: noun, singular, American, one word for one organ or finding.

    >>> [stem(w) for w in ("lungs", "pulmonary", "oedema", "sarcoidosis", "scoliotic", "calcified")]
    ['lung', 'lung', 'edema', 'sarcoidosis', 'scoliosis', 'calcification']
    """
    word = _BRITISH.sub("e", word.lower())
    for ending, noun in _ENDINGS.items():
        if len(word) > len(ending) + 1 and word.endswith(ending) and word not in _NOUNS:
            return word[: -len(ending)] + noun
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return _NOUNS.get(word, word)


KINDS = {name: frozenset(map(stem, words.split())) for name, words in _LISTS.items() if isinstance(words, str)}
HISTORY = _LISTS["history"]
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
def stems_of(phrase: str) -> tuple[str, ...]:
    """Stems of the words of a phrase, in order, misspellings repaired.

    Only a word that no wording has is taken for a misspelling: "hypertension" is no bad "hypotension".

    >>> stems_of("pulmonary sarcoidsis"), stems_of("hypertension")
    (('lung', 'sarcoidosis'), ('hypertension',))
    """
    return tuple(map(_meant, words_of(phrase)))


@cache
def curated_codes() -> dict[str, tuple[str, ...]]:
    """The curated table: phrase -> its codes, the best first; "" for phrases that are known to have none.

    >>> curated_codes()["heart enlarged"], curated_codes()["hydrothorax"], curated_codes()["chest tube"]
    (('I51.7',), ('J94.8', 'J90'), ('',))
    """
    table = {" ".join(words_of(f.name)): (f.icd10 or "",) for f in FINDINGS.values()}
    for row in read_resource("icd10_synonyms.csv"):
        phrase = " ".join(words_of(row["phrase"]))
        table[phrase] = (*table.get(phrase, ()), row["code"])
    return table


def terms_sharing(stems: Iterable[str]) -> list[tuple[str, str]]:
    """List (code, term) of each curated phrase, descriptor or inclusion term that has a word with one of the stems.

    Only leaves are searched, without later visits for one injury and without what a chest film is never read for.

    >>> terms_sharing(["dextrocardia"])[0]
    ('Q24.0', 'Dextrocardia')
    """
    terms, places = _index()
    found = {at for name in stems for at in places.get(name, ())}
    return [terms[at] for at in sorted(found)]


@cache
def _index() -> tuple[list[tuple[str, str]], dict[str, list[int]]]:
    """All (code, term), and for each stem the positions of the terms that have it."""
    terms = [(code, phrase) for phrase, codes in curated_codes().items() for code in codes if code]
    for line in edition_lines()[1:]:
        code, leaf, meaning, more = line.split("\t")
        later_visit = len(code) == 8 and "A" < code[7] <= "Z"
        if leaf == "1" and code[0] not in _NOT_SEARCHED and not code.startswith(_LIMBS) and not later_visit:
            terms += [(code, term) for term in (meaning, *filter(None, more.split("|")))]
    places: dict[str, list[int]] = {}
    for at, (_, term) in enumerate(terms):
        for name in set(map(stem, words_of(term))):
            places.setdefault(name, []).append(at)
    return terms, places


@cache
def _table_words() -> dict[str, str]:
    """Each word that a phrase of the curated table may hold, with its stem."""
    free = " ".join(_LISTS[kind] for kind in ("degrees", "little", "places", "patterns", "carriers"))
    return {word: stem(word) for word in sorted({*free.split(), *" ".join(curated_codes()).split()})}


@lru_cache(maxsize=1 << 16)
def _meant(word: str) -> str:
    """The stem of the word that a word stands for, its own where no word is near."""
    its, table, places = stem(word), _table_words(), _index()[1]
    if its in places or its in table.values():
        return its
    near = process.extractOne(word, table.keys(), scorer=fuzz.ratio, score_cutoff=_ALIKE_IN_TABLE)
    if near:
        return table[near[0]]
    if len(its) < _SHORTEST:
        return its
    near = process.extract(its, list(places), scorer=fuzz.ratio, score_cutoff=_ALIKE_IN_EDITION, limit=None)
    return next((name for name, _, _ in near if name[0] == its[0]), its)


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
