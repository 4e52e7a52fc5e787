"""The edition of ICD-10-CM: which codes there are, what they mean, and which are above which.

It is the **April 2026 release of ICD-10-CM**, as simple-icd-10-cm 1.5.0 carries it.
That library takes seconds to import, so what is needed of it is packed in `resources/icd10cm.tsv.xz` and
`resources/icd10cm_blocks.csv`; tests hold both against the library.
ICD-10-CM is in the public domain of the United States (National Center for Health Statistics).
"""

import lzma
import re
from bisect import bisect_left
from functools import cache
from importlib.resources import files

from radbook.core.ontology import read_resource

__all__ = ["EDITION", "block", "descriptor", "edition_lines", "inclusion_terms", "is_leaf", "normalize_code"]

EDITION = "ICD-10-CM, April 2026 release"

_CODE = re.compile(r"(?:ICD[- ]?10(?:[- ]?CM)?[: ]+)?([A-Z](?:\d[0-9A-Z]|A\d))\.?([0-9A-Z]{0,4})\.?", re.IGNORECASE)


def normalize_code(code: str) -> str | None:
    """Write a code the usual way, or return None where the string has not the form of one.

    Whether the code exists is another question: see `check_code`.

    >>> normalize_code(" j9811 "), normalize_code("ICD-10: J90"), normalize_code("pneumonia")
    ('J98.11', 'J90', None)
    """
    match = _CODE.fullmatch(code.strip())
    return f"{match[1]}.{match[2]}".upper().rstrip(".") if match else None


def block(code: str) -> str | None:
    """Return the block of categories that a code belongs to; None if the edition has no such category.

    >>> block("J98.11"), block("J90"), block("J95.811"), block("pneumonia")
    ('J96-J99', 'J90-J94', 'J95', None)
    """
    return _blocks().get((normalize_code(code) or "")[:3])


def descriptor(code: str) -> str | None:
    """Return the official descriptor, or None for a code that the edition does not have.

    >>> descriptor("J98.11")
    'Atelectasis'
    """
    return _entry(code)[2] or None


def inclusion_terms(code: str) -> tuple[str, ...]:
    """Return the inclusion terms the edition lists under a code.

    >>> inclusion_terms("J93.9")
    ('Pneumothorax NOS',)
    """
    return tuple(filter(None, _entry(code)[3].split("|")))


def is_leaf(code: str) -> bool:
    """Say whether a code exists and has no more specific codes below it: only such a code may be assigned.

    >>> is_leaf("I31.39"), is_leaf("I31.3"), is_leaf("X00.00")
    (True, False, False)
    """
    return _entry(code)[1] == "1"


@cache
def edition_lines() -> list[str]:
    """Read `icd10cm.tsv.xz`: a line of code, leaf (1 or 0), descriptor and inclusion terms per code, sorted by code.

    The first line says where they are from.
    """
    packed = (files("radbook") / "resources" / "icd10cm.tsv.xz").read_bytes()
    return lzma.decompress(packed).decode("utf-8").split("\n")


@cache
def _blocks() -> dict[str, str]:
    rows = read_resource("icd10cm_blocks.csv")
    return {code: row["block"] for row in rows for code in row["categories"].split()}


def _entry(code: str) -> list[str]:
    """The fields of a code's line, all empty where the edition has no such code."""
    key, lines = f"{normalize_code(code)}\t", edition_lines()
    at = bisect_left(lines, key)
    return lines[at].split("\t") if at < len(lines) and lines[at].startswith(key) else [""] * 4
