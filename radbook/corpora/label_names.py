"""Category names as people and models write them: any case, any separator, sometimes misspelled, denied or doubted.

A label column, a list that a model wrote and a JSON answer are read by the same rules, so that the same name means the same
in all of them.
"""

import re
from typing import NamedTuple

from rapidfuzz import fuzz, process

from radbook.core.findings import Presence, finding, label_row, strongest
from radbook.core.ontology import CATEGORIES, NORMAL

__all__ = ["NEAR_MISS", "Name", "category_of", "folded", "named_row", "read_names", "sense"]

NEAR_MISS = 85  # least rapidfuzz ratio (0-100) at which a misspelled category name is repaired
_CATEGORY_OF = {c.lower(): c for c in CATEGORIES}
_NOTHING = frozenset({NORMAL.lower(), "no finding", "no findings", "none", "nothing"})
_NEGATED = re.compile(r"(no|not|without|negative for)\b")
_HEDGED = re.compile(r"^(possible|possibly|probable|probably|likely|suspected|questionable)\s+|^\?+\s*|\s*\?+$", re.I)
# A slip of the pen leaves words: whatever holds a digit or a sign ("Pneumothorax=0", "r/o edema") says something else.
_WORDS = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*\.?")


class Name(NamedTuple):
    """A name as it is written, the category it stands for (None: it fits none or denies one), and its presence."""

    written: str
    category: str | None
    presence: Presence

    @property
    def repair(self) -> str:
        """What the name was taken for, where that took more than ignoring case, spaces and underscores; else ""."""
        if self.category is None or folded(self.written) == self.category.lower():
            return ""
        return self.category if self.presence == Presence.PRESENT else f"{self.category} ({self.presence})"


def folded(name: str) -> str:
    """Return a name without what makes no difference: case, underscores, blanks.

    >>> folded(" Lung_Opacity")
    'lung opacity'
    """
    return " ".join(name.lower().replace("_", " ").split())


def sense(name: str) -> tuple[Presence | None, str]:
    """Say how a name is meant (None: it stands for no finding at all), and give it without its hedge.

    >>> [str(sense(name)[0]) for name in ("Edema", "possible edema", "No edema", "No finding")]
    ['present', 'uncertain', 'absent', 'None']
    """
    plain = folded(name)
    if plain in _NOTHING:
        return None, name
    if _NEGATED.match(plain):
        return Presence.ABSENT, name
    bare = _HEDGED.sub("", name)
    return (Presence.PRESENT if bare == name else Presence.UNCERTAIN), bare


def category_of(name: str) -> str | None:
    """Return the category that a name without hedge or negation stands for, repairing a slip of the pen.

    A name with more words than the category is no slip: the word too many may deny it.

    >>> category_of("lung_opactiy"), category_of("pneumothorax no"), category_of("NoPneumothorax")
    ('Lung Opacity', None, None)
    """
    plain = folded(name)
    if plain in _CATEGORY_OF:
        return _CATEGORY_OF[plain]
    if len(plain) > 60 or plain.startswith("no") or not _WORDS.fullmatch(plain):
        return None
    near = process.extractOne(plain, list(_CATEGORY_OF), scorer=fuzz.ratio, score_cutoff=NEAR_MISS)
    return _CATEGORY_OF[near[0]] if near and len(plain.split()) <= len(near[0].split()) else None


def read_names(cell: str) -> list[Name]:
    """Read a cell of category names.

    Names stand between commas, semicolons or upright bars; brackets, quotes and case are ignored.
    "Normal" and an empty cell name nothing; a name that is denied is never taken for the finding.

    >>> [(n.written, n.category, str(n.presence)) for n in read_names("edema; ateletasis?, heart failure,")]
    [('edema', 'Edema', 'present'), ('ateletasis?', 'Atelectasis', 'uncertain'), ('heart failure', None, 'present')]
    >>> read_names("No finding")
    []
    """
    found = []
    for name in re.split(r"[,;|]", cell):
        name = name.strip(" \t\r\n[](){}'\"")
        presence, bare = sense(name)
        if folded(name) and presence is not None:
            found.append(Name(name, None if presence == Presence.ABSENT else category_of(bare), presence))
    return found


def named_row(report_id: str, source: str, names: list[Name]) -> dict:
    """Return the `labels` row of the findings that names stand for; one that is doubted and stated is present.

    Where a name was repaired or hedged, the row's status is "repaired" and its note says what was read.

    >>> row = named_row("7", "reader", read_names("Fracture, Edema?, edema"))
    >>> [(f["code"], f["presence"]) for f in row["findings"]], row["note"]
    ([('Edema', 'present'), ('Fracture', 'present')], "read 'Edema?' as Edema (uncertain)")
    """
    best = strongest((name.category, finding(name.category, name.presence)) for name in names if name.category)
    notes = dict.fromkeys(f"read {name.written!r} as {name.repair}" for name in names if name.repair)
    status = "repaired" if notes else "ok"
    ordered = [best[category] for category in CATEGORIES if category in best]
    return label_row(report_id, source, "choice", ordered, status=status, note="; ".join(notes))
