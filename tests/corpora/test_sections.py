import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radbook.corpora.sections import body_spans, compose_text, correction_spans, report_body, split_sections

NOTE = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old with cough  // pneumonia?

 COMPARISON:  None.

 There is no effusion.
 The heart is large.

 IMPRESSION:

 Large heart. No acute
 findings.
"""


def named(text):
    return [(s.name, text[s.start : s.end]) for s in split_sections(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("Clear lungs.", [("", "Clear lungs.")]),
        ("FINDINGS: a\nIMPRESSION: b", [("findings", "a"), ("impression", "b")]),
        ("findings : a\r\nConclusions: b\r\n", [("findings", "a"), ("impression", "b")]),
        ("Findings - big heart\nCONCLUSION\nNormal.", [("findings", "big heart"), ("impression", "Normal.")]),
        ("HISTORY: a. FINDINGS: b. IMPRESSION: c", [("history", "a."), ("findings", "b."), ("impression", "c")]),
        ("All clear. Impression: fine", [("", "All clear."), ("impression", "fine")]),
        ("REASON FOR THIS EXAM: x\nTECHNIQUE: y", [("indication", "x"), ("technique", "y")]),
        ("FINDINGS:\nIMPRESSION: b", [("impression", "b")]),
        ("FINDINGS:", []),
        ("FINDINGS\nclear lungs", [("findings", "clear lungs")]),
        # No headers: a wrapped sentence, a word inside a sentence, a word that only ends like a header.
        ("There are no acute\nfindings\nto report.", [("", "There are no acute\nfindings\nto report.")]),
        ("In comparison: none better.", [("", "In comparison: none better.")]),
        ("MYFINDINGS: x", [("", "MYFINDINGS: x")]),
    ],
)
def test_header_variants(text, expected):
    assert named(text) == expected


def test_indented_note_has_an_unnamed_body():
    assert [name for name, _ in named(NOTE)] == ["technique", "indication", "comparison", "", "impression"]
    assert report_body(NOTE) == "There is no effusion.\n The heart is large.\nLarge heart. No acute\n findings."


def test_a_title_is_not_body_but_a_headerless_report_is():
    assert report_body("CHEST\n\nHISTORY: cough\n\nClear lungs.") == "Clear lungs."
    assert report_body("Clear lungs.\nNormal heart.") == "Clear lungs.\nNormal heart."


@pytest.mark.parametrize(
    ("text", "body"),
    [
        # A comparison ended by a stop leaves the next line to the body.
        ("CHEST\n\nHISTORY: cough\n\nCOMPARISON: ___.\n Large heart.\n\nNOTIFICATION: Dr. ___.", "Large heart."),
        # What was recommended and who was told is no body, and makes no title of the body before it.
        ("Large heart.\n\nIMPRESSION: Big.\n\nRECOMMENDATION(S): CT for nodule.", "Large heart.\nBig."),
        ("ADDENDUM: No nodule.\n\nEXAM: Chest\n\nClear lungs.", "No nodule.\nClear lungs."),
        ("WET READ: opacity.\nFINAL REPORT\nHX: CHF.\n\nClear lungs.", "Clear lungs."),
        ("ADMITTING DIAGNOSIS: CHF\nREASON: effusion?\nREPORT: Clear lungs.", "Clear lungs."),
    ],
)
def test_layouts_of_hospital_notes(text, body):
    assert report_body(text) == body


def test_indication_alone_is_no_body():
    assert body_spans("INDICATION: rule out pneumonia\nCOMPARISON: none") == []
    assert report_body("") == ""


def test_compose_leaves_empty_sections_out_and_comes_back_apart():
    text = compose_text(findings="Big heart. ", impression="Cardiomegaly.", comparison=" ")
    assert text == "FINDINGS: Big heart.\nIMPRESSION: Cardiomegaly."
    assert named(text) == [("findings", "Big heart."), ("impression", "Cardiomegaly.")]
    assert compose_text() == ""


PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["FINDINGS:", "Impression:", "\n", "\r\n", "\n \n", "History -", "CONCLUSION\n", ". ", "İ:", "EXAM:"]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_string_has_ordered_exact_sections(text):
    position = 0
    for section in split_sections(text):
        assert position <= section.start < section.end <= len(text)
        content = text[section.start : section.end]
        assert content == content.strip()
        position = section.end
    spans = body_spans(text)
    assert report_body(text) == "\n".join(text[start:end] for start, end in spans)


@pytest.mark.parametrize("piece", [" ", "\n", "\n \n", ". ", ":", "FINDINGS ", "FINDINGS: ", "Findings\n", "History - \n", "a"])
def test_time_is_linear_in_the_text(piece):
    text = piece * (200_000 // len(piece))
    start = time.perf_counter()
    body_spans(text)
    assert time.perf_counter() - start < 2


def test_an_addendum_and_a_correction_correct_what_was_said():
    text = "FINDINGS: Small effusion.\nIMPRESSION: Effusion.\nADDENDUM #1: No effusion.\nCORRECTION: Right, not left."
    sections = split_sections(text)
    assert [s.corrects for s in sections] == [False, False, True, True]
    assert correction_spans(text) == [(s.start, s.end) for s in sections[2:]]
    assert correction_spans("Correct position of the tube.") == []
