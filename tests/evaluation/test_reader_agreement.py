"""Two readers and a source: agreement counted by hand and by scikit-learn, and the distance to it."""

from importlib.resources import files

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.corpora.label_names import read_label_columns
from radbook.evaluation import agreement, ceiling, label_matrix, paired_table, score

INVENTED = files("radbook") / "resources" / "invented_readers.csv"
SOURCES = {"reader 1": "reader_1", "reader 2": "reader_2", "rules": "rule_system"}


@pytest.fixture(scope="module")
def read():
    return read_label_columns(INVENTED, SOURCES, id_column="report", patient_column="patient")


def test_a_table_as_published_gives_the_scores_counted_by_hand(read):
    # Counted in the file: 36 names by reader 1, 36 by reader 2, 20 by the rules; 33, 17 and 18 of them shared.
    found = ceiling([read.tables["reader 1"], read.tables["reader 2"]], [read.tables["rules"]], task="choice")
    assert found[["source", "reference"]].to_numpy().tolist() == [
        ["reader 2", "reader 1"],
        ["rules", "reader 1"],
        ["rules", "reader 2"],
    ]
    values = [2 * 33 / 72, 2 * 17 / 56, 2 * 18 / 56]
    assert found["value"].tolist() == pytest.approx(values)
    assert found["distance"].tolist()[1:] == pytest.approx([values[1] - values[0], values[2] - values[0]])
    assert np.isnan(found["distance"][0]) and (found["distance_high"][1:] < 0).all()


def test_the_same_table_through_scikit_learn(read):
    ids = read.reports["report_id"]
    cells = {s: label_matrix(t, ids, CATEGORIES, "certain") for s, t in read.tables.items()}
    found = ceiling([read.tables["reader 1"], read.tables["reader 2"]], [read.tables["rules"]], task="choice")
    for row in found.itertuples():
        theirs = f1_score(cells[row.reference], cells[row.source], average="micro")
        assert row.value == pytest.approx(theirs)
    scores = score(read.tables["reader 1"], read.tables["rules"], task="choice", reports=read.reports)
    micro = scores[scores["label"] == "micro"].set_index("metric")["value"]
    pair = cells["reader 1"], cells["rules"]
    assert micro["precision"] == pytest.approx(precision_score(*pair, average="micro"))
    assert micro["recall"] == pytest.approx(recall_score(*pair, average="micro"))


def test_every_other_comparison_takes_the_tables_too(read):
    one, two, rules = read.tables.values()
    assert agreement(read.tables.values(), task="choice").loc["reader 2", "rules"] == pytest.approx(36 / 56)
    found = paired_table(one, two, rules, task="choice", reports=read.reports, n_bootstrap=100)
    assert found.set_index("label").loc["micro", "value"] == pytest.approx(66 / 72 - 34 / 56)
    assert found.attrs["n_patients"] == 24


def test_intervals_draw_patients(read):
    readers = [read.tables["reader 1"], read.tables["reader 2"]]
    found = ceiling(readers, [], task="choice", reports=read.reports)
    assert len(found) == 1 and found["n_patients"][0] == 24
    assert found["low"][0] < 33 / 36 < found["high"][0]


def test_a_third_reader_as_good_as_the_others_is_not_told_from_them(table, noisy):
    truth, one = noisy(80, 0.02, 1)
    flips = [np.random.default_rng(s).random((80, 13)) < 0.02 for s in (2, 3)]
    two, three = ((np.array(truth, bool) ^ f).astype(int).tolist() for f in flips)
    found = ceiling([table("one", one), table("two", two)], [table("three", three)], task="choice")
    assert (found["distance_low"][1:] < 0).all() and (found["distance_high"][1:] > 0).all()


def test_bad_readers_are_named(table):
    one = table("one", [[1], [0]])
    with pytest.raises(RadbookError, match="two readers, not 1"):
        ceiling([one], [], task="choice")
    with pytest.raises(RadbookError, match="both readers are called 'one'"):
        ceiling([one, one], [], task="choice")
