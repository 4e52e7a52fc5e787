"""The parameters of a fine-tuning run: checked before anything loads, each refusal naming the parameter."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from radbook.errors import RadbookError
from radbook.student.base import BACKENDS

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What a student is trained with; `Settings(...)` refuses a value that cannot be meant.

    >>> Settings(rank=0)
    Traceback (most recent call last):
        ...
    radbook.errors.RadbookError: rank is 0: give a whole number of at least 1
    """

    base_model: str = "tiny"
    rank: int = 16
    alpha: int = 32
    targets: str = "all-linear"
    learning_rate: float = 1e-3
    epochs: float = 3.0
    batch_size: int = 16
    accumulation: int = 1
    warmup: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0
    backend: str = "auto"
    checkpoint_steps: int = 50

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "batch_size", "accumulation", "checkpoint_steps"):
            _whole(name, getattr(self, name), least=1)
        _whole("seed", self.seed, least=0)
        for name in ("learning_rate", "epochs"):
            _number(name, getattr(self, name))
            if not getattr(self, name) > 0:
                raise RadbookError(f"{name} is {getattr(self, name)}: give a number above 0")
        for name in ("warmup", "weight_decay"):
            _number(name, getattr(self, name))
            if getattr(self, name) < 0:
                raise RadbookError(f"{name} is {getattr(self, name)}: give 0 or more")
        if self.warmup >= 1 and self.warmup != int(self.warmup):
            raise RadbookError(
                f"warmup is {self.warmup}: give a fraction of the steps below 1, or a whole number of steps"
            )
        if self.backend not in BACKENDS:
            raise RadbookError(f"backend is {self.backend!r}: give one of {', '.join(BACKENDS)}")
        if not isinstance(self.targets, str) or not self.target_names():
            raise RadbookError(
                f"targets is {self.targets!r}: give 'all-linear' or layer names such as 'q_proj,v_proj'"
            )

    def target_names(self) -> list[str]:
        """Return the layer names in `targets`, separated by commas there."""
        return [name.strip() for name in self.targets.split(",") if name.strip()]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _whole(name: str, value: Any, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RadbookError(f"{name} is {value!r}: give a whole number of at least {least}")


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RadbookError(f"{name} is {value!r}: give a number")
