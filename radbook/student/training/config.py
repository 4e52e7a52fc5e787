"""The parameters of a fine-tuning run: checked before anything loads, each refusal naming the parameter."""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from radbook.core.errors import RadbookError, choose, did_you_mean
from radbook.student.base import BACKENDS

__all__ = ["Settings", "read_config"]


@dataclass(frozen=True)
class Settings:
    """What a student is trained with; `Settings(...)` refuses a value that cannot be meant.

    >>> Settings(rank=0)
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: rank is 0: give a whole number of at least 1
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
    load_in_4bit: bool = False
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
        choose(self.backend, BACKENDS, "backend")
        if not isinstance(self.load_in_4bit, bool):
            raise RadbookError(f"load_in_4bit is {self.load_in_4bit!r}: give true or false")
        if not isinstance(self.targets, str) or not self.target_names():
            raise RadbookError(
                f"targets is {self.targets!r}: give 'all-linear' or layer names such as 'q_proj,v_proj'"
            )

    def target_names(self) -> list[str]:
        """Return the layer names in `targets`, separated by commas there."""
        return [name.strip() for name in self.targets.split(",") if name.strip()]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the YAML (or JSON) file of a training that several processes share.

    Returns
    -------
    dict
        `instructions` and `out_dir`, relative to the current folder where they are, and the options of `finetune`
        that the file sets.

    Raises
    ------
    RadbookError
        For a file that is no flat mapping, a key that is missing or unknown, or a value that cannot be meant.
    """
    path = Path(path)
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RadbookError(f"the configuration {path} cannot be read: {reason}") from None
    if not isinstance(config, dict):
        raise RadbookError(f"the configuration {path} is not a mapping: write one `name: value` per line")
    kinds = {field.name: field.type for field in fields(Settings)}
    known = ["instructions", "out_dir", *kinds]
    for key in config:
        if key not in known:
            hint = did_you_mean(str(key), known) or f"; keys are {', '.join(known)}"
            raise RadbookError(f"{path.name} {key}: there is no such key{hint}")
    for key in ("instructions", "out_dir"):
        if not isinstance(config.get(key), str) or not config[key]:
            raise RadbookError(f"{path.name} {key}: give a path, it is {config.get(key)!r}")
    for key, value in config.items():  # YAML reads 1e-4 as text
        if kinds.get(key) is float and isinstance(value, str):
            try:
                config[key] = float(value)
            except ValueError:
                raise RadbookError(f"{path.name} {key}: {value!r} is not a number") from None
    Settings(**{k: v for k, v in config.items() if k in kinds})
    return config


def _whole(name: str, value: Any, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RadbookError(f"{name} is {value!r}: give a whole number of at least {least}")


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RadbookError(f"{name} is {value!r}: give a number")
