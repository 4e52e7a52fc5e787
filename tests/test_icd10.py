import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.icd10 import (
    category,
    check_code,
    descriptor,
    inclusion_terms,
    is_leaf,
    map_phrase,
    normalize_code,
)
from radbook.ontology import FINDINGS, read_resource


@pytest.mark.parametrize("found", [f for f in FINDINGS.values() if f.icd10], ids=lambda f: f.id)
def test_codes_of_the_hub_pass_the_gate(found):
    assert is_leaf(found.icd10)
    assert check_code(found.icd10, found.name)[0]
    assert map_phrase(found.name) == found.icd10


def test_concepts_without_a_code_map_to_none():
    assert all(map_phrase(f.name) is None for f in FINDINGS.values() if not f.icd10)


def test_synonyms_have_leaf_codes_and_stand_once():
    rows = read_resource("icd10_synonyms.csv")
    phrases = [" ".join(re.findall("[a-z0-9]+", r["phrase"].lower())) for r in rows]
    names = [" ".join(re.findall("[a-z0-9]+", f.name.lower())) for f in FINDINGS.values()]
    assert len(set(phrases + names)) == len(phrases + names)
    assert all(is_leaf(r["code"]) for r in rows if r["code"])


@pytest.mark.parametrize(
    ("code", "phrase", "why"),
    [
        ("Z48.02", "chest tube", "removal of sutures"),
        ("Z96.1", "endotracheal tube", "intraocular lens"),
        ("Z46.6", "pigtail catheter", "urinary device"),
        ("Z95.2", "Swan-Ganz catheter", "prosthetic heart valve"),
        ("I31.3", "pericardial effusion", "no leaf"),
        ("J99.99", "pneumonia", "does not exist"),
        ("pneumonia", "pneumonia", "has not the form"),
        ("Z87.01", "pneumonia", "history"),
        ("P23.9", "pneumonia", "Congenital"),
        ("S72.001A", "rib fracture", "femur"),
        ("J90", "", "does not name"),
        ("J90", "no pleural effusion", "does not name"),
    ],
)
def test_codes_that_name_something_else_are_refused(code, phrase, why):
    ok, reason = check_code(code, phrase)
    assert not ok
    assert why in reason


@pytest.mark.parametrize(
    ("code", "phrase"),
    [
        ("J81.0", "pulmonary edema"),
        ("J81.1", "pulmonary edema"),
        ("j9811", "bibasilar ateletasis"),
        ("S22.31XA", "right rib fracture"),
        ("I31.39", "small pericardial effusion"),
        ("J45.909", "asthma"),
        ("R91.8", "lung mass"),
    ],
)
def test_codes_that_name_the_finding_pass(code, phrase):
    assert check_code(code, phrase)[0], check_code(code, phrase)


@pytest.mark.parametrize(
    ("phrase", "code"),
    [
        ("Small left pleural effusion.", "J90"),
        ("small left efusion", "J90"),
        ("lung opacy", "R91.8"),
        ("multiple old left rib fractures", "S22.49XA"),
        ("moderate pericardial effusion", "I31.39"),
        ("right PICC", "Z95.828"),
        ("calcified granuloma in the right lower lobe", "J98.4"),
        ("right chest tube", None),
        ("breast nodule", None),
        ("effusion of the knee", None),
        ("left hemithorax", None),
        ("no pneumothorax", None),
        ("the patient", None),
        ("", None),
    ],
)
def test_phrases_find_the_longest_fitting_wording(phrase, code):
    assert map_phrase(phrase) == code


@given(st.text(max_size=40), st.text(max_size=12))
def test_any_string_has_an_answer(phrase, code):
    assert map_phrase(phrase) is None or is_leaf(map_phrase(phrase))
    ok, reason = check_code(code, phrase)
    assert isinstance(ok, bool)
    assert reason
    assert descriptor(code) is None or normalize_code(code)
    assert isinstance(category(code), str)


def test_written_forms_of_a_code():
    assert [normalize_code(c) for c in ("J98.11", "j9811", "ICD-10-CM: J90.", "s22.39xa", "QA0.8")] == [
        "J98.11",
        "J98.11",
        "J90",
        "S22.39XA",
        "QA0.8",
    ]
    assert [normalize_code(c) for c in ("", "J9", "98.11", "rash", "J98.11 atelectasis")] == [None] * 5
    assert [category(c) for c in ("J98.11", "j90", "Normal")] == ["J98", "J90", "Normal"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_packed_edition_is_that_of_the_library():
    import simple_icd_10_cm as library

    codes = [c for c in library.get_all_codes(True) if normalize_code(c) == c]
    leaves = {c for c in library.get_all_codes(True) if library.is_leaf(c) and "-" not in c}
    assert leaves <= set(codes)
    assert all(is_leaf(c) for c in leaves)
    for code in codes:
        # Some descriptors of the library hold tabs and line breaks.
        assert descriptor(code) == " ".join(library.get_description(code).split())
        assert is_leaf(code) == library.is_leaf(code)
        assert [*inclusion_terms(code)] == [" ".join(t.split()) for t in library.get_inclusion_term(code)]


def test_the_edition_loads_at_once():
    from radbook.icd10 import _edition

    _edition.cache_clear()
    start = time.perf_counter()
    assert is_leaf("J90")
    assert time.perf_counter() - start < 2
