"""How good is a source of labels: scores with intervals, paired comparisons, and lists of its errors.

A corpus may have no curated labels: every function here then returns its usual shape with unknown values or no rows.
"""

from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.calibration import Calibration, calibrate, calibration_error, judge, reliability
from radbook.evaluation.comparison import Comparison, compare, has_reference
from radbook.evaluation.confusion import confusion, disagreements
from radbook.evaluation.label_matrix import POLICIES, label_matrix
from radbook.evaluation.paired import holm, paired_difference, paired_table
from radbook.evaluation.power import paired_power, reports_needed
from radbook.evaluation.reader_agreement import agreement, ceiling, quality_of_agreement
from radbook.evaluation.scores import FEW_POSITIVES, constant_labels, score
from radbook.evaluation.selective import certainty, risk_coverage

__all__ = [
    "FEW_POSITIVES",
    "POLICIES",
    "Calibration",
    "Comparison",
    "agreement",
    "calibrate",
    "calibration_error",
    "ceiling",
    "certainty",
    "compare",
    "confusion",
    "constant_labels",
    "disagreements",
    "exact_interval",
    "has_reference",
    "holm",
    "judge",
    "label_matrix",
    "paired_difference",
    "paired_power",
    "paired_table",
    "quality_of_agreement",
    "reliability",
    "reports_needed",
    "risk_coverage",
    "score",
]
