"""Decisions beside the truth, and their buckets: cases that can be counted by hand."""

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import ERRORS, check
from radbook.evaluation import compare, disagreements
from radbook.evaluation.error_slices import bucket_rates, decisions, error_rows, traits
from radbook.evaluation.error_transfer import fates


def test_every_mentioned_cell_has_a_row_per_source_and_no_other(five):
    decided = five.decided
    # Edema five times; Fracture in r0 (denied by the rules), r3 and r4.
    assert len(decided) == 2 * 8 and decided.attrs == {"n_reports": 5, "silent": 5 * 13 - 8}
    denied = decided[(decided["report_id"] == "r0") & (decided["code"] == "Fracture")]
    assert denied["predicted"].tolist() == ["not mentioned", "absent"] and set(denied["outcome"]) == {"right"}


@pytest.mark.parametrize("policy", ["certain", "u-one", "ignore"])
def test_the_wrong_ones_are_those_that_the_score_counts(table, patients, noisy, policy):
    truth, answer = noisy(40, 0.1)
    answer[0], truth[1][0], answer[2][1] = None, 2, 2
    curated, rules = table("curated", truth), table("rules", answer)
    reports = patients(range(40))
    decided = decisions(curated, [rules], task="choice", reports=reports, policy=policy)
    wrong = decided[decided["outcome"] != "right"].rename(columns={"outcome": "kind"})
    listed = disagreements(compare(curated, rules, task="choice", reports=reports, policy=policy))
    columns = ["report_id", "code", "kind", "curated", "predicted", "status"]
    order = ["report_id", "code"]
    left, right = (t[columns].sort_values(order, ignore_index=True) for t in (wrong, listed))
    pd.testing.assert_frame_equal(left, right, check_dtype=False)


def test_what_the_policy_leaves_out_for_one_source_is_left_out_for_all(table, patients):
    truth, sure = (table(name, [[1, 1]]) for name in ("curated", "sure"))
    unsure = table("unsure", [[2, 1]])
    decided = decisions(truth, [sure, unsure], task="choice", reports=patients([0]), policy="ignore")
    assert decided[["code", "source", "outcome"]].values.tolist() == [
        ["Cardiomegaly", "sure", "right"],
        ["Cardiomegaly", "unsure", "right"],
    ]
    assert decided.attrs == {"n_reports": 1, "silent": 11}


def test_codes_are_compared_by_their_category(patients):
    truth = pd.DataFrame([label_row("r0", "curated", "open", [finding("J98.11")])])
    rules = pd.DataFrame([label_row("r0", "rules", "open", [finding("J98.4")])])
    decided = decisions(truth, [rules], task="open", reports=patients([0]))
    assert decided[["code", "outcome"]].values.tolist() == [["J98", "right"]]


def test_the_sentence_of_the_evidence_decides_the_bucket(patients):
    text = "No effusion. Edema is possible, compared with the prior film. A fracture."
    reports = patients([0]).assign(text=text)
    spans = {code: (text.index(word), text.index(word) + len(word)) for code, word in
             (("Pleural Effusion", "effusion"), ("Edema", "Edema"), ("Fracture", "fracture"))}  # fmt: skip
    found = [finding(code, start=a, end=b) for code, (a, b) in spans.items()]
    truth = pd.DataFrame([label_row("r0", "curated", "choice", found)])
    train = pd.DataFrame({"text": [text] * 5})
    decided = decisions(truth, [truth.assign(source="rules")], task="choice", reports=reports)
    held = traits(decided, reports, train, [truth], task="choice").loc["r0"]
    named = {code: list(held.columns[held.loc[code]]) for code in held.index}
    assert named == {
        "Pleural Effusion": ["negation", "placed"],
        "Edema": ["hedge", "comparison", "placed"],
        "Fracture": ["placed"],
    }


def test_rare_words_devices_and_long_reports(patients):
    text = "A tube. " * 9 + "Haze."
    reports = patients(range(10)).assign(text=["A tube."] * 9 + [text])
    rows = [
        label_row(f"r{i}", "curated", "choice", [finding("Support Devices", start=2, end=6)])
        for i in range(10)
    ]
    rows[9]["findings"] = [finding("Lung Opacity")]
    truth = pd.DataFrame(rows)
    decided = decisions(truth, [truth.assign(source="rules")], task="choice", reports=reports)
    held = traits(decided, reports, reports.head(9), [truth], task="choice")
    assert held["device"].tolist() == [True] * 9 + [False]
    assert held["long_report"].tolist() == [False] * 9 + [True]
    # "Haze" stands in no training report, but nobody says that it is the evidence.
    assert held.loc[("r9", "Lung Opacity"), ["rare_word", "placed"]].tolist() == [False, False]
    seen = [finding("Lung Opacity", start=text.index("Haze"), end=text.index("Haze") + 4)]
    rules = pd.DataFrame([label_row("r9", "rules", "choice", seen)])
    held = traits(decided, reports, reports.head(9), [truth, rules], task="choice")
    assert held.loc[("r9", "Lung Opacity"), ["rare_word", "placed"]].tolist() == [True, True]
    assert not held["rare_word"].iloc[:9].any()


def test_codes_of_devices_are_devices_in_the_open_task(patients):
    truth = pd.DataFrame([label_row("r0", "curated", "open", [finding("Z95.0"), finding("J90")])])
    reports = patients([0]).assign(text="A pacemaker.")
    decided = decisions(truth, [truth.assign(source="rules")], task="open", reports=reports)
    held = traits(decided, reports, reports, [truth], task="open")
    assert held["device"].to_dict() == {("r0", "J90"): False, ("r0", "Z95"): True}


def test_rates_count_every_bucket_a_decision_is_in(five):
    decided = five.decided
    cells = pd.MultiIndex.from_frame(decided[["report_id", "code"]].drop_duplicates())
    held = pd.DataFrame(
        False, index=cells, columns=["negation", "hedge", "comparison", "device", "rare_word", "long_report", "placed"]
    )
    held["placed"] = True
    held.loc[("r1", "Edema"), ["hedge", "rare_word"]] = True
    held.loc[("r3", "Edema"), "negation"] = True
    held.loc[("r2", "Edema"), ["long_report", "placed"]] = True, False
    rates = bucket_rates(decided, held).set_index(["label", "source"])
    assert rates.loc[("all decisions", "rules"), ["tries", "hits"]].tolist() == [8, 4]
    assert rates.loc[("without a negation", "rules"), ["tries", "hits"]].tolist() == [6, 2]
    assert rates.loc[("hedge", "student:x"), ["tries", "hits", "value"]].tolist() == [1, 1, 1.0]
    assert (
        rates.loc[("rare word", "rules"), "hits"] == 0 and rates.loc[("none of these", "rules"), "tries"] == 5
    )
    assert rates.loc[("no place", "rules"), ["tries", "hits"]].tolist() == [1, 1]
    assert rates.loc[("device", "rules"), ["low", "high"]].isna().all()


def test_error_rows_keep_their_contract(five):
    decided, reports = five.decided, five.reports
    held = traits(decided, reports, reports, five.tables, task="choice")
    fate = fates(decided, teacher="rules", student="student:x")
    rows = check(error_rows(decided, held, fate, task="choice"), ERRORS)
    assert rows.groupby("source").size().to_dict() == {"rules": 4, "student:x": 4}
    assert set(rows.loc[rows["source"] == "rules", "fate"]) == {"corrected", "shared"}
    assert set(rows.loc[rows["source"] == "student:x", "fate"]) == {"shared", "added"}


def test_nothing_to_compare_is_an_error(patients, table):
    with pytest.raises(RadbookError, match="there is no labels table to compare"):
        decisions(table("curated", [[1]]), [], task="choice", reports=patients([0]))


def test_a_label_outside_the_reports_is_not_counted(table, patients):
    curated, rules = (table(name, [[1] * 13, [1] * 13]) for name in ("curated", "rules"))
    decided = decisions(curated, [rules], task="choice", reports=patients([0]))
    assert set(decided["report_id"]) == {"r0"} and list(decided["code"]) == sorted(CATEGORIES)
