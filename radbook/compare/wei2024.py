"""Figures of others that the book quotes: what Wei et al. (2024) report, and what they released.

They are typed here and nowhere else; every figure of ours is measured.
"""

import math
from collections.abc import Mapping

__all__ = ["ALL_EXAMPLES", "FEW_EXAMPLES", "PUBLISHED", "RELEASED", "RELEASED_CODES", "steps_of"]

# "computed by us": from the label columns that the authors released, 100 reports.
PUBLISHED = {
    "choice, student": 0.67,
    "choice, NegBio": 0.63,
    "open, student": 0.91,
    "open, GPT-4o": 0.93,
    "NegBio against reader 1": {"value": 0.652, "low": 0.59, "high": 0.72},
    "NegBio against reader 2": {"value": 0.637, "low": 0.58, "high": 0.69},
    "reader 1 against reader 2": {"value": 0.939, "low": 0.91, "high": 0.96},
    "NegBio precision": 0.88,
    "NegBio recall": 0.52,
    "reports": 100,
    "patients": 80,
}
# What decides the steps of a training and their rates in the released settings.
RELEASED = {"learning_rate": 3e-4, "warmup": 100, "epochs": 1, "batch_size": 2, "accumulation": 64}
ALL_EXAMPLES = 9_000 + 4_500
"""Training examples, open-ended and of MIMIC, by the name of the training file."""
FEW_EXAMPLES = 1_000
"""A small sample, to set beside it."""
# Codes of worked examples in the released prompts, each with the phrase it stands for there.
RELEASED_CODES = {
    "Z48.02": "chest tube",
    "Z96.1": "endotracheal tube",
    "Z46.6": "pigtail catheter",
    "Z95.2": "Swan-Ganz catheter",
    "I31.3": "pericardial effusion",
    "I50.1": "pulmonary edema",
    "J81.0": "pulmonary edema",
}


def steps_of(rows: int, settings: Mapping[str, float]) -> int:
    """Return the steps of a training; the last one of an epoch may not be full, and counts.

    >>> steps_of(1000, {"batch_size": 2, "accumulation": 64, "epochs": 1})
    8
    """
    micro_batches = math.ceil(rows / settings["batch_size"])
    return math.ceil(math.ceil(micro_batches / settings["accumulation"]) * settings["epochs"])
