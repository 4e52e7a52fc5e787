"""The hint at the end of a message."""

import pytest

from radbook.core.errors import did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("learning_rat", ["learning_rate", "seed"], "; did you mean learning_rate?"),
        ("text", ["Report Text", "TEXT"], "; did you mean TEXT?"),
        ("F1", ["f1", "precision"], "; did you mean f1?"),
        ("n", ["run"], ""),
        ("zzz", ["text"], ""),
        ("text", [], ""),
    ],
)
def test_only_a_near_name_is_suggested_in_its_own_spelling(name, known, hint):
    assert did_you_mean(name, known) == hint
