import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radbook.core.errors import RadbookError
from radbook.corpora.splits import assign_splits


def test_shares_are_met_and_seeds_differ():
    splits = assign_splits(range(20_000), seed=1, test_fraction=0.2, dev_fraction=0.1)
    shares = splits.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.01)
    assert shares["dev"] == pytest.approx(0.1, abs=0.01)
    assert not splits.equals(assign_splits(range(20_000), seed=2))


@given(st.lists(st.text(max_size=6), max_size=30), st.lists(st.text(max_size=6), max_size=10), st.integers())
def test_patients_stay_together_and_in_place_when_rows_are_added(patients, more, seed):
    before = assign_splits(patients, seed=seed)
    after = assign_splits(more + patients, seed=seed)
    assert before.tolist() == after.tolist()[len(more) :]
    pairs = set(zip(more + patients, after, strict=True))
    assert len(pairs) == len(set(more + patients))


def test_numbers_and_their_text_are_the_same_patient_and_the_index_is_kept():
    ids = pd.Series([7, 8], index=["x", "y"])
    assert assign_splits(ids, seed=0).index.tolist() == ["x", "y"]
    assert assign_splits(ids, seed=0).tolist() == assign_splits(["7", "8"], seed=0).tolist()


def test_zero_fractions_leave_only_train():
    assert set(assign_splits(range(50), seed=0, test_fraction=0, dev_fraction=0)) == {"train"}


@pytest.mark.parametrize(
    ("fractions", "named"),
    [((1.0, 0.1), "test_fraction"), ((0.2, -0.1), "dev_fraction"), ((0.6, 0.4), "nothing to train on")],
)
def test_impossible_fractions_are_refused(fractions, named):
    with pytest.raises(RadbookError, match=named):
        assign_splits(["a"], seed=0, test_fraction=fractions[0], dev_fraction=fractions[1])
