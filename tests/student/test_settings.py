import pytest

from radbook.errors import RadbookError
from radbook.student.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0), ("rank", 2.5), ("rank", True), ("alpha", -1), ("learning_rate", "1e-3"), ("learning_rate", 0.0),
        ("learning_rate", float("nan")), ("epochs", -1.0), ("epochs", None), ("batch_size", 0), ("accumulation", 0),
        ("warmup", -0.1), ("warmup", 1.5), ("weight_decay", -0.01), ("seed", -1), ("seed", "a"), ("backend", "jax"),
        ("targets", ""), ("targets", 4), ("checkpoint_steps", 0),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(RadbookError, match=f"^{name} is "):
        Settings(**{name: value})
