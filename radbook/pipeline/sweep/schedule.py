"""The arithmetic of a training: its steps, those of its warm-up, and the highest learning rate that it reaches."""

import math
from collections.abc import Mapping

import pandas as pd

__all__ = ["highest_rate", "rates", "steps_of"]


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


def rates(part: pd.DataFrame, fixed: Mapping[str, object]) -> pd.DataFrame:
    """Return what `highest_rate` says of every run, with its rows, its warm-up and its seed.

    Parameters
    ----------
    part
        Rows of a sweep's table, with the parameters that some curve varies.
    fixed
        The parameters that no curve varies.

    Examples
    --------
    >>> row = {"run": "a", "source": "student", "seed": 1, "n_train": 64, "warmup": 0.5}
    >>> fixed = {"learning_rate": 1e-3, "epochs": 1, "batch_size": 16, "accumulation": 1}
    >>> rates(pd.DataFrame([row]), fixed).loc["a"].tolist()
    [1.0, 0.5, 64.0, 4.0, 2.0, 0.001]
    """
    rows = {}
    for run, found in part[part["source"] == "student"].groupby("run", sort=False):
        settings = {**fixed, **found.iloc[0].to_dict()}
        total = int(found["n_train"].sum())
        steps, warm, reached = highest_rate(total, settings)
        rows[run] = {
            "seed": settings["seed"], "warmup": settings["warmup"], "rows": total,
            "steps": steps, "steps of warm-up": warm, "highest rate": reached,
        }  # fmt: skip
    columns = ["seed", "warmup", "rows", "steps", "steps of warm-up", "highest rate"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
