"""Evidence in HTML: escaped, marked by more than color, and hidden when it must be."""

import re
from html import unescape

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding
from radbook.reporting.highlight import foldable, highlight, marked
from radbook.reporting.templates import Highlight


def body(shown: Highlight) -> str:
    return re.sub(
        r"<style>.*?</style>|<div class=\"radbook-legend\">.*", "", shown._repr_html_(), flags=re.DOTALL
    )


def words(shown: Highlight) -> str:
    return unescape(re.sub(r"<[^>]*>", "", body(shown)))


def test_the_text_is_kept_word_for_word():
    text = 'Small effusion.\nNo edema & <b>no</b> "fracture".'
    shown = highlight(text, [finding("Pleural Effusion", phrase="effusion", start=6, end=14)], shown="always")
    assert words(shown) == text
    assert '<mark class="present"' in body(shown)


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style><script>x</script>"]
)
def test_markup_in_a_report_is_escaped(evil):
    text = f"Edema {evil}"
    shown = highlight(text, [finding(evil, phrase=text, start=0, end=len(text), rule=evil)], shown="always")
    html = shown.html.replace("<style>", "").replace("</style>", "", 1)
    assert "<script" not in html and "<img" not in html and "</style" not in html
    assert words(shown) == text


def test_presence_is_told_without_color():
    text = "edema effusion nodule"
    marks = [
        ("Edema", "present", 0, 5),
        ("Pleural Effusion", "absent", 6, 14),
        ("Lung Lesion", "uncertain", 15, 21),
    ]
    shown = highlight(text, [finding(c, p, start=a, end=b) for c, p, a, b in marks], shown="always")
    for _, presence, _, _ in marks:
        assert f'<mark class="{presence}" title=' in shown.html
        assert re.search(rf"(?s)Legend:.*{presence} \((solid|dashed|dotted) line\)", shown.html)
    assert 'title="Pleural Effusion, absent">effusion<' in shown.html
    assert len(re.findall(r"::after\{content", shown.html)) == 3
    assert {"solid", "dashed", "dotted"} == set(re.findall(r"border-bottom:\S+ (\w+)", shown.html))


def test_overlapping_evidence_never_crosses():
    text = "heart and mediastinum are enlarged"
    shown = highlight(
        text,
        [
            finding("B", "absent", start=10, end=34),
            finding("A", start=0, end=25),
            finding("C", start=0, end=9),
        ],
        shown="always",
    )
    assert words(shown) == text
    assert not re.search(r"<mark[^>]*>[^<]*<mark", body(shown))
    assert '<mark class="present" title="B, absent; A, present">' in shown.html, "the strongest claim gives the color"


def test_never_shows_nothing_of_the_report():
    text = "Gigantic xylophone effusion"
    shown = highlight(
        text,
        [finding("J90", phrase=text, start=0, end=27, rule="pleural_effusion/name|hedge:xylophone")],
        shown="never",
    )
    assert "xylophone" not in shown.html.lower() and "gigantic" not in shown.html.lower()
    assert "J90, present" in shown.html
    assert "No finding" in highlight(text, [], shown="never").html


def test_findings_without_a_place_are_listed():
    assert "Without a place" in highlight("Clear.", [finding("Edema")], shown="always").html
    assert highlight("", [], shown="always").html


def test_errors():
    with pytest.raises(RadbookError, match="shown='no' is none of"):
        highlight("x", [], shown="no")
    with pytest.raises(RadbookError, match="outside a text of 5"):
        highlight("edema", [finding("Edema", start=2, end=9)], shown="always")


def test_nothing_is_shown_unless_the_caller_decided_it():
    with pytest.raises(TypeError, match="shown"):
        highlight("x", [])
    with pytest.raises(RadbookError, match="shown='open' is none of always, never"):
        highlight("x", [], shown="open")


def test_a_foldable_is_closed_and_its_title_is_data():
    shown = foldable("<b>Edema</b>", highlight("Edema.", [finding("Edema", start=0, end=5)], shown="always"))
    assert shown.html.startswith("<details class=") and " open" not in shown.html[: shown.html.index(">")]
    assert "&lt;b&gt;Edema" in shown.html and "<b>" not in shown.html
    assert shown.html.endswith("</details>") and '<mark class="present"' in shown.html


def test_a_table_in_a_foldable_is_escaped():
    table = pd.DataFrame([finding("Edema", phrase="<i>wet</i>", rule="edema/name|neg:<script>")])
    html = foldable("Edema", table).html
    assert "&lt;i&gt;wet" in html and "<script" not in html and "<i>" not in html and html.count("<table") == 1


def test_a_text_is_cut_into_pieces_that_make_it_up():
    found = [finding("Edema", start=3, end=8), finding("Fracture")]
    pieces = marked("No edema & more.", found)
    assert [text for text, _, _ in pieces] == ["No ", "edema", " & more."]
    assert [presence for _, presence, _ in pieces] == ["", "present", ""]
    with pytest.raises(RadbookError, match="outside a text of 2 characters"):
        marked("No", found)


def test_nothing_is_added_to_the_white_space_of_a_report():
    text = "  No edema.\n\n Wet. \n"
    html = highlight(text, [finding("Edema", "absent", start=5, end=10)], shown="always").html
    assert html.startswith('<div class="radbook-highlight" role="figure" aria-label="Findings of one report"><div>  No ')
    assert "</mark>.\n\n Wet. \n</div><style>" in html
