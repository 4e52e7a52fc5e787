"""Scores against fractions worked out by hand, against scikit-learn, and against bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES, NORMAL
from radbook.core.schema import PREDICTIONS, SCORES, check
from radbook.evaluation import compare, label_matrix, score

QUICK = {"n_bootstrap": 40}


def value(scores: pd.DataFrame, label: str, metric: str) -> float:
    return scores.set_index(["label", "metric"])["value"][label, metric]


# Three reports; Atelectasis: tp 1, fp 1, fn 0; Cardiomegaly: tp 1, fp 0, fn 1; Consolidation: fp 1.
TRUTH = [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
ANSWER = [[1, 1, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("label", "metric", "expected"),
    [
        ("Atelectasis", "precision", 1 / 2),
        ("Atelectasis", "recall", 1),
        ("Atelectasis", "f1", 2 / 3),
        ("Cardiomegaly", "precision", 1),
        ("Cardiomegaly", "recall", 1 / 2),
        ("Consolidation", "precision", 0),
        ("Consolidation", "recall", np.nan),
        ("Consolidation", "f1", 0),
        ("Edema", "f1", np.nan),
        ("micro", "precision", 2 / 4),
        ("micro", "recall", 2 / 3),
        ("micro", "f1", 4 / 7),
        ("macro", "precision", (1 / 2 + 1 + 0) / 3),
        ("macro", "recall", (1 + 1 / 2) / 2),
        ("macro", "f1", (2 / 3 + 2 / 3 + 0) / 3),
        ("all", "exact_match", 1 / 3),
    ],
)
def test_hand_computed_fractions(table, label, metric, expected):
    scores = score(table("curated", TRUTH), table("rules", ANSWER), task="choice", **QUICK)
    assert value(scores, label, metric) == pytest.approx(expected, nan_ok=True)


def test_scores_keep_the_contract_and_the_counts(table):
    scores = score(table("curated", TRUTH), table("rules", ANSWER), task="choice", **QUICK)
    assert len(check(scores, SCORES)) == 3 * (2 + len(CATEGORIES)) + 1
    positives = scores.set_index(["label", "metric"])["n_positive"]
    assert positives["Cardiomegaly", "f1"] == 2 and positives["micro", "f1"] == 3
    assert (scores[["n_reports", "n_patients"]] == 3).all(axis=None)
    found = compare(table("curated", TRUTH), table("rules", ANSWER), task="choice")
    assert (found.tp.astype(int) + found.fp + found.fn + found.tn == 1).all()


matrices = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*(arrays(np.int8, (n, len(CATEGORIES)), elements=st.integers(0, 1)) for _ in "ab"))
)


@settings(max_examples=40)
@given(matrices)
def test_agrees_with_scikit_learn(table, pair):
    y_true, y_pred = pair
    tables = table("curated", y_true.tolist()), table("rules", y_pred.tolist())
    scores = score(*tables, task="choice", **QUICK)
    # Our macro mean leaves out labels that neither side has.
    active = np.flatnonzero((y_true | y_pred).any(axis=0))
    wanted = {"micro": "micro", None: None} | ({"macro": "macro"} if len(active) else {})
    for average in wanted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means over nothing
            theirs = precision_recall_fscore_support(
                y_true,
                y_pred,
                average=average,
                labels=active if average == "macro" else range(len(CATEGORIES)),
                zero_division=np.nan,
            )
        for metric, expected in zip(("precision", "recall", "f1"), theirs[:3], strict=True):
            ours = [value(scores, label, metric) for label in ([average] if average else CATEGORIES)]
            assert ours == pytest.approx(np.atleast_1d(expected).tolist(), nan_ok=True), (average, metric)


said = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*(arrays(np.int8, (n, len(CATEGORIES)), elements=st.integers(0, 3)) for _ in "ab"))
)


@settings(max_examples=60)
@given(said, st.sampled_from(["certain", "u-one", "ignore"]), st.booleans())
def test_agrees_with_scikit_learn_under_every_policy(table, pair, policy, normal):
    """Present, uncertain, absent and silent on both sides; a policy leaves scikit-learn zeros, ones and cells to skip."""
    positive = {"certain": [1], "u-one": [1, 2], "ignore": [1]}[policy]
    classes = [*CATEGORIES, NORMAL] if normal else list(CATEGORIES)
    y_true, y_pred, skipped = [], [], []
    for matrix in pair:
        there = np.isin(matrix, positive)
        # A report is normal unless something is there; under "ignore" a doubt alone leaves that open.
        open_question = (matrix == 2).any(axis=1) & ~there.any(axis=1) & (policy == "ignore")
        (y_pred if y_true else y_true).append(np.column_stack([there, ~there.any(axis=1)])[:, : len(classes)])
        doubt = (matrix == 2) & (policy == "ignore")
        skipped.append(np.column_stack([doubt, open_question])[:, : len(classes)])
    (truth,), (answer,), used = y_true, y_pred, ~(skipped[0] | skipped[1])

    def theirs(columns):
        cells = used[:, columns]
        if not cells.any():
            return [np.nan] * 3  # scikit-learn refuses to score nothing
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # labels that nobody has
            # Both classes are named, as scikit-learn guesses them from what is there.
            found = precision_recall_fscore_support(
                truth[:, columns][cells],
                answer[:, columns][cells],
                labels=[False, True],
                zero_division=np.nan,
            )
        return [float(v[1]) for v in found[:3]]

    tables = table("curated", pair[0].tolist()), table("rules", pair[1].tolist())
    scores = score(*tables, task="choice", policy=policy, vocabulary=classes, **QUICK)
    found = scores.set_index(["label", "metric"])["value"]
    each = {label: theirs([column]) for column, label in enumerate(classes)}
    for label, wanted in ({"micro": theirs(slice(None))} | each).items():
        ours = [found[label, m] for m in ("precision", "recall", "f1")]
        assert ours == pytest.approx(wanted, nan_ok=True), (label, policy)
    active = (used & (truth | answer)).any(axis=0)
    for place, metric in enumerate(("precision", "recall", "f1")):
        means = [each[label][place] for label, seen in zip(classes, active, strict=True) if seen]
        defined = [v for v in means if not np.isnan(v)]
        assert found["macro", metric] == pytest.approx(np.mean(defined) if defined else np.nan, nan_ok=True)
    assert found["all", "exact_match"] == accuracy_score(truth & used, answer & used)


def test_macro_leaves_out_labels_that_nobody_has(table):
    scores = score(table("curated", TRUTH), table("rules", ANSWER), task="choice", **QUICK)
    assert np.isnan(value(scores, "Edema", "f1"))
    assert value(scores, "macro", "f1") == pytest.approx((2 / 3 + 2 / 3) / 3)


def test_policies_read_uncertain_differently(table):
    # Certain: tp 1, fn 0, fp 0. u-one: tp 1, fn 1, fp 1. Ignore: tp 1, the two others left out.
    tables = table("curated", [[1], [2], [0]]), table("rules", [[1], [3], [2]])
    results = {p: score(*tables, task="choice", policy=p, **QUICK) for p in ("certain", "u-one", "ignore")}
    assert [value(r, "micro", "f1") for r in results.values()] == [1, 2 / 4, 1]
    assert [value(r, "all", "exact_match") for r in results.values()] == [1, 1 / 3, 1]
    assert [r["n_positive"].iloc[0] for r in results.values()] == [1, 2, 1]


def test_ignore_differs_from_certain_where_a_side_is_uncertain(table):
    tables = table("curated", [[1], [1]]), table("rules", [[1], [2]])
    recall = [
        value(score(*tables, task="choice", policy=p, **QUICK), "micro", "recall")
        for p in ("certain", "ignore")
    ]
    assert recall == [0.5, 1.0]


def test_the_strongest_statement_counts(table):
    both = [finding("Edema", "absent"), finding("Edema", "present"), finding("Edema", "uncertain")]
    rows = pd.DataFrame([label_row("r0", "rules", "choice", both)])
    assert label_matrix(rows, ["r0"], ["Edema"], "certain").tolist() == [[1]]
    rows = pd.DataFrame([label_row("r0", "rules", "choice", [both[0], both[2]])])
    assert label_matrix(rows, ["r0"], ["Edema"], "ignore").tolist() == [[-1]]


def test_normal_as_a_class(table):
    tables = table("curated", [[0], [2], [1], [0]]), table("rules", [[0], [0], [1], None])
    with_normal = [*CATEGORIES, NORMAL]
    results = [
        score(*tables, task="choice", policy=p, vocabulary=with_normal, **QUICK) for p in ("certain", "u-one")
    ]
    # A failed answer is not taken for "Normal".
    assert [value(r, NORMAL, "recall") for r in results] == [pytest.approx(2 / 3), pytest.approx(1 / 2)]
    assert [value(r, NORMAL, "precision") for r in results] == [1, pytest.approx(1 / 2)]
    assert NORMAL not in set(score(*tables, task="choice", **QUICK)["label"])


def test_failed_rows(table):
    curated, rules = table("curated", [[1], None, [1]]), table("rules", [[1], [1], None])
    scores = score(curated, rules, task="choice", **QUICK)
    assert value(scores, "micro", "recall") == 1 / 2  # the failed answer misses what is there
    assert scores["n_reports"].iloc[0] == 2
    assert scores.attrs["rules"] == {"excluded": 1, "unreferenced": 0, "failed": 1, "outside_vocabulary": {}}


def test_all_answers_failed_scores_zero_recall(table):
    scores = score(table("curated", [[1], [1]]), table("rules", [None, None]), task="choice", **QUICK)
    assert value(scores, "micro", "recall") == 0 and value(scores, "micro", "f1") == 0
    assert np.isnan(value(scores, "micro", "precision"))


def test_nothing_found_by_anyone(table):
    scores = score(table("curated", [[0], [0]]), table("rules", [[0], [0]]), task="choice", **QUICK)
    assert value(scores, "all", "exact_match") == 1
    assert scores.loc[scores["label"] != "all", ["value", "low", "high"]].isna().all(axis=None)


def test_open_codes_are_compared_by_category_or_in_full(table):
    codes = ["J98.11", "J98.59", "J90"]
    curated = table("curated", [[1, 0, 1]], task="open", codes=codes)
    rules = table("rules", [[0, 1, 1]], task="open", codes=codes)
    assert value(score(curated, rules, task="open", **QUICK), "micro", "f1") == 1
    full = score(curated, rules, task="open", level="code", **QUICK)
    assert value(full, "micro", "recall") == 1 / 2
    # The reference never uses J98.59, so naming it is neither right nor wrong.
    assert value(full, "micro", "precision") == 1 and full.attrs["rules"]["outside_vocabulary"] == {"J98.59": 1}


# Right; right category; right block; wrong throughout.
LEVEL_CODES = ["I51.7", "J98.11", "J98.59", "J90", "J91.0", "R91.1", "J18.9"]
LEVEL_TRUTH = [[1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0]]
LEVEL_ANSWER = [[1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("level", "labels", "recall", "outside"),
    [
        ("code", ("I51.7", "J90", "J98.11", "R91.1"), 1 / 4, {"J18.9": 1, "J91.0": 1, "J98.59": 1}),
        ("category", ("I51", "J90", "J98", "R91"), 2 / 4, {"J18": 1, "J91": 1}),
        ("block", ("I30-I5A", "J90-J94", "J96-J99", "R90-R94"), 3 / 4, {"J09-J18": 1}),
    ],
)
def test_a_near_code_counts_from_the_level_on_at_which_it_is_right(table, level, labels, recall, outside):
    options = {"task": "open", "codes": LEVEL_CODES}
    tables = table("curated", LEVEL_TRUTH, **options), table("rules", LEVEL_ANSWER, **options)
    scores = score(*tables, task="open", level=level, **QUICK)
    assert tuple(dict.fromkeys(scores["label"]))[2:-1] == labels
    assert value(scores, "micro", "recall") == value(scores, "all", "exact_match") == recall
    assert scores.attrs["rules"]["outside_vocabulary"] == outside


@pytest.mark.parametrize(("level", "f1"), [("code", [0, 0]), ("category", [1, 0]), ("block", [1, 1])])
def test_exchanged_codes_are_errors_below_the_level_they_share(table, level, f1):
    shares = [["J98.11", "J98.59"], ["J90", "J91.0"]]  # a category, a block
    for codes, expected in zip(shares, f1, strict=True):
        options = {"task": "open", "codes": codes}
        tables = table("curated", [[1, 0], [0, 1]], **options), table("rules", [[0, 1], [1, 0]], **options)
        assert value(score(*tables, task="open", level=level, **QUICK), "micro", "f1") == expected


def test_a_vocabulary_of_blocks_and_a_code_of_no_block(table):
    options = {"task": "open", "codes": ["J90", "XX9.99"]}
    tables = table("curated", [[1, 1]], **options), table("rules", [[1, 0]], **options)
    scores = score(*tables, task="open", level="block", vocabulary=["J90-J94", "J91.0"], **QUICK)
    assert set(scores["label"]) == {"micro", "macro", "J90-J94", "all"}
    assert value(scores, "micro", "f1") == 1
    assert value(score(*tables, task="open", level="block", **QUICK), "XX9.99", "recall") == 0


def test_the_level_means_nothing_to_the_choice_task(table):
    tables = table("curated", TRUTH), table("rules", ANSWER)
    by_block, by_code = (score(*tables, task="choice", level=n, **QUICK) for n in ("block", "code"))
    assert by_block.equals(by_code)


def test_codes_outside_the_vocabulary_are_counted_not_scored(table):
    codes = ["J90", "I51.7", "Z95.0"]
    curated = table("curated", [[1, 0, 0], [0, 0, 0]], task="open", codes=codes)
    rules = table("rules", [[1, 1, 1], [1, 2, 0]], task="open", codes=codes)
    scores = score(curated, rules, task="open", **QUICK)
    assert value(scores, "micro", "precision") == 1 / 2  # J90 in the second report is an invention
    assert scores.attrs["rules"]["outside_vocabulary"] == {"I51": 1, "Z95": 1}
    fixed = score(curated, rules, task="open", vocabulary=["J90", "I51.7"], **QUICK)
    assert value(fixed, "micro", "precision") == 1 / 3
    assert fixed.attrs["rules"]["outside_vocabulary"] == {"Z95": 1}


def test_the_vocabulary_comes_from_the_whole_reference_table(table, patients):
    curated = table("curated", [[1, 0], [0, 1]], task="open", codes=["J90", "I51.7"])
    rules = table("rules", [[1, 1], [0, 1]], task="open", codes=["J90", "I51.7"])
    scores = score(curated, rules, task="open", reports=patients([0]), **QUICK)
    assert scores["n_reports"].iloc[0] == 1 and value(scores, "micro", "precision") == 1 / 2


def test_reports_without_a_reference_row_are_counted(table, patients):
    scores = score(
        table("curated", TRUTH),
        table("rules", ANSWER),
        task="choice",
        reports=patients([0, 0, 1, 2]),
        **QUICK,
    )
    assert (scores.attrs["rules"]["unreferenced"], scores["n_reports"].iloc[0], scores["n_patients"].iloc[0]) == (
        1,
        3,
        2,
    )


def test_several_sources_are_scored_as_each_by_itself(table):
    codes = {"task": "open", "codes": ["J90", "I51.7", "J18.9"]}
    curated = pd.concat([table("curated", TRUTH), table("curated", TRUTH, **codes)])
    rules = pd.concat([table("rules", ANSWER), table("rules", ANSWER, **codes)])
    student = check(table("student:a", ANSWER).assign(reply="..."), PREDICTIONS)
    scores = check(score(curated, [rules, student], task="choice", policy="ignore", **QUICK), SCORES)
    for source, labels in (("rules", rules), ("student:a", student)):
        alone = score(curated, labels, task="choice", policy="ignore", **QUICK)
        pd.testing.assert_frame_equal(alone, scores[scores["source"] == source].reset_index(drop=True), check_flags=False)
        assert alone.attrs[source] == scores.attrs[source]
    opened = score(curated, [student, rules], task="open", **QUICK)
    assert set(opened["source"]) == set(opened.attrs) == {"rules"}, "the student was not asked for codes"
    assert opened.attrs["rules"]["outside_vocabulary"] == {"J18": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "certian"}, r"policy='certian' is none of .*did you mean certain"),
        ({"task": "choise"}, r"did you mean choice"),
        ({"level": "codes"}, r"did you mean code"),
        ({"level": "chapter"}, r"none of block, category, code"),
        ({"task": "open"}, r"task open: no rows in the labels"),
        ({"vocabulary": ["Edemma"]}, r"vocabulary='Edemma'.*did you mean Edema"),
        ({"vocabulary": "Edema"}, r"must be a list"),
        ({"n_bootstrap": 5}, r"n_bootstrap=5.*at least 40"),
        ({"reports": pd.DataFrame({"report_id": ["r0"]})}, r"lacks the columns patient_id"),
        ({"reports": pd.DataFrame({"report_id": ["r0"] * 2, "patient_id": ["p"] * 2})}, r"'r0' twice"),
        (
            {"reports": pd.DataFrame({"report_id": ["r0"], "patient_id": [None]}, index=[7])},
            r"reports, row 7: report 'r0' has no patient_id",
        ),
    ],
)
def test_bad_options_are_named(table, options, message):
    with pytest.raises(RadbookError, match=message):
        score(table("curated", TRUTH), table("rules", ANSWER), **{"task": "choice", **QUICK, **options})


def test_bad_tables_are_named(table):
    curated = table("curated", TRUTH)
    with pytest.raises(RadbookError, match=r"2 of 3 reports have no row .*'r1'"):
        score(curated, table("rules", ANSWER[:1]), task="choice", **QUICK)
    with pytest.raises(RadbookError, match="one source at a time is compared, not a, b"):
        score(curated, pd.concat([table("a", ANSWER), table("b", ANSWER)]), task="choice", **QUICK)
    with pytest.raises(RadbookError, match="lacks the columns findings"):
        score(curated, curated.drop(columns="findings"), task="choice", **QUICK)
    with pytest.raises(RadbookError, match="presence 'maybe', which is none of"):
        odd = table("rules", ANSWER)
        odd["findings"] = [[finding("Edema") | {"presence": "maybe"}]] * 3
        score(curated, odd, task="choice", **QUICK)
    with pytest.raises(RadbookError, match="no rows in the labels"):
        score(curated, [], task="choice")
    with pytest.raises(RadbookError, match=r"has the key .*source='rules'.* twice"):
        score(curated, [table("rules", ANSWER)] * 2, task="choice", **QUICK)
    with pytest.raises(RadbookError, match="has two rows"):
        label_matrix(pd.concat([curated, curated]), ["r0"], CATEGORIES, "certain")
