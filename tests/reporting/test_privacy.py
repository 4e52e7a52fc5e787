"""What the chapters may show of a corpus."""

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.corpora import SHARING
from radbook.evaluation import compare, disagreements
from radbook.reporting.privacy import corpus_story, error_shown, hide_private

SECRET = "xylophone effusion"


@pytest.mark.parametrize("column", ["reply", "before", "after", "student", "merged", "rule", "note", "a name nobody foresaw"])
def test_wording_is_hidden_whatever_its_column_is_called(column):
    frame = pd.DataFrame({"task": ["open"], column: [SECRET]})
    assert hide_private(frame, "never").to_dict("records") == [{"task": "open", column: "(hidden)"}]
    assert hide_private(frame, "always") is frame


def test_lists_of_findings_and_numeric_ids_are_hidden():
    frame = pd.DataFrame({"findings": [[finding("Edema", phrase=SECRET)]], "patient_id": [12]})
    assert set(hide_private(frame, "never").iloc[0]) == {"(hidden)"}


def test_what_holds_no_wording_stays():
    frame = pd.DataFrame([finding("Edema"), finding("Edema", phrase=SECRET, start=0, end=8, rule="a")])
    shown = hide_private(frame, "never")
    pd.testing.assert_frame_equal(shown[["code", "presence", "start", "end"]], frame[["code", "presence", "start", "end"]])
    assert set(shown["phrase"]) | set(shown["rule"]) == {"(hidden)"}
    numbers = pd.DataFrame({"named": [True], "probability": [0.5], "tokens": [3], "mixed": pd.Series([2], dtype=object)})
    pd.testing.assert_frame_equal(hide_private(numbers, "never"), numbers)


@pytest.mark.parametrize("columns", [[0, 1], ["report", "report"]])
def test_ids_in_the_index_and_columns_without_a_name_of_their_own_are_hidden_too(columns):
    frame = pd.DataFrame([[SECRET, 3], [SECRET, 4]], columns=columns, index=pd.Index(["p12-s7", "p12-s8"], name="report_id"))
    hidden = hide_private(frame, "never")
    assert hidden.to_numpy().tolist() == [["(hidden)", 3], ["(hidden)", 4]]
    assert hidden.index.tolist() == [0, 1] and hidden.index.name is None
    assert frame.iloc[0, 0] == SECRET and frame.index[0] == "p12-s7", "the frame itself stays as it was"


def test_a_row_of_disagreements_without_evidence_can_be_shown():
    curated = pd.DataFrame([label_row("r1", "curated", "choice", [finding("Edema")])])
    rules = pd.DataFrame([label_row("r1", "rules", "choice", [])])
    error = disagreements(compare(curated, rules, task="choice")).iloc[0]
    assert "miss of Edema" in error_shown(error, "Wet lungs.", shown="always").html


def test_evidence_outside_its_report_names_the_report():
    error = {"report_id": "r7", "kind": "miss", "code": "Edema", "curated": "present", "predicted": "absent"}
    with pytest.raises(RadbookError, match="'Edema' of report 'r7' has the evidence 3-99, outside a text of 10 characters"):
        error_shown(error | {"start": 3, "end": 99}, "Wet lungs.", shown="always")


@pytest.mark.parametrize("corpus", sorted(SHARING))
def test_every_corpus_has_a_story_and_one_line_that_points_to_it(corpus):
    story, line = corpus_story(corpus, full=True), corpus_story(corpus)
    assert line.count(". ") <= 2 and "\n" not in line and line.endswith("(section 1.1).") and len(line) < len(story)
    assert "no description" not in story and "below" not in story + line
