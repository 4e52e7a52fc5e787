"""What is said of a finding, and which of two statements counts."""

import pytest

from radbook.core.findings import STRENGTH, Presence, finding, strongest


def test_an_unknown_presence_is_refused():
    with pytest.raises(ValueError, match="perhaps"):
        finding("Edema", "perhaps")


def test_present_is_stronger_than_uncertain_and_uncertain_than_absent():
    assert STRENGTH[Presence.PRESENT] > STRENGTH["uncertain"] > STRENGTH[Presence.ABSENT]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([("a", "absent", 1), ("a", "present", 2), ("a", "uncertain", 3)], {"a": 2}),
        ([("a", "present", 1), ("a", Presence.PRESENT, 2)], {"a": 1}),
        ([("b", "absent", 1), ("a", "uncertain", 2), ("b", "uncertain", 3)], {"b": 3, "a": 2}),
        ([], {}),
    ],
)
def test_the_strongest_statement_of_each_code_is_kept_and_the_first_of_equals(said, kept):
    best = strongest((code, finding(code, presence, start=start)) for code, presence, start in said)
    assert {code: entry["start"] for code, entry in best.items()} == kept
    assert list(best) == list(kept)
