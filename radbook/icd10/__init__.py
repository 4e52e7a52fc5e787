"""ICD-10-CM: which code a phrase names, and the gate that every code passes."""

from radbook.icd10.edition import block, descriptor, is_leaf, normalize_code
from radbook.icd10.lookup import candidates, check_code, map_phrase

__all__ = ["block", "candidates", "check_code", "descriptor", "is_leaf", "map_phrase", "normalize_code"]
