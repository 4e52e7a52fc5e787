"""Counts of errors and the cases behind them: every link lands on its reports, all is escaped, closed corpora show no text."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.book.sanitize import unsafe_html
from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.reporting.error_report import TOP, case_list, confusion_table, examine
from radbook.reporting.error_report.report import Mistakes

TEXT = "Wet lungs. Fractured rib, no effusion."


class Reader(HTMLParser):
    """Collect the ids, the links inside the page, the tags and the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids, self.links, self.tags, self.words = [], [], [], ""
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value.removeprefix("#") for name, value in attrs if name == "href"]

    def handle_data(self, data) -> None:
        self.words += data


def missed(n: int, text: str = TEXT, task: str = "choice", code: str = "Edema", **readers: pd.DataFrame) -> Mistakes:
    """Return the errors of a student that misses `code` in every one of n reports, which the rules doubt."""
    ids = [f"r{i}" for i in range(n)]
    reports = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": text})
    there = finding(code, phrase="Wet lungs", start=0, end=min(9, len(text)), rule="edema/wet|hedge:wet")
    found = {"curated": [there], "rules": [{**there, "presence": "uncertain"}], "student:x": []}
    tables = {name: pd.DataFrame([label_row(i, name, task, entry) for i in ids]) for name, entry in found.items()}
    both = {"curated": tables["curated"], "student": tables["student:x"], "teacher": tables["rules"]}
    readers = {"rules": tables["rules"], "student": tables["student:x"]} | readers
    return examine(task, **both, readers=readers, reports=reports, train=reports, policy="certain")


def decided(*cells: tuple[str, str, str, str, str]) -> Mistakes:
    """Return errors with these decisions of the student: report, label, curated, predicted and outcome."""
    frame = pd.DataFrame(cells, columns=["report_id", "code", "curated", "predicted", "outcome"])
    ids = [f"r{i}" for i in range(6)]
    reports = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": TEXT})
    held = missed(1).held.iloc[[0] * len(frame)].set_index(pd.MultiIndex.from_frame(frame[["report_id", "code"]]))
    rules = frame.assign(source="rules", outcome="right")
    every = pd.concat([frame.assign(source="student:x"), rules], ignore_index=True)
    return Mistakes("choice", "student:x", "rules", reports, {}, every, held, pd.Series(dtype=object))


MIXED = [
    ("r0", "Edema", "present", "present", "right"),
    ("r1", "Edema", "present", "not mentioned", "miss"),
    ("r2", "Edema", "absent", "present", "invention"),
    ("r3", "Edema", "absent", "not mentioned", "right"),
    ("r0", "Fracture", "present", "uncertain", "miss"),
    ("r1", "Fracture", "present", "not mentioned", "miss"),
    ("r2", "Fracture", "present", "not mentioned", "miss"),
    ("r3", "Pneumonia", "present", "present", "right"),
]


def test_counts_add_up_and_the_rest_is_said():
    html = confusion_table(decided(*MIXED)).html
    counts = [int(n) for n in re.findall(r'aria-label="[^"]*">(\d+)</a>', html)]
    assert sorted(counts) == [1, 1, 1, 1, 1, 2]
    assert "Not shown: 1 decisions on these labels that are right by not calling the label present." in html
    # The label with the most errors comes first; right ones before misses before inventions.
    assert html.index("<th>Fracture") < html.index("<th>Edema") < html.index("<th>Pneumonia")
    assert html.index("<th>right<br>") < html.index("<th>miss<br>") < html.index("<th>invention<br>")


def test_a_count_and_its_cases_agree():
    found = decided(*MIXED)
    linked = re.findall(r'<a href="#([\w-]+)" aria-label="[^"]*">(\d+)</a>', confusion_table(found).html)
    cases = case_list(found, shown="never", limit=1).html
    listed = re.findall(r'<details id="([\w-]+)"><summary>.*?, (\d+) reports?</summary>', cases)
    assert dict(linked) == dict(listed) and len(linked) == len(listed) == 6


def test_labels_beyond_the_top_are_counted(monkeypatch):
    monkeypatch.setitem(TOP, "choice", 1)
    found = decided(*MIXED)
    html = confusion_table(found).html
    assert "Fracture" in html and "Edema" not in html
    assert "2 further labels, with 2 errors, are not in this table." in html
    assert set(found.linked()["code"]) == {"Fracture"}


def test_no_decisions_make_an_empty_table():
    assert "<a " not in confusion_table(decided()).html and "<details" not in case_list(decided(), shown="never", limit=1).html


@pytest.mark.parametrize(("task", "code"), [("choice", "Edema"), ("open", "J81.0")])
def test_every_link_lands_and_no_name_is_given_twice(task, code):
    found = missed(3, task=task, code=code)
    table, cases = Reader(confusion_table(found).html), Reader(case_list(found, shown="always", limit=2).html)
    assert table.links and set(table.links) <= set(cases.ids)
    assert set(cases.links) == {f"table-{task}"} <= set(table.ids)
    ids = table.ids + cases.ids
    assert len(ids) == len(set(ids))


def test_a_long_label_keeps_its_link_and_is_escaped():
    long = "<b>" + "x" * 80
    table = Reader(confusion_table(decided(("r0", long, "absent", "present", "invention"))).html)
    assert table.links == [f"cases-choice--b-{'x' * 80}-absent-present"] and long in table.words and "b" not in table.tags


def test_a_case_has_the_evidence_of_each_reader_and_its_sentence():
    cases = case_list(missed(1), shown="always", limit=2).html
    words = Reader(cases).words
    assert cases.count("Legend") == 1 and cases.count("<section>") == 3 and cases.count("<h4>") == 3
    assert "+ Edema, present" in words and "? Edema, uncertain" in words and "not mentioned" in words
    # The sentence in two columns, and the report once with the marks of both.
    assert words.count("Wet lungs") == 3 and words.count("Fractured rib") == 1
    assert "hedge: wet" in words and "shared with rules; hedge" not in words and "rare word" in words


def test_other_labels_of_a_reader_are_named_but_not_those_it_denies():
    chat = [finding("Edema"), finding("Fracture"), finding("Pneumonia", "absent")]
    found = missed(1, chat=pd.DataFrame([label_row("r0", "chat:x", "choice", chat)]))
    assert "also + Fracture</small>" in case_list(found, shown="always", limit=1).html


def test_what_is_not_shown_in_full_is_counted_and_named():
    cases = case_list(missed(5), shown="always", limit=2).html
    words = Reader(cases).words
    assert cases.count('class="radbook-case"') == 2 and "5 reports" in words
    assert "3 more, not shown in full: Report r2, Report r3, Report r4" in words and "cases_per_cell" in words


@pytest.mark.parametrize(("outcome", "curated", "shown"), [("right", "present", 4), ("invention", "absent", 6)])
def test_all_errors_are_shown_and_a_few_of_what_is_right(outcome, curated, shown):
    found = decided(*((f"r{i}", "Edema", curated, "present", outcome) for i in range(6)))
    listed = case_list(found, shown="always", limit=9).html
    assert listed.count('class="radbook-case"') == shown
    assert ("2 more, not shown in full" in listed) == (shown == 4) and "cases_per_cell" not in listed


def test_a_closed_corpus_shows_numbers_and_codes_only():
    cases = case_list(missed(3), shown="never", limit=2).html
    words = Reader(cases).words
    assert not re.search(r"wet|lungs|rib|r0|r2|<mark", cases.lower().replace("border", ""))
    assert "Report 1 of 3" in words and "Report 3 of 3" in words and "Edema, uncertain" in words


def test_another_word_for_shown_is_refused():
    with pytest.raises(RadbookError, match="shown='open' is none of always, never"):
        case_list(missed(1), shown="open", limit=1)


@given(st.text(min_size=1, max_size=60))
def test_any_text_stays_text(text):
    cases = case_list(missed(1, text=text), shown="always", limit=1).html
    assert unsafe_html(cases) == ""
    known = "div details summary strong p small section h4 mark br a code"
    assert set(Reader(cases).tags) <= set(known.split())


def test_a_failed_answer_and_a_missing_one_are_called_so():
    failed = pd.DataFrame([label_row("r0", "chat:x", "choice", [], status="failed")])
    words = Reader(case_list(missed(1, chat=failed, other=failed.iloc[:0]), shown="always", limit=1).html).words
    assert "the answer failed" in words and "has no answer" in words


def test_without_a_place_the_words_are_quoted():
    chat = pd.DataFrame([label_row("r0", "chat:x", "choice", [finding("Edema", phrase="wet <b>")])])
    html = case_list(missed(1, chat=chat), shown="always", limit=1).html
    assert "\u201cwet &lt;b&gt;\u201d; no place in the text given" in html
