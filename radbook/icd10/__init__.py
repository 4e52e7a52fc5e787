"""ICD-10-CM: which code a phrase names, and the gate that every code passes."""

from radbook.icd10.lookup import (
    block,
    candidates,
    check_code,
    descriptor,
    is_leaf,
    map_phrase,
    normalize_code,
)

__all__ = ["block", "candidates", "check_code", "descriptor", "is_leaf", "map_phrase", "normalize_code"]
