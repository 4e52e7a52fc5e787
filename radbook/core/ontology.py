"""The labels both tasks speak of: the 13 choice categories and the finding concepts with their ICD-10-CM codes.

`FINDINGS` is the hub: the grammar, the lexicon and the MeSH table all point to its ids, so a concept has one category
and one code everywhere.
"""

import csv
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["CATEGORIES", "FINDINGS", "NORMAL", "Finding", "read_resource"]

CATEGORIES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
NORMAL = "Normal"


@dataclass(frozen=True)
class Finding:
    """One concept: stable id, shortest standard name, choice category and ICD-10-CM code (None where it has none)."""

    id: str
    name: str
    category: str | None
    icd10: str | None


def read_resource(name: str) -> list[dict[str, str]]:
    """Read a CSV of `radbook/resources/`, skipping its `#` comment lines (which state its origin).

    >>> read_resource("findings.csv")[0]["category"]
    'Atelectasis'
    """
    lines = (files("radbook") / "resources" / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if line and not line.startswith("#")))


FINDINGS = {
    row["finding"]: Finding(row["finding"], row["name"], row["category"] or None, row["icd10"] or None)
    for row in read_resource("findings.csv")
}
