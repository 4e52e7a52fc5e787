"""What became of errors: corrected, shared and added; and whole answers in pairs."""

import pandas as pd

from radbook.evaluation.error_transfer import FATES, PAIRS, also_wrong, fates, pairs


def test_fates_and_pairs_count_each_report_once(five):
    decided = five.decided
    found = pairs(decided, teacher="rules", student="student:x")
    assert list(found.index) == list(PAIRS) and found["reports"].tolist() == [1] * 5
    assert fates(decided, teacher="rules", student="student:x").to_dict() == {
        ("r1", "Edema"): "added",
        ("r2", "Edema"): "corrected",
        ("r3", "Edema"): "shared",
        ("r3", "Fracture"): "shared",
        ("r4", "Edema"): "corrected",
        ("r4", "Fracture"): "added",
    }


def test_what_nobody_answered_is_no_error_that_was_added_or_corrected(five):
    assert fates(five.decided, teacher="rules", student="nobody").empty
    assert fates(five.decided, teacher="nobody", student="student:x").empty


def test_an_error_that_the_untrained_makes_as_well_was_not_unlearned(five):
    found = fates(five.decided, teacher="rules", student="student:x")
    base = five.decided.assign(source=five.decided["source"].replace("student:x", "base"))
    # This base has Edema of r1 and r3 wrong, as the student has, and Fracture right.
    base.loc[(base["source"] == "base") & (base["code"] == "Fracture"), "outcome"] = "right"
    untrained = fates(base, teacher="rules", student="base")
    assert found.value_counts().reindex(FATES).tolist() == [2, 2, 2]
    assert also_wrong(found, untrained) == {"shared": 1, "added": 1}
    assert also_wrong(found, pd.Series([], index=found.index[:0], dtype=object)) == {"shared": 0, "added": 0}
