"""Prompts, replies and the parser that must survive any reply."""

import re
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radbook.core.errors import RadbookError
from radbook.core.findings import finding
from radbook.core.ontology import CATEGORIES, FINDINGS
from radbook.tasks import CHOICE, OPEN, STYLES, TASKS

REPORT = (
    "INDICATION: Possible pneumonia.\nFINDINGS: The heart is\nenlarged. Calcified  granuloma on the left.\n"
    "IMPRESSION: Scoliosis. No pneumothorax."
)


def codes(findings):
    return [f["code"] for f in findings]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("style", STYLES)
def test_prompt_is_prefix_then_report_then_a_cue_without_trailing_space(task, style):
    prompt = task.prompt("  Clear lungs.\n", style)
    assert prompt.startswith(task.prefix(style) + "Clear lungs.")
    assert prompt == prompt.rstrip()


@pytest.mark.parametrize("style", STYLES)
def test_prompts_of_the_two_tasks_differ_before_the_report(style):
    assert CHOICE.prefix(style) != OPEN.prefix(style)


def test_full_choice_prompt_names_every_category_and_the_empty_word():
    prefix = CHOICE.prefix("full")
    assert all(c in prefix for c in (*CATEGORIES, "[Normal]"))


def test_full_open_prompt_has_three_worked_examples_that_its_own_parser_reads():
    examples = re.findall(r"^Report: (.*)\nAnswer: (.*)$", OPEN.prefix("full"), re.M)
    read = [OPEN.parse(reply, report) for report, reply in examples]
    assert [(codes(findings), status) for findings, status, _ in read] == [
        (["I51.7", "J90"], "ok"),
        (["J98.4", "M41.9"], "ok"),
        ([], "ok"),
    ]
    for (report, _), (findings, _, _) in zip(examples, read, strict=True):
        assert all(report[f["start"] : f["end"]] == f["phrase"] for f in findings)


def test_unknown_prompt_style_is_refused_by_name():
    with pytest.raises(RadbookError, match="'long' is none of short, full"):
        CHOICE.prompt("Clear.", "long")


def test_render_choice_keeps_present_findings_once_in_canonical_order():
    given_findings = [
        finding("Pneumothorax"),
        finding("Edema", "uncertain"),
        finding("Fracture", "absent"),
        finding("Cardiomegaly"),
        finding("Pneumothorax"),
    ]
    assert CHOICE.render(given_findings) == "[Cardiomegaly, Pneumothorax]"


def test_render_nothing():
    assert (CHOICE.render([]), OPEN.render([])) == ("[Normal]", "[none]")


def test_render_full_choice_quotes_the_evidence_and_parse_reads_it_back():
    start = REPORT.index("heart")
    truth = [finding("Cardiomegaly", start=start, end=start + len("heart is\nenlarged"))]
    reply = CHOICE.render(truth, REPORT, style="full")
    assert reply == "[Cardiomegaly]\nCardiomegaly: heart is enlarged"
    findings, status, _ = CHOICE.parse(reply, REPORT)
    assert status == "ok"
    assert (findings[0]["start"], findings[0]["phrase"]) == (start, "heart is\nenlarged")


def test_render_choice_refuses_a_label_that_is_no_category():
    with pytest.raises(RadbookError, match="'Cyst' is none of the 13 categories"):
        CHOICE.render([finding("Cyst")])


def test_render_open_follows_the_order_of_mention():
    spine = finding("M41.9", phrase="Scoliosis", start=90, end=99)
    lung = finding("J98.4", phrase="Calcified  granuloma", start=50, end=70)
    invented = finding("K44.9")
    assert OPEN.render([invented, spine, lung]) == (
        "[Calcified granuloma (J98.4), Scoliosis (M41.9), hiatal hernia (K44.9)]"
    )


@pytest.mark.parametrize(
    "phrase",
    [
        None,
        "",
        "a [b] c",
        "heart, enlarged",
        "XXXX of the spine",
        "(see above)",
        "?",
        "one two three four five six 7 8 9",
    ],
)
def test_render_open_replaces_an_unsafe_phrase_by_the_standard_name(phrase):
    assert OPEN.render([finding("M41.9", phrase=phrase)]) == "[scoliosis (M41.9)]"


def test_render_open_without_a_concept_falls_back_to_the_descriptor():
    assert re.fullmatch(r"\[[^\[\](),]+ \(J45\.909\)\]", OPEN.render([finding("J45.909")]))


@pytest.mark.parametrize(
    ("reply", "expected", "status", "note"),
    [
        ("[Cardiomegaly, Pleural Effusion]", ["Cardiomegaly", "Pleural Effusion"], "ok", ""),
        (" [cardiomegaly , pleural effusion]", ["Cardiomegaly", "Pleural Effusion"], "ok", ""),
        ("[edema, atelectasis]", ["Atelectasis", "Edema"], "ok", ""),
        ("[Normal]", [], "ok", ""),
        ("[NORMAL]\n", [], "ok", ""),
        ("[]", [], "repaired", "empty list"),
        ("[ateletasis]", ["Atelectasis"], "repaired", "'ateletasis' read as Atelectasis"),
        ("[lung opacy]", ["Lung Opacity"], "repaired", "read as Lung Opacity"),
        ("[support_devices]", ["Support Devices"], "ok", ""),
        ("['Edema', \"Fracture\"]", ["Edema", "Fracture"], "ok", ""),
        ("[Edema, Edema]", ["Edema"], "repaired", "Edema named twice"),
        ("[Edema, cyst]", ["Edema"], "repaired", "unknown item 'cyst' left out"),
        ("[Edema, Normal]", ["Edema"], "repaired", "Normal left out"),
        ("[Edema, no pneumothorax]", ["Edema"], "repaired", "negated item 'no pneumothorax' left out"),
        ("[Edema (mild)]", ["Edema"], "repaired", "read as Edema"),
        ("[Edema", ["Edema"], "repaired", "missing bracket"),
        ("Edema]", ["Edema"], "repaired", "missing bracket"),
        ("[Edema,\nFracture", ["Edema", "Fracture"], "repaired", "missing bracket"),
        ("Edema, Fracture", ["Edema", "Fracture"], "repaired", "missing bracket"),
        ("Answer: Edema", ["Edema"], "repaired", "missing bracket"),
        ("Sure! [Edema] Anything else?", ["Edema"], "repaired", "extra prose"),
        ("[1] The answer is [Edema]", ["Edema"], "repaired", "extra prose"),
        ("[[Edema]]", ["Edema"], "ok", ""),
        ("- [Edema; Fracture].", ["Edema", "Fracture"], "ok", ""),
        ("[cyst]", [], "failed", "nothing in the list is known: 'cyst'"),
        ("[no pneumothorax]", [], "failed", "nothing in the list is known"),
        ("no pneumothorax", [], "failed", "no bracketed list"),
        ("The patient is well.", [], "failed", "no bracketed list and no known name"),
        ("", [], "failed", "no bracketed list"),
        ("[[[", [], "failed", "no bracketed list"),
    ],
)
def test_parse_choice(reply, expected, status, note):
    findings, got, why = CHOICE.parse(reply)
    assert (codes(findings), got) == (expected, status)
    assert note in why
    assert bool(why) == (status != "ok")


@pytest.mark.parametrize("item", ["possible edema", "Edema?", "likely Edema"])
def test_parse_reads_a_hedged_item_as_uncertain(item):
    findings, status, note = CHOICE.parse(f"[{item}]")
    assert [(f["code"], f["presence"]) for f in findings] == [("Edema", "uncertain")]
    assert status == "repaired"
    assert "hedged" in note


@pytest.mark.parametrize(
    ("reply", "expected", "status", "note"),
    [
        ("[Scoliosis (M41.9)]", ["M41.9"], "ok", ""),
        ("[scoliosis ( m41.9 ), effusion (j90)]", ["M41.9", "J90"], "ok", ""),
        ("[scoliosis (M419)]", ["M41.9"], "ok", ""),
        ("[scoliosis: M41.9]", ["M41.9"], "ok", ""),
        ("[none]", [], "ok", ""),
        ("[None]", [], "ok", ""),
        ("[scoliosis]", ["M41.9"], "repaired", "'scoliosis' coded M41.9"),
        ("[scoliosis (M41)]", ["M41.9"], "repaired", "M41 is no valid leaf code"),
        ("[scoliosis (Q00.99)]", ["M41.9"], "repaired", "Q00.99 is no valid leaf code"),
        ("[M41.9]", ["M41.9"], "repaired", "M41.9 without a phrase"),
        ("[scoliosis (M41.9), curved spine (M41.9)]", ["M41.9"], "repaired", "M41.9 named twice"),
        ("[scoliosis (M41.9), zzzz qqqq (X99)]", ["M41.9"], "repaired", "unknown item"),
        ("[scoliosis (M41.9), hiatal hernia (K4", ["M41.9", "K44.9"], "repaired", "missing bracket"),
        ("scoliosis (M41.9)", ["M41.9"], "repaired", "missing bracket"),
        ("The spine shows scoliosis.", [], "failed", "no bracketed list"),
        ("[zzzz qqqq]", [], "failed", "nothing in the list is known"),
    ],
)
def test_parse_open(reply, expected, status, note):
    findings, got, why = OPEN.parse(reply)
    assert (sorted(codes(findings)), got) == (sorted(expected), status)
    assert note in why


def test_parse_locates_a_phrase_whatever_its_case_and_line_breaks():
    findings, status, _ = OPEN.parse("[HEART IS ENLARGED (I51.7), calcified granuloma (J98.4)]", REPORT)
    assert status == "ok"
    assert [REPORT[f["start"] : f["end"]] for f in findings] == ["heart is\nenlarged", "Calcified  granuloma"]
    assert all(f["phrase"] == REPORT[f["start"] : f["end"]] for f in findings)


def test_parse_prefers_the_findings_over_the_indication():
    text = "INDICATION: Pneumonia?\nFINDINGS: Right lower lobe pneumonia."
    findings, _, _ = OPEN.parse("[pneumonia (J18.9)]", text)
    assert findings[0]["start"] == text.index("pneumonia")


def test_parse_keeps_a_phrase_that_is_not_in_the_text_without_offsets():
    findings, _, _ = OPEN.parse("[curved spine (M41.9)]", REPORT)
    assert (findings[0]["phrase"], findings[0]["start"], findings[0]["end"]) == ("curved spine", None, None)


def test_no_finding_outside_the_thirteen_is_taken_for_a_near_miss():
    names = {f.name for f in FINDINGS.values() if f.category is None}
    assert {n: codes(CHOICE.parse(f"[{n}]")[0]) for n in names} == {n: [] for n in names}


def test_category_names_are_too_far_apart_to_be_confused():
    from rapidfuzz import fuzz

    from radbook.corpora.label_names import NEAR_MISS

    assert max(fuzz.ratio(a.lower(), b.lower()) for a, b in combinations(CATEGORIES, 2)) < NEAR_MISS


@given(st.sets(st.sampled_from(CATEGORIES)), st.sampled_from(STYLES))
def test_choice_replies_survive_rendering_and_lower_casing(names, style):
    reply = CHOICE.render([finding(n, phrase="some words") for n in names], style=style)
    findings, status, _ = CHOICE.parse(reply.lower())
    assert (set(codes(findings)), status) == (names, "ok")


CODES = sorted({f.icd10 for f in FINDINGS.values() if f.icd10})


@given(st.dictionaries(st.sampled_from(CODES), st.text(max_size=40)))
def test_open_replies_survive_rendering_whatever_the_evidence(phrases):
    reply = OPEN.render([finding(code, phrase=phrase, start=0, end=1) for code, phrase in phrases.items()])
    findings, status, note = OPEN.parse(reply)
    assert (set(codes(findings)), status, note) == (set(phrases), "ok", "")


SHARDS = st.sampled_from(
    ["[", "]", "(", ")", ",", "\n", ":", "?", "Edema", "no ", "normal", "scoliosis", "J90", "M41.9"]
)


@settings(max_examples=200)
@given(st.text() | st.lists(SHARDS | st.text(max_size=3), max_size=30).map("".join), st.text(max_size=60))
def test_parse_is_total(reply, text):
    for task in TASKS.values():
        findings, status, note = task.parse(reply, text)
        assert status in ("ok", "repaired", "failed")
        assert bool(note) == (status != "ok")
        assert not (findings and status == "failed")
        assert len(set(codes(findings))) == len(findings)
        for f in findings:
            assert f["start"] is None or text[f["start"] : f["end"]] == f["phrase"]
