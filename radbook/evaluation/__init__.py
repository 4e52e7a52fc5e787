"""How good is a source of labels: scores with intervals, paired comparisons, and lists of its errors."""

from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.calibration import (
    Calibration,
    calibrate,
    calibration_error,
    calibration_gain,
    reliability,
)
from radbook.evaluation.confusion import agreement, confusion, disagreements
from radbook.evaluation.label_matrix import POLICIES, label_matrix
from radbook.evaluation.metrics import FEW_POSITIVES
from radbook.evaluation.paired import holm, paired_difference, paired_table
from radbook.evaluation.power import paired_power, reports_needed
from radbook.evaluation.reader_agreement import ceiling
from radbook.evaluation.scores import score, score_all
from radbook.evaluation.selective import certainty, risk_coverage

__all__ = [
    "FEW_POSITIVES",
    "POLICIES",
    "Calibration",
    "agreement",
    "calibrate",
    "calibration_error",
    "calibration_gain",
    "ceiling",
    "certainty",
    "confusion",
    "disagreements",
    "exact_interval",
    "holm",
    "label_matrix",
    "paired_difference",
    "paired_power",
    "paired_table",
    "reliability",
    "reports_needed",
    "risk_coverage",
    "score",
    "score_all",
]
