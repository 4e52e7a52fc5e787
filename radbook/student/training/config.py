"""The parameters of a training: their names, types, defaults, meaning and checks stand here, once."""

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path

from radbook.core.errors import RadbookError, choose
from radbook.core.yaml12 import read_yaml
from radbook.student.base import BACKENDS

__all__ = ["Settings", "read_config", "world_size"]

_MAY_BE_ZERO = ("warmup", "weight_decay", "seed")


@dataclass(frozen=True)
class Settings:
    """What a student is trained with; a value that cannot be meant is refused before anything loads.

    Parameters
    ----------
    base_model
        A packaged base ("tiny", "tiny-taught", "smollm2"), a folder, or a hub id; see `radbook.student.base.load_base`.
    rank, alpha, targets
        LoRA's rank, its scale, and the layers it adapts: "all-linear", or names separated by commas ("q_proj,v_proj").
    learning_rate, epochs, weight_decay
        AdamW with a cosine schedule.
    batch_size, accumulation
        One step sees batch_size x accumulation rows, whatever the number of processes: several share them, each with
        its part of the accumulation, or of the batch if the accumulation cannot be divided.
    warmup
        Below 1 a fraction of all steps, from 1 on a number of steps.
    seed
        Seed of the adapter's first weights and of the order of the rows.
    backend
        "auto", "unsloth" or "peft".
    load_in_4bit
        Keep the base in 4 bits while training (CUDA and bitsandbytes only); the finished student runs in 16.
    checkpoint_steps
        Save the state every so many steps.

    Raises
    ------
    RadbookError
        For a value that cannot be meant; the message names the parameter.

    Examples
    --------
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
        for field in fields(self):
            _check(field.name, getattr(self, field.name), field.type)
        if self.warmup >= 1 and self.warmup != int(self.warmup):
            raise RadbookError(
                f"warmup is {self.warmup}: give a fraction of the steps below 1, or a whole number of steps"
            )
        choose(self.backend, BACKENDS, "backend")

    def per_process(self, processes: int) -> tuple[int, int]:
        """Return batch size and accumulation of one process, so that a step sees as many rows with any number of them.

        >>> Settings(batch_size=2, accumulation=64).per_process(8)
        (2, 8)
        >>> Settings(batch_size=16, accumulation=1).per_process(2)
        (8, 1)
        """
        if self.accumulation % processes == 0:
            return self.batch_size, self.accumulation // processes
        if self.batch_size % processes == 0:
            return self.batch_size // processes, self.accumulation
        raise RadbookError(
            f"{processes} processes can share neither accumulation {self.accumulation} nor batch_size "
            f"{self.batch_size}: make one of them a multiple of {processes}"
        )


def _check(name: str, value: object, kind: type) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    least = 0 if name in _MAY_BE_ZERO else 1
    if kind is int and not (number and isinstance(value, int) and value >= least):
        wanted = f"a whole number of at least {least}"
    elif kind is float and not (number and (value > 0 or value == 0 == least)):
        wanted = "a number above 0" if least else "a number, 0 or more"
    elif kind is bool and not isinstance(value, bool):
        wanted = "true or false"
    elif name == "targets" and not (isinstance(value, str) and value.strip(" ,")):
        wanted = "'all-linear' or layer names such as 'q_proj,v_proj'"
    else:
        return
    raise RadbookError(f"{name} is {value!r}: give {wanted}")


def world_size() -> int:
    """Return how many processes train together, as `accelerate launch` and `torchrun` say it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def read_config(path: str | Path) -> tuple[str, str, Settings]:
    """Read the YAML (or JSON) file of a training: the paths of instructions and student, and the settings."""
    path = Path(path)
    config = read_yaml(path, f"the configuration {path} cannot be read")
    if not isinstance(config, dict):
        raise RadbookError(f"the configuration {path} is not a mapping: write one `name: value` per line")
    kinds = {"instructions": str, "out_dir": str, **{field.name: field.type for field in fields(Settings)}}
    for key in config:
        choose(key, kinds, f"{path.name}, key")
    for key in ("instructions", "out_dir"):
        if not isinstance(config.get(key), str) or not config[key]:
            raise RadbookError(f"{path.name} {key}: give a path, it is {config.get(key)!r}")
    return config.pop("instructions"), config.pop("out_dir"), Settings(**config)
