"""From a phrase to an ICD-10-CM code, and the gate every code passes.

The edition is the **April 2026 release of ICD-10-CM**, as simple-icd-10-cm 1.5.0 carries it.
That library takes seconds to import, so codes, descriptors, leaves and inclusion terms are packed in
`resources/icd10cm.tsv.xz`, which `pack_edition` makes from it; a test holds the two against each other.
ICD-10-CM is in the public domain of the United States (National Center for Health Statistics).

A code that exists may still name something else ("chest tube" is not Z48.02, removal of sutures).
So `check_code` also asks whether the descriptor names the finding.
"""

import lzma
import re
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from rapidfuzz import fuzz, process

from radbook.ontology import FINDINGS, read_resource

__all__ = [
    "EDITION",
    "category",
    "check_code",
    "descriptor",
    "inclusion_terms",
    "is_leaf",
    "map_phrase",
    "normalize_code",
    "pack_edition",
]

EDITION = "ICD-10-CM, April 2026 release"

_CODE = re.compile(r"(?:ICD[- ]?10(?:[- ]?CM)?[: ]+)?([A-Z](?:\d[0-9A-Z]|A\d))\.?([0-9A-Z]{0,4})\.?", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+")
# How alike two spellings of a phrase, and of one word in it, must be.
_ALIKE, _WORD_ALIKE = 85, 82
_NEGATED = {"no", "not", "without", "negative", "denies"}
# Words that say how much, since when or on which side, but not what.
_DEGREES_TEXT = """
left right bilateral both unilateral sided side small tiny trace minimal mild moderate large severe marked minor
borderline slight slightly mildly moderately severely markedly acute subacute chronic old new stable unchanged healed
healing remote prior probable persistent increased increasing decreased decreasing worsening improved improving residual
recurrent diffuse focal scattered patchy streaky multiple few several a an the of in at to and with is are there present
seen noted has
"""
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
_DEGREES = frozenset(_DEGREES_TEXT.split())
_PLACES = frozenset(_PLACES_TEXT.split())
_CIRCUMSTANCES = frozenset(_CIRCUMSTANCES_TEXT.split())
# What follows says what the code leaves out, or which visit it is.
_CUT = re.compile(r"\b(?:without|not elsewhere|except|excluding|initial encounter|subsequent encounter)\b", re.IGNORECASE)


def normalize_code(code: str) -> str | None:
    """Write a code the usual way, or return None where the string has not the form of one.

    Whether the code exists is another question: see `check_code`.

    >>> normalize_code(" j9811 "), normalize_code("ICD-10: J90"), normalize_code("pneumonia")
    ('J98.11', 'J90', None)
    """
    match = _CODE.fullmatch(code.strip())
    if match is None:
        return None
    return f"{match[1]}.{match[2]}".upper().rstrip(".")


def category(code: str) -> str:
    """Return the three characters of a code's category; a string of another form comes back as it is.

    >>> category("J98.11")
    'J98'
    """
    normal = normalize_code(code)
    return normal[:3] if normal else code.strip()


def descriptor(code: str) -> str | None:
    """Return the official descriptor, or None for a code that the edition does not have.

    >>> descriptor("J98.11")
    'Atelectasis'
    """
    entry = _entry(code)
    return entry[1] if entry else None


def inclusion_terms(code: str) -> tuple[str, ...]:
    """Return the inclusion terms the edition lists under a code.

    >>> inclusion_terms("J93.9")
    ('Pneumothorax NOS',)
    """
    entry = _entry(code)
    return tuple(t for t in entry[2].split("|") if t) if entry else ()


def is_leaf(code: str) -> bool:
    """Say whether a code exists and has no more specific codes below it: only such a code may be assigned.

    >>> is_leaf("I31.39"), is_leaf("I31.3"), is_leaf("X00.00")
    (True, False, False)
    """
    entry = _entry(code)
    return bool(entry) and entry[0] == "1"


def map_phrase(phrase: str) -> str | None:
    """Find the code of a finding in the curated table of chest findings.

    An exact match wins.
    Otherwise a phrase of the table fits if all its words are in `phrase`, misspellings forgiven, and the longest that
    fits wins; further words must be of side, degree, time or place where the phrase of the table is a single word.
    None means that the phrase is not known, is negated, or that no code names it ("chest tube").

    >>> map_phrase("small left pleural effusion"), map_phrase("chest tube"), map_phrase("breast nodule")
    ('J90', None, None)
    """
    return _lookup(phrase) or None


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
    (True, 'the curated table gives J90 for the phrase')
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
    expected = _lookup(phrase)
    if expected == normal:
        return True, f"the curated table gives {normal} for the phrase"
    if expected == "":
        return False, f'{normal} means "{meaning}"; no ICD-10-CM code names "{phrase}"'
    for term in (meaning, *inclusion_terms(normal)):
        if _names(term, phrase):
            return True, f'{normal} means "{term}"'
    instead = f"; the curated table gives {expected}" if expected else ""
    return False, f'{normal} means "{meaning}", which does not name "{phrase}"{instead}'


def pack_edition(path: str | Path) -> Path:
    """Write `icd10cm.tsv.xz` from the installed simple-icd-10-cm: code, leaf, descriptor, inclusion terms."""
    import simple_icd_10_cm as library

    lines = [f"# origin: {EDITION}, public domain, through simple-icd-10-cm; made by radbook.icd10.pack_edition"]
    # A block of a single category has its category's name: both come under one key.
    for code in dict.fromkeys(library.get_all_codes(True)):
        if normalize_code(code) == code:
            # Some descriptors hold tabs and line breaks.
            meaning, *terms = (
                " ".join(t.split()) for t in (library.get_description(code), *library.get_inclusion_term(code))
            )
            leaf = "1" if library.is_leaf(code) else "0"
            lines.append("\t".join((code.replace(".", ""), leaf, meaning, "|".join(terms))))
    path = Path(path)
    path.write_bytes(lzma.compress("\n".join(lines).encode("utf-8"), preset=9))
    return path


@cache
def _edition() -> dict[str, str]:
    packed = (files("radbook") / "resources" / "icd10cm.tsv.xz").read_bytes()
    lines = lzma.decompress(packed).decode("utf-8").split("\n")[1:]
    return dict(line.split("\t", 1) for line in lines)


def _entry(code: str) -> tuple[str, str, str] | None:
    normal = normalize_code(code)
    row = _edition().get(normal.replace(".", "")) if normal else None
    return tuple(row.split("\t")) if row is not None else None


def _words(phrase: str) -> list[str]:
    return _WORD.findall(phrase.lower())


@cache
def _curated() -> dict[str, str]:
    """Phrase -> code; "" for phrases that are known to have no code."""
    table = {" ".join(_words(f.name)): f.icd10 or "" for f in FINDINGS.values()}
    for row in read_resource("icd10_synonyms.csv"):
        table[" ".join(_words(row["phrase"]))] = row["code"]
    return table


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(w for phrase in _curated() for w in phrase.split()) | _DEGREES | _PLACES


@lru_cache(maxsize=1 << 16)
def _lookup(phrase: str) -> str | None:
    """Code of the phrase in the curated table; "" where it is known to have none, None where it is not known."""
    words = _words(phrase)
    if not words or words[0] in _NEGATED:
        return None
    table, text = _curated(), " ".join(words)
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
        if _contains(words, known.split())
    }
    if not fitting:
        return None
    return table[max(sorted(fitting), key=lambda known: (len(known.split()), fuzz.token_sort_ratio(known, text)))]


def _contains(words: list[str], known: list[str]) -> bool:
    if not all(_has(words, w) for w in known):
        return False
    rest = [w for w in words if w not in _DEGREES | _PLACES and not _has(known, w)]
    return not rest if len(known) == 1 else len(rest) <= 2


def _has(words: list[str], word: str) -> bool:
    if word in words:
        return True
    # Only a word that nobody knows is taken for a misspelling: "hemithorax" is not a bad "hemothorax".
    return any(
        fuzz.ratio(word, w) >= _WORD_ALIKE for w in words if (w in _vocabulary()) != (word in _vocabulary())
    )


def _names(term: str, phrase: str) -> bool:
    said = set(_words(phrase))
    words = _words(_CUT.split(term)[0])
    if _CIRCUMSTANCES.intersection(words) - said:
        return False
    what = [w for w in _words(phrase) if w not in _DEGREES]
    return bool(set(what) - _PLACES) and not said & _NEGATED and all(
        any(fuzz.ratio(w, t) >= _WORD_ALIKE for t in words) for w in what
    )
