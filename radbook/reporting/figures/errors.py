"""Figures of errors by what surrounds them, and of what a student makes of its teacher's errors."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.core.errors import RadbookError
from radbook.evaluation.error_transfer import FATES
from radbook.reporting.figures.canvas import (
    GRAY,
    PALETTE,
    ROW,
    canvas,
    dots,
    legend,
    offset,
    row_names,
)

__all__ = ["FEW_DECISIONS", "bucket_shares", "fate_bars"]

FEW_DECISIONS = (
    30  # a bucket with fewer decisions is grayed: an error more or less moves its share by hundredths
)
_SIDES = {"corrected": PALETTE[2], "shared": PALETTE[0], "added": PALETTE[1]}


def bucket_shares(rates: pd.DataFrame) -> Figure:
    """One panel per task, one row per bucket, one dot with its exact interval per role: the share that is wrong; few are gray.

    Parameters
    ----------
    rates
        Tables of `radbook.evaluation.error_slices.bucket_rates`, concatenated, with the columns task and role: the role, such as
        "student" or "teacher", gives mark and color.
    """
    if rates.empty:
        raise RadbookError("bucket_shares: there is no share to draw")
    order, tasks = (list(dict.fromkeys(rates[name])) for name in ("label", "task"))
    roles = list(dict.fromkeys(rates["role"]))
    gray = set(rates.loc[rates["tries"] < FEW_DECISIONS, "label"])
    note = f"\n* gray: fewer than {FEW_DECISIONS} decisions" if gray else ""
    with canvas(1.9 + max(ROW, 0.17 * len(roles)) * len(order), columns=len(tasks)) as (figure, panels):
        for ax, task in zip(np.atleast_1d(panels), tasks, strict=True):
            for position, role in enumerate(roles):
                rows = (
                    rates[(rates["task"] == task) & (rates["role"] == role)].set_index("label").reindex(order)
                )
                colors = [PALETTE[position % 10] if n >= FEW_DECISIONS else GRAY for n in rows["tries"]]
                y = np.arange(len(order)) + offset(position, len(roles))
                dots(ax, rows, y, colors, position, role)
            row_names(ax, [f"{name} *" if name in gray else name for name in order])
            ax.axhline(0.5, color="0.3", linewidth=1)
            ax.set_xlim(left=-0.02)
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.set(
                title=f"Task {task}",
                xlabel=f"share of decisions that is wrong\n(fraction), 95% exact interval{note}",
            )
        legend(figure, np.atleast_1d(panels)[0])
    return figure


def fate_bars(counts: pd.DataFrame) -> Figure:
    """One row per label: errors of the teacher that the student corrected, to the left; shared and added ones, to the right.

    Parameters
    ----------
    counts
        Labels by "corrected", "shared" and "added" (counts of decisions).
    """
    y = np.arange(len(counts))
    with canvas(1.6 + ROW * len(counts)) as (figure, ax):
        left = np.zeros(len(counts))
        for fate in FATES:
            values = counts[fate].to_numpy(float)
            start = -values if fate == "corrected" else left
            ax.barh(y, values, left=start, height=0.65, color=_SIDES[fate], label=fate)
            left = left if fate == "corrected" else left + values
        ax.axvline(0, color="0.3", linewidth=1)
        row_names(ax, list(counts.index))
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0f}")
        ax.set(
            xlabel="wrong decisions (count); left: the teacher's alone, right: the student's",
            title="What became of errors",
        )
        legend(figure, ax)
    return figure
