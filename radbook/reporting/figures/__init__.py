"""The book's figures: each function takes tables and returns a matplotlib Figure, and draws the same picture every time.

Figures are 7.5 inches wide, on white so that they read on a dark page too, in a palette that color-blind readers can tell
apart; sources also differ by marker.
Titles are neutral: what a figure shows is said by its caption, which comes from the run.
"""

from radbook.reporting.figures.canvas import FEW_POSITIVES, WIDTH
from radbook.reporting.figures.corpus import category_counts, report_lengths, token_lengths
from radbook.reporting.figures.curves import growth_curve, loss_curve, risk_curve
from radbook.reporting.figures.errors import FEW_DECISIONS, bucket_shares, fate_bars
from radbook.reporting.figures.power import power_curve
from radbook.reporting.figures.quality import (
    disagreement_heatmap,
    error_shares,
    quality_dial,
    sensitivity_specificity,
)
from radbook.reporting.figures.scores import f1_bars, paired_forest, score_forest
from radbook.reporting.figures.sweep import sweep_curve, sweep_rows

__all__ = [
    "FEW_DECISIONS",
    "FEW_POSITIVES",
    "WIDTH",
    "bucket_shares",
    "category_counts",
    "disagreement_heatmap",
    "error_shares",
    "f1_bars",
    "fate_bars",
    "growth_curve",
    "loss_curve",
    "paired_forest",
    "power_curve",
    "quality_dial",
    "report_lengths",
    "risk_curve",
    "score_forest",
    "sensitivity_specificity",
    "sweep_curve",
    "sweep_rows",
    "token_lengths",
]
