"""Lists of errors, confusion tables and agreement say the same as the scorecard."""

import numpy as np
import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.evaluation import agreement, compare, confusion, disagreements, score


@pytest.mark.parametrize("policy", ["certain", "u-one", "ignore"])
def test_as_many_rows_as_the_scorecard_has_errors(table, policy):
    rng = np.random.default_rng(0)
    curated, rules = (table(n, rng.integers(0, 4, (50, 13)).tolist()) for n in ("curated", "rules"))
    found = compare(curated, rules, task="choice", policy=policy)
    counts, listed = confusion(found), disagreements(found)
    by_kind = listed.groupby(["kind", "code"]).size()
    assert by_kind["miss"].reindex(counts["label"], fill_value=0).tolist() == counts["fn"].tolist()
    assert by_kind["invention"].reindex(counts["label"], fill_value=0).tolist() == counts["fp"].tolist()
    assert not listed.duplicated(["report_id", "code"]).any()


def test_evidence_comes_from_the_side_that_speaks():
    said = finding("Edema", phrase="fluid overload", start=5, end=19)
    heard = finding("Fracture", phrase="old fracture", start=30, end=42, rule="fracture")
    curated = pd.DataFrame([label_row("r", "curated", "choice", [said, finding("Fracture", "absent")])])
    rules = pd.DataFrame([label_row("r", "rules", "choice", [heard])])
    listed = disagreements(compare(curated, rules, task="choice")).set_index("kind")
    assert listed.loc["miss", ["code", "curated", "predicted", "phrase", "start", "end"]].tolist() == [
        *("Edema", "present", "not mentioned", "fluid overload", 5, 19)
    ]
    assert listed.loc["invention", ["code", "curated", "predicted", "rule"]].tolist() == [
        *("Fracture", "absent", "present", "fracture")
    ]


def test_a_failed_answer_is_listed_as_misses_with_its_status(table):
    listed = disagreements(compare(table("curated", [[1, 1]]), table("rules", [None]), task="choice"))
    assert listed["kind"].tolist() == ["miss"] * 2 and set(listed["status"]) == {"failed"}
    assert set(listed["predicted"]) == {"not mentioned"}


def test_an_error_in_normal_has_no_evidence(table):
    found = compare(table("curated", [[1]]), table("rules", [[0]]), task="choice", vocabulary=["Edema", "Normal"])
    listed = disagreements(found)
    assert listed[["code", "kind", "predicted"]].values.tolist() == [["Normal", "invention", "not mentioned"]]
    assert listed[["phrase", "start"]].isna().all(axis=None)


def test_no_error_gives_an_empty_list_with_the_same_columns(table):
    same = table("curated", [[1, 0]])
    listed = disagreements(compare(same, same, task="choice"))
    assert listed.empty and "phrase" in listed


def test_open_errors_are_listed_by_category_or_code(table):
    codes = ["J98.11", "J98.59"]
    curated = table("curated", [[1, 0], [0, 1]], task="open", codes=codes)
    rules = table("rules", [[0, 1], [0, 0]], task="open", codes=codes)
    assert disagreements(compare(curated, rules, task="open"))["code"].tolist() == ["J98"]
    full = disagreements(compare(curated, rules, task="open", level="code"))
    assert full[["kind", "code"]].values.tolist() == [
        ["invention", "J98.59"],
        ["miss", "J98.11"],
        ["miss", "J98.59"],
    ]


def test_lists_take_a_level_and_counts_and_agreement_go_by_category(table):
    # r0: the right category, r1: the right block, r2: neither.
    codes = ["J98.11", "J98.59", "J90", "J91.0", "I51.7"]
    truth = [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    answer = [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]
    tables = [table(n, m, task="open", codes=codes) for n, m in (("curated", truth), ("rules", answer))]
    assert disagreements(compare(*tables, task="open", level="block"))[["kind", "code", "report_id"]].values.tolist() == [
        ["invention", "J96-J99", "r2"],
        ["miss", "I30-I5A", "r2"],
    ]
    counts = confusion(compare(*tables, task="open")).set_index("label")[["tp", "fp", "fn", "tn"]]
    assert counts.to_dict("split")["data"] == [[0, 0, 1, 2], [0, 0, 1, 2], [1, 1, 0, 1]]
    assert list(counts.index) == ["I51", "J90", "J98"]
    assert agreement(tables, task="open").loc["curated", "rules"] == pytest.approx(2 / 6)


def test_confusion_by_hand(table):
    tables = table("curated", [[1], [1], [0], [0], [0]]), table("rules", [[1], [0], [1], [0], [0]])
    counts = confusion(compare(*tables, task="choice"))
    row = counts.set_index("label").loc["Atelectasis"]
    assert row[["tp", "fp", "fn", "tn", "n_positive"]].tolist() == [1, 1, 1, 2, 2]
    assert (row["sensitivity"], row["specificity"]) == (1 / 2, 2 / 3)
    assert (row["sensitivity_low"], row["sensitivity_high"]) == pytest.approx((0.0126, 0.9874), abs=1e-4)
    never = counts.set_index("label").loc["Edema"]
    assert np.isnan(never["sensitivity"]) and np.isnan(never["sensitivity_low"]) and never["specificity"] == 1


def test_agreement_is_symmetric_and_the_micro_f1_of_the_scorecard(table):
    rng = np.random.default_rng(1)
    matrices = [rng.integers(0, 2, (30, 13)) for _ in range(3)]
    tables = [table(name, m.tolist()) for name, m in zip("abc", matrices, strict=True)]
    f1 = agreement(tables, task="choice")
    assert (f1.to_numpy() == f1.to_numpy().T).all() and (np.diag(f1) == 1).all()
    scores = score(tables[0], tables[1], task="choice", n_bootstrap=40).set_index(["label", "metric"])[
        "value"
    ]
    assert f1.loc["a", "b"] == pytest.approx(scores["micro", "f1"])


def test_agreement_leaves_out_and_counts_what_a_source_failed_on(table):
    result = agreement([table("a", [[1], [1], [0]]), table("b", [[1], None, [0]])], task="choice")
    assert result.loc["a", "b"] == 1 and result.attrs == {"n_reports": 2, "excluded": 1}


def test_agreement_names_bad_input(table):
    a = table("a", [[1]])
    with pytest.raises(RadbookError, match="sources repeat: a, a"):
        agreement([a, a], task="choice")
    with pytest.raises(RadbookError, match="no report in common"):
        agreement([a, table("b", [None])], task="choice")
    with pytest.raises(RadbookError, match="no labels table"):
        agreement([], task="choice")
    with pytest.raises(RadbookError, match=r"policy='certian'.*did you mean certain"):
        agreement([a], task="choice", policy="certian")


def test_the_strongest_statement_is_the_one_shown():
    faint, clear = finding("Edema", "absent", phrase="no edema"), finding("Edema", phrase="wet lungs")
    for order in ([faint, clear], [clear, faint]):
        rules = pd.DataFrame([label_row("r", "rules", "choice", order)])
        silent = pd.DataFrame([label_row("r", "curated", "choice", [])])
        listed = disagreements(compare(silent, rules, task="choice"))
        assert listed[["predicted", "phrase"]].values.tolist() == [["present", "wet lungs"]]
