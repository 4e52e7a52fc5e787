"""All wordings that have an ICD-10-CM code: the edition's own and a curated table's, found by their words.

The edition is that of `radbook.icd10.edition`.
What reports call a finding stands in `resources/findings.csv` and `resources/icd10_synonyms.csv`.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files

import yaml
from rapidfuzz import fuzz, process

from radbook.core.ontology import FINDINGS, read_resource
from radbook.icd10.edition import dotted, edition_lines

__all__ = [
    "curated_codes",
    "is_known_word",
    "same_word",
    "stem",
    "terms_sharing",
    "word_lists",
    "words_of",
]

_WORD_ALIKE = 85  # least rapidfuzz ratio (0-100) of a misspelled word and the one that was meant

_WORD = re.compile(r"[a-z0-9]+")
_BRITISH = re.compile("[ao]e")  # haemothorax, oedema
# Endings of the adjectives and plurals of a finding: scoliotic, atelectatic, bronchitic, emphysematous, metastases.
_ENDINGS_TEXT = "otic osis, atic asis, itic itis, matous ma, tases tasis, oses osis, sses ss, ies y"
_ENDINGS = [pair.split() for pair in _ENDINGS_TEXT.split(",")]
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


@cache
def word_lists() -> dict[str, frozenset[str]]:
    """Read the lists of `resources/icd10_words.yaml`: what kinds of words there are beside the finding.

    >>> "bilateral" in word_lists()["degrees"]
    True
    """
    return {name: frozenset(words.split()) for name, words in _words().items() if name != "forms"}


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The form in which two words are compared: noun, singular, American, one word for one organ or finding.

    >>> [stem(w) for w in ("lungs", "pulmonary", "oedema", "sarcoidosis", "scoliotic", "calcified")]
    ['lung', 'lung', 'edema', 'sarcoidosis', 'scoliosis', 'calcification']
    """
    word = _BRITISH.sub("e", word.lower())
    for ending, noun in _ENDINGS:
        if len(word) > len(ending) + 1 and word.endswith(ending):
            return word[: -len(ending)] + noun
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return _forms_of_words().get(word, word)


def same_word(said: str, term: str) -> bool:
    """Say whether a word of a phrase is a word of the edition, singular or plural, or a misspelling of it.

    Only a word that the edition lacks is taken for a misspelling: "hypertension" is no bad "hypotension".

    >>> same_word("fractures", "fracture"), same_word("sarcoidsis", "sarcoidosis")
    (True, True)
    >>> same_word("hypertension", "hypotension")
    False
    """
    return stem(said) == stem(term) or term in _forms(said)


def is_known_word(word: str) -> bool:
    """Say whether a word occurs in a wording that has a code.

    >>> is_known_word("bronchiolitis"), is_known_word("broncholitis")
    (True, False)
    """
    return stem(word) in _word_forms()


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


def terms_sharing(words: Iterable[str]) -> list[tuple[str, str]]:
    """List (code, term) of each curated phrase, descriptor or inclusion term that has one of the words.

    Only leaves are searched, without later visits for one injury and without what a chest film is never read for.

    >>> terms_sharing(["dextrocardia"])[0]
    ('Q24.0', 'Dextrocardia')
    """
    codes, terms, places = _index()
    found = {at for word in words for form in _forms(word) for at in places[form]}
    return [(dotted(codes[at]), terms[at]) for at in sorted(found)]


@cache
def _words() -> dict:
    text = (files("radbook") / "resources" / "icd10_words.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)


@cache
def _forms_of_words() -> dict[str, str]:
    return {form: noun for noun, forms in _words()["forms"].items() for form in forms.split()}


@cache
def _index() -> tuple[list[str], list[str], dict[str, list[int]]]:
    """Codes and terms, in step, and for each word the positions of the terms that have it."""
    pairs = [(code, phrase) for phrase, its in curated_codes().items() for code in its if code]
    codes, terms = [code.replace(".", "") for code, _ in pairs], [phrase for _, phrase in pairs]
    for line in edition_lines()[1:]:
        code, leaf, meaning, more = line.split("\t")
        later_visit = len(code) == 7 and "A" < code[6] <= "Z"
        if leaf == "1" and code[0] not in _NOT_SEARCHED and not code.startswith(_LIMBS) and not later_visit:
            for term in (meaning, *more.split("|")) if more else (meaning,):
                codes.append(code)
                terms.append(term)
    places: dict[str, list[int]] = {}
    for at, term in enumerate(terms):
        for word in set(words_of(term)):
            if word in places:
                places[word].append(at)
            else:
                places[word] = [at]
    return codes, terms, places


@cache
def _word_forms() -> dict[str, list[str]]:
    """Stem -> the words of the index that have it."""
    forms: dict[str, list[str]] = {}
    for word in _index()[2]:
        forms.setdefault(stem(word), []).append(word)
    return forms


@lru_cache(maxsize=1 << 14)
def _forms(word: str) -> tuple[str, ...]:
    """Words of the index that a word of a phrase may be; near ones only where it is none itself."""
    forms, known = _word_forms(), stem(word)
    # Too many short words are alike: a bullet is no bulla.
    if known in forms or len(known) < 7:
        return tuple(forms.get(known, ()))
    near = process.extract(known, list(forms), scorer=fuzz.ratio, score_cutoff=_WORD_ALIKE, limit=None)
    return tuple(form for name, _, _ in near if name[0] == known[0] for form in forms[name])
