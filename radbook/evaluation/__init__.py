"""How good is a source of labels: scores with intervals, paired comparisons, and lists of its errors."""

from radbook.evaluation.calibration import Calibration, calibrate, calibration_error, reliability
from radbook.evaluation.coverage import certainty, risk_coverage
from radbook.evaluation.errors import agreement, confusion, disagreements
from radbook.evaluation.intervals import exact_interval, paired_difference
from radbook.evaluation.matrix import POLICIES, label_matrix
from radbook.evaluation.scores import score, score_all

__all__ = [
    "POLICIES",
    "Calibration",
    "agreement",
    "calibrate",
    "calibration_error",
    "certainty",
    "confusion",
    "disagreements",
    "exact_interval",
    "label_matrix",
    "paired_difference",
    "reliability",
    "risk_coverage",
    "score",
    "score_all",
]
