"""Category names as people write them in a table: any case, any separator, sometimes misspelled."""

import re

from rapidfuzz import fuzz, process

from radbook.ontology import CATEGORIES, NORMAL

__all__ = ["is_repair", "read_names"]

_CATEGORY_OF = {c.lower(): c for c in CATEGORIES}
_EMPTY_LABELS = {NORMAL.lower(), "no finding", "no findings", "none", "nothing"}
# Below this similarity a category name is taken for another word, not for a misspelling.
_NEAR_MISS = 85


def read_names(cell: str) -> list[tuple[str, str | None]]:
    """Read a cell of category names: each name as it is written, with the category it stands for (None: it fits none).

    Names stand between commas, semicolons or upright bars; brackets, quotes and case are ignored.
    "Normal" and an empty cell name nothing.

    >>> read_names("cardiomegaly, ateletasis; heart failure,")
    [('cardiomegaly', 'Cardiomegaly'), ('ateletasis', 'Atelectasis'), ('heart failure', None)]
    >>> read_names("No finding")
    []
    """
    found = []
    for name in re.split(r"[,;|]", cell):
        name = name.strip(" \t\r\n[](){}'\"")
        lowered = _plain(name)
        if not lowered or lowered in _EMPTY_LABELS:
            continue
        match = process.extractOne(lowered, list(_CATEGORY_OF), scorer=fuzz.ratio, score_cutoff=_NEAR_MISS)
        found.append((name, _CATEGORY_OF[match[0]] if match else None))
    return found


def is_repair(name: str, category: str) -> bool:
    """Say whether reading `name` as `category` took more than ignoring case, spaces and underscores.

    >>> is_repair("lung_opacity", "Lung Opacity"), is_repair("lung opactiy", "Lung Opacity")
    (False, True)
    """
    return _plain(name) != category.lower()


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())
