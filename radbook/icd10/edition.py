"""The edition of ICD-10-CM: which codes there are, what they mean, and which are above which.

It is the **April 2026 release of ICD-10-CM**, as simple-icd-10-cm 1.5.0 carries it.
That library takes seconds to import, so what is needed of it is packed in `resources/icd10cm.tsv.xz` and
`resources/icd10cm_blocks.csv`, which `pack_edition` makes from it; tests hold both against the library.
ICD-10-CM is in the public domain of the United States (National Center for Health Statistics).
"""

import csv
import lzma
import re
from bisect import bisect_left
from functools import cache
from importlib.resources import files
from pathlib import Path

from radbook.core.ontology import read_resource

__all__ = [
    "EDITION",
    "block",
    "category",
    "descriptor",
    "dotted",
    "edition_lines",
    "inclusion_terms",
    "is_leaf",
    "normalize_code",
    "pack_edition",
]

EDITION = "ICD-10-CM, April 2026 release"

_CODE = re.compile(r"(?:ICD[- ]?10(?:[- ]?CM)?[: ]+)?([A-Z](?:\d[0-9A-Z]|A\d))\.?([0-9A-Z]{0,4})\.?", re.IGNORECASE)


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


def block(code: str) -> str | None:
    """Return the block of categories that a code belongs to; None if the edition has no such category.

    >>> block("J98.11"), block("J90"), block("J95.811"), block("pneumonia")
    ('J96-J99', 'J90-J94', 'J95', None)
    """
    return _blocks().get(category(code))


def descriptor(code: str) -> str | None:
    """Return the official descriptor, or None for a code that the edition does not have.

    >>> descriptor("J98.11")
    'Atelectasis'
    """
    entry = _entry(code)
    return entry[2] if entry else None


def inclusion_terms(code: str) -> tuple[str, ...]:
    """Return the inclusion terms the edition lists under a code.

    >>> inclusion_terms("J93.9")
    ('Pneumothorax NOS',)
    """
    entry = _entry(code)
    return tuple(t for t in entry[3].split("|") if t) if entry else ()


def is_leaf(code: str) -> bool:
    """Say whether a code exists and has no more specific codes below it: only such a code may be assigned.

    >>> is_leaf("I31.39"), is_leaf("I31.3"), is_leaf("X00.00")
    (True, False, False)
    """
    entry = _entry(code)
    return bool(entry) and entry[1] == "1"


@cache
def edition_lines() -> list[str]:
    """The lines of `icd10cm.tsv.xz`, sorted by code behind the first, which says where they are from."""
    packed = (files("radbook") / "resources" / "icd10cm.tsv.xz").read_bytes()
    return lzma.decompress(packed).decode("utf-8").split("\n")


def dotted(code: str) -> str:
    """Write a code of the packed edition the usual way.

    >>> dotted("J9811"), dotted("J90")
    ('J98.11', 'J90')
    """
    return f"{code[:3]}.{code[3:]}".rstrip(".")


def pack_edition(folder: str | Path) -> Path:
    """Write `icd10cm.tsv.xz` (code, leaf, descriptor, inclusion terms) and `icd10cm_blocks.csv` into a folder.

    Both come from the installed simple-icd-10-cm.
    """
    import simple_icd_10_cm as library

    origin = f"# origin: {EDITION}, public domain, through simple-icd-10-cm; made by radbook.icd10.edition.pack_edition"
    lines, blocks = [], {}
    # A block of a single category has its category's name: both come under one key.
    for code in dict.fromkeys(library.get_all_codes(True)):
        if normalize_code(code) == code:
            # Some descriptors hold tabs and line breaks.
            meaning, *terms = (
                " ".join(t.split()) for t in (library.get_description(code), *library.get_inclusion_term(code))
            )
            leaf = "1" if library.is_leaf(code) else "0"
            lines.append("\t".join((code.replace(".", ""), leaf, meaning, "|".join(terms))))
        if len(code) == 3:
            # The ancestors of a category are its block and its chapter.
            name = library.get_ancestors(code)[0]
            blocks.setdefault(name, [" ".join(library.get_description(name).split())]).append(code)
    folder = Path(folder)
    # Sorted, so that a code is found without a dictionary of all of them.
    packed = lzma.compress("\n".join((origin, *sorted(lines))).encode("utf-8"), preset=9)
    (folder / "icd10cm.tsv.xz").write_bytes(packed)
    with (folder / "icd10cm_blocks.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(f"{origin}\n# categories: the three-character codes of the block, separated by spaces.\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("block", "name", "categories"))
        rows.writerows((name, meaning, " ".join(codes)) for name, (meaning, *codes) in blocks.items())
    return folder


@cache
def _blocks() -> dict[str, str]:
    rows = read_resource("icd10cm_blocks.csv")
    return {code: row["block"] for row in rows for code in row["categories"].split()}


def _entry(code: str) -> list[str] | None:
    normal = normalize_code(code)
    if normal is None:
        return None
    key = normal.replace(".", "") + "\t"
    lines = edition_lines()
    at = bisect_left(lines, key)
    return lines[at].split("\t") if at < len(lines) and lines[at].startswith(key) else None
