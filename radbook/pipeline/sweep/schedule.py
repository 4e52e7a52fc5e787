"""The arithmetic of a training: its steps, those of its warm-up, and the highest learning rate that it reaches."""

import math
from collections.abc import Mapping

__all__ = ["highest_rate", "steps_of"]


def steps_of(rows: int, settings: Mapping[str, float]) -> int:
    """Return the steps of a training; the last one of an epoch may not be full, and counts.

    >>> steps_of(1000, {"batch_size": 2, "accumulation": 64, "epochs": 1})
    8
    """
    micro_batches = math.ceil(rows / settings["batch_size"])
    return math.ceil(math.ceil(micro_batches / settings["accumulation"]) * settings["epochs"])


def highest_rate(rows: int, settings: Mapping[str, float]) -> tuple[int, int, float]:
    """Return the steps of a training, those of its warm-up, and the highest learning rate that it reaches.

    Parameters
    ----------
    rows
        Rows of the training set, all tasks together.
    settings
        learning_rate, warmup, epochs, batch_size and accumulation, as the chapter on fine-tuning takes them.

    Examples
    --------
    >>> released = {"learning_rate": 3e-4, "warmup": 100, "epochs": 1, "batch_size": 2, "accumulation": 64}
    >>> highest_rate(1000, released)
    (8, 100, 2.1e-05)
    >>> highest_rate(1000, released | {"warmup": 0.1})
    (8, 1, 0.0003)
    """
    steps, warmup = steps_of(rows, settings), settings["warmup"]
    warm = int(warmup) if warmup >= 1 else math.ceil(warmup * steps)
    # The first step has the rate 0, and each adds one part of the warm-up.
    reached = 1.0 if steps > warm else (steps - 1) / warm
    return steps, warm, settings["learning_rate"] * reached
