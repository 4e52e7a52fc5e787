"""The hub of finding concepts is complete and consistent."""

from collections import Counter

import pytest

from radbook.core.ontology import CATEGORIES, FINDINGS, NORMAL
from radbook.icd10 import is_leaf, normalize_code


def test_the_thirteen_categories_stand_in_canonical_order():
    assert len(CATEGORIES) == 13
    assert list(CATEGORIES) == sorted(CATEGORIES)
    assert NORMAL not in CATEGORIES


def test_every_category_has_a_concept_and_every_concept_a_known_category():
    assert {f.category for f in FINDINGS.values()} == {*CATEGORIES, None}


def test_names_are_lower_case_unique_and_free_of_list_marks():
    names = Counter(f.name for f in FINDINGS.values())
    assert max(names.values()) == 1
    assert all(n == n.lower().strip() and not set(n) & set("[](),;\n") for n in names)


@pytest.mark.parametrize("concept", [f for f in FINDINGS.values() if f.icd10], ids=lambda f: f.id)
def test_every_code_is_a_leaf_in_standard_form(concept):
    assert normalize_code(concept.icd10) == concept.icd10
    assert is_leaf(concept.icd10)
