"""Figures of counts: lengths of reports, and fates of errors."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.reporting.figures.style import PALETTE, ROW, canvas, legend

__all__ = ["fate_bars", "report_lengths"]


def report_lengths(reports: pd.DataFrame) -> Figure:
    """Histogram of report length in words; the longest hundredth shares the last bar, empty reports are counted in the title."""
    words = reports["text"].str.split().str.len().to_numpy()
    written, empty = words[words > 0], int((words == 0).sum())
    top = max(10, int(np.quantile(words, 0.99))) if len(words) else 10
    with canvas(3.4) as (figure, ax):
        ax.hist(np.minimum(written, top), bins=40, range=(0, top), color=PALETTE[0], edgecolor="white")
        if len(written):
            median = np.median(written)
            ax.axvline(median, color="0.2", linestyle="--", label=f"median {median:,.0f}")
            legend(figure, ax)
        ax.set(xlabel=f"words per report (last bar: {top:,} or more)", ylabel="reports")
        ax.set_title(f"Length of {len(words):,} reports" + (f", {empty:,} of them empty" if empty else ""))
    return figure


def fate_bars(counts: pd.DataFrame) -> Figure:
    """One row per label: errors of the teacher that the student corrected, to the left; shared and added ones, to the right.

    Parameters
    ----------
    counts
        Labels by "corrected", "shared" and "added" (counts of decisions).
    """
    stacked = counts.assign(corrected=-counts["corrected"])[["corrected", "shared", "added"]]
    colors = [PALETTE[position] for position in (2, 0, 1)]
    with canvas(1.6 + ROW * len(counts)) as (figure, ax):
        stacked.plot.barh(stacked=True, width=0.65, color=colors, legend=False, ax=ax)
        ax.axvline(0, color="0.3", linewidth=1)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0f}")
        sides = "left: the teacher's alone, right: the student's"
        ax.set(xlabel=f"wrong decisions (count); {sides}", ylabel="", title="What became of errors")
        legend(figure, ax)
    return figure
