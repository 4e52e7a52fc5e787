"""Cases behind a count: every link lands on its reports, text is escaped, closed corpora show none of it, nothing is lost."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.book.sanitize import unsafe_html
from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.evaluation.error_slices import decisions
from radbook.reporting.error_report.cases import case_list
from radbook.reporting.error_report.tables import confusion_table

TEXT = "Wet lungs. Fractured rib, no effusion."


class Reader(HTMLParser):
    """Collect the ids, the links inside the page, and the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids, self.links, self.words, self.tags = [], [], [], []
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))

    def handle_starttag(self, tag, attrs) -> None:
        told = dict(attrs)
        self.tags.append(tag)
        self.ids += [told["id"]] if "id" in told else []
        self.links += [told["href"].removeprefix("#")] if "href" in told else []

    def handle_data(self, data) -> None:
        self.words.append(data)


def corpus(n: int, text: str = TEXT, task: str = "choice", code: str = "Edema"):
    """Return decisions of a student that misses `code` in every report, the reports, and the labels by source."""
    ids = [f"r{i}" for i in range(n)]
    reports = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": text})
    there = finding(code, phrase="Wet lungs", start=0, end=min(9, len(text)), rule="edema/wet|hedge:wet")
    tables = {
        name: pd.DataFrame([label_row(i, name, task, found) for i in ids])
        for name, found in (
            ("curated", [there]),
            ("rules", [{**there, "presence": "uncertain"}]),
            ("student", []),
        )
    }
    decided = decisions(tables["curated"], [tables["student"]], task=task, reports=reports)
    return decided, reports, tables


def shown_cases(
    n: int = 3, *, limit: int = 2, shown: str = "always", task: str = "choice", **options
) -> tuple[str, str]:
    decided, reports, tables = corpus(n, task=task, **options)
    told = {"task": task, "source": "student"}
    listed = case_list(
        decided, reports, tables, notes={("r0", "Edema"): "a <note>"}, shown=shown, limit=limit, **told
    )
    return confusion_table(decided, **told).html, listed.html


@pytest.mark.parametrize(("task", "code"), [("choice", "Edema"), ("open", "J81.0")])
def test_every_link_lands_and_no_name_is_given_twice(task, code):
    table, cases = (Reader(html) for html in shown_cases(task=task, code=code))
    assert table.links and set(table.links) <= set(cases.ids)
    assert set(cases.links) == {f"table-{task}"} <= set(table.ids)
    ids = table.ids + cases.ids
    assert len(ids) == len(set(ids))


def test_a_case_has_the_evidence_of_each_source_and_its_sentence():
    _, cases = shown_cases(1)
    words = "".join(Reader(cases).words)
    assert cases.count("<section>") == 3 and cases.count("<h4>") == 3
    assert "+ Edema, present" in words and "? Edema, uncertain" in words and "not mentioned" in words
    # The sentence in two columns, and the report once with the marks of both.
    assert words.count("Wet lungs") == 3 and words.count("Fractured rib") == 1
    assert "hedge: wet" in words and "a <note>" in words


def test_what_is_not_shown_in_full_is_counted_and_named():
    _, cases = shown_cases(5, limit=2)
    words = "".join(Reader(cases).words)
    assert cases.count('class="radbook-case"') == 2 and "5 reports" in words
    assert "3 more, not shown in full: Report r2, Report r3, Report r4" in words and "cases_per_cell" in words


@pytest.mark.parametrize(("outcome", "curated", "shown"), [("right", "present", 4), ("invention", "absent", 6)])
def test_all_errors_are_shown_and_a_few_of_what_is_right(outcome, curated, shown):
    decided, reports, tables = corpus(6)
    decided = decided.assign(outcome=outcome, curated=curated, predicted="present")
    told = {"task": "choice", "source": "student", "notes": {}, "shown": "always", "limit": 9}
    listed = case_list(decided[decided["code"] == "Edema"], reports, tables, **told).html
    assert listed.count('class="radbook-case"') == shown
    assert ("2 more, not shown in full" in listed) == (shown == 4) and "cases_per_cell" not in listed


def test_a_closed_corpus_shows_numbers_and_codes_only():
    _, cases = shown_cases(3, limit=2, shown="never")
    words = "".join(Reader(cases).words)
    assert not re.search(r"wet|lungs|rib|r0|r2|<mark", cases.lower().replace("border", ""))
    assert "Report 1 of 3" in words and "Report 3 of 3" in words and "Edema, uncertain" in words


def test_another_word_for_shown_is_refused():
    with pytest.raises(RadbookError, match="shown='open' is none of always, never"):
        shown_cases(shown="open")


@given(st.text(min_size=1, max_size=60))
def test_any_text_stays_text(text):
    _, cases = shown_cases(1, text=text)
    assert unsafe_html(cases) == ""
    reader = Reader(cases)
    assert set(reader.tags) <= {
        "div",
        "details",
        "summary",
        "strong",
        "p",
        "small",
        "section",
        "h4",
        "mark",
        "br",
        "a",
        "code",
    }


def test_a_failed_answer_and_a_missing_one_are_called_so():
    decided, reports, tables = corpus(1)
    tables["rules"] = tables["rules"].assign(status="failed")
    tables["chat"] = tables["rules"].iloc[:0]
    told = {"task": "choice", "source": "student", "notes": {}, "shown": "always", "limit": 1}
    words = "".join(Reader(case_list(decided, reports, tables, **told).html).words)
    assert "the answer failed" in words and "has no answer" in words


def test_without_a_place_the_words_are_quoted():
    decided, reports, tables = corpus(1)
    tables["student"] = pd.DataFrame(
        [label_row("r0", "student", "choice", [finding("Edema", phrase="wet <b>")])]
    )
    told = {"task": "choice", "source": "student", "notes": {}, "shown": "always", "limit": 1}
    assert (
        "\u201cwet &lt;b&gt;\u201d; no place in the text given"
        in case_list(decided, reports, tables, **told).html
    )
