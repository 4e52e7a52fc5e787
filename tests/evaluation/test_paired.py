"""Paired comparisons: who is told apart and who is not, and Holm's correction against the closed test it stands for."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import holm, paired_difference, paired_table, score


def micro_f1(scores):
    return scores.set_index(["label", "metric"]).loc[("micro", "f1")]


def test_identical_sources_do_not_differ(table, noisy):
    truth, answer = noisy(80, 0.1)
    result = paired_difference(table("curated", truth), table("a", answer), table("b", answer), task="choice")
    assert [result[k] for k in ("value", "low", "high", "p")] == [0, 0, 0, 1]


def test_a_clearly_better_source_is_told(table, patients, noisy):
    truth, good = noisy(300, 0.03)
    _, bad = noisy(300, 0.12)
    curated, a, b = table("curated", truth), table("a", good), table("b", bad)
    options = {"task": "choice", "reports": patients(np.arange(300) // 3)}
    result = paired_difference(curated, a, b, **options)
    assert result["low"] > 0 and result["p"] == pytest.approx(1 / 2001)
    assert (result["a"], result["b"], result["n_reports"], result["n_patients"]) == ("a", "b", 300, 100)
    back = paired_difference(curated, b, a, **options)
    assert back["value"] == -result["value"] and back["high"] < 0
    scores = [micro_f1(score(curated, t, n_bootstrap=40, **options))["value"] for t in (a, b)]
    assert result["value"] == scores[0] - scores[1]


def test_pairing_is_tighter_than_two_intervals(table, noisy):
    truth, answer = noisy(200, 0.15)
    better = [t if i % 8 == 0 else a for i, (t, a) in enumerate(zip(truth, answer, strict=True))]
    curated, a, b = table("curated", truth), table("a", better), table("b", answer)
    paired = paired_difference(curated, a, b, task="choice")
    rows = [micro_f1(score(curated, t, task="choice")) for t in (a, b)]
    assert rows[0]["low"] < rows[1]["high"]  # the two intervals overlap ...
    assert paired["low"] > 0  # ... and the difference is still told


def test_permutation_p_is_about_uniform_without_a_difference(table, noisy):
    values = []
    for seed in range(40):
        truth, one = noisy(40, 0.1, seed)
        flip = np.random.default_rng(1000 + seed).random((40, 13)) < 0.1
        two = (np.array(truth, bool) ^ flip).astype(int).tolist()
        curated, a, b = table("curated", truth), table("a", one), table("b", two)
        values.append(paired_difference(curated, a, b, task="choice", n_bootstrap=200)["p"])
    assert 0.3 < np.mean(values) < 0.7 and np.mean(np.array(values) < 0.05) <= 0.15


@pytest.mark.parametrize(("label", "metric"), [("macro", "f1"), ("Edema", "recall"), ("all", "exact_match")])
def test_any_score_can_be_compared(table, noisy, label, metric):
    truth, good = noisy(100, 0.03)
    _, bad = noisy(100, 0.2)
    tables = table("curated", truth), table("a", good), table("b", bad)
    assert paired_difference(*tables, task="choice", label=label, metric=metric, n_bootstrap=200)["value"] > 0


def test_a_difference_that_is_undefined_says_so(table):
    nobody = table("curated", [[0]] * 4)
    result = paired_difference(nobody, nobody, nobody, task="choice", label="Edema")
    assert np.isnan([result[k] for k in ("value", "low", "high", "p")]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "F1"}, "metric='F1'.*did you mean f1"),
        ({"label": "Edemma"}, "did you mean Edema"),
        ({"label": "all"}, "label='all' is none of micro, macro"),
        ({"policy": "u_one"}, "did you mean u-one"),
        ({"n_bootstrap": 0}, "at least 40"),
    ],
)
def test_bad_options_are_named(table, options, message):
    t = table("curated", [[1], [0]])
    with pytest.raises(RadbookError, match=message):
        paired_difference(t, t, t, **{"task": "choice", **options})


@pytest.mark.parametrize(("level", "values"), [("code", (1, 0)), ("category", (1, 1)), ("block", (1, 1))])
def test_a_difference_of_codes_may_vanish_at_a_coarser_level(table, level, values):
    options = {"task": "open", "codes": ["J98.11", "J98.59"]}
    curated, b = ([[1, 0], [0, 1]] * 3, [[0, 1], [1, 0]] * 3)
    tables = [table(n, m, **options) for n, m in (("curated", curated), ("a", curated), ("b", b))]
    result = paired_difference(*tables, task="open", level=level, n_bootstrap=40)
    assert (result["value_a"], result["value_b"]) == values


def test_the_table_agrees_with_one_comparison_at_a_time(table, patients, noisy):
    truth, good = noisy(120, 0.03)
    _, bad = noisy(120, 0.15)
    tables = table("curated", truth), table("a", good), table("b", bad)
    options = {"task": "choice", "reports": patients(np.arange(120) // 2), "n_bootstrap": 200, "seed": 3}
    found = paired_table(*tables, **options).set_index("label")
    assert list(found.index) == ["micro", "macro", *CATEGORIES]
    for label in ("micro", "macro", "Edema"):
        one = paired_difference(*tables, label=label, **options)
        same = ["value_a", "value_b", "value", "low", "high", "p", "n_positive"]
        assert found.loc[label, same].tolist() == pytest.approx([one[k] for k in same])
    assert found.attrs["n_patients"] == 60 and (found.attrs["a"], found.attrs["b"]) == ("a", "b")
    recall = paired_table(*tables, metric="recall", **options).set_index("label")["value"]
    assert recall["Edema"] == paired_difference(*tables, label="Edema", metric="recall", **options)["value"]


def test_rare_and_undefined_labels_stay_out_of_the_family(table):
    # Atelectasis has 12 positives, Cardiomegaly 9, the others none.
    truth = [[1, int(i < 9)] for i in range(12)] + [[0, 0]] * 20
    tables = table("curated", truth), table("a", truth), table("b", [[int(i < 6), 0] for i in range(32)])
    found = paired_table(*tables, task="choice", n_bootstrap=200)
    assert found.attrs["family"] == ["Atelectasis"]
    assert found.attrs["few"] == list(CATEGORIES[1:])
    rows = found.set_index("label")
    assert rows.loc["Atelectasis", "p_holm"] == rows.loc["Atelectasis", "p"] < 0.1  # a family of one
    assert rows["p_holm"].notna().sum() == 1
    assert rows.loc["Cardiomegaly", ["p", "value"]].notna().all()  # shown, not tested
    # Nobody names it: no precision, so no test either.
    nobody = paired_table(
        tables[0], tables[2].assign(source="c"), tables[2], task="choice", metric="precision"
    )
    assert np.isnan(nobody.set_index("label").loc["Cardiomegaly", "p"])


def test_a_corrected_table_rarely_sees_what_is_not_there(table, noisy):
    told = 0
    for seed in range(20):
        truth, one = noisy(60, 0.1, seed)
        flip = np.random.default_rng(500 + seed).random((60, 13)) < 0.1
        two = (np.array(truth, bool) ^ flip).astype(int).tolist()
        tables = table("curated", truth), table("a", one), table("b", two)
        found = paired_table(*tables, task="choice", n_bootstrap=400)
        told += bool((found["p_holm"] <= 0.05).any())
    assert told <= 3  # one expected at most


def test_open_codes_are_compared_by_category(table):
    options = {"task": "open", "codes": ["J90", "I51.7"]}
    truth = [[1, 1]] * 12 + [[0, 0]] * 12
    a, b = truth, [[1, int(i % 2 == 0)] for i in range(12)] + [[0, 0]] * 12
    tables = [table(n, m, **options) for n, m in (("curated", truth), ("a", a), ("b", b))]
    found = paired_table(*tables, task="open", n_bootstrap=200).set_index("label")
    assert found["value"].round(3).to_dict() == {"micro": 0.143, "macro": 0.167, "I51": 0.333, "J90": 0.0}
    assert found.attrs["family"] == ["I51", "J90"]


def test_bad_options_of_the_table_are_named(table):
    t = table("curated", [[1], [0]])
    with pytest.raises(RadbookError, match=r"metric='F1'.*did you mean f1"):
        paired_table(t, t, t, task="choice", metric="F1")
    with pytest.raises(RadbookError, match="at least 40"):
        paired_table(t, t, t, task="choice", n_bootstrap=3)


def test_holm_worked_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, and none below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == [] and np.isnan(holm([np.nan])).all()
    assert holm(pd.Series([0.9, 0.8])).tolist() == [1.0, 1.0]


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(p_values, st.integers(0, 2))
def test_holm_is_the_closed_test_of_bonferroni(values, n_unknown):
    """A hypothesis is kept at the largest p that Bonferroni gives any set of hypotheses with it (Marcus et al. 1976)."""
    sets = [s for n in range(1, len(values) + 1) for s in combinations(range(len(values)), n)]
    wanted = [
        max(min(1.0, len(s) * min(values[j] for j in s)) for s in sets if i in s) for i in range(len(values))
    ]
    found = holm(values + [np.nan] * n_unknown)
    assert found[: len(values)].tolist() == pytest.approx(wanted)
    assert np.isnan(found[len(values) :]).all()
