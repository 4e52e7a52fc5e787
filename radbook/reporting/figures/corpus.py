"""Figures of what is in a corpus: findings per category, and lengths of reports and examples."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radbook.reporting.figures.canvas import PALETTE, ROW, canvas, legend, mark, row_names

__all__ = ["category_counts", "report_lengths", "token_lengths"]


def category_counts(counts: pd.Series | pd.DataFrame) -> Figure:
    """Number of reports per category: one bar each, or stacked by split.

    Parameters
    ----------
    counts
        Reports with the finding: a Series indexed by category, or a table with categories as rows and splits as columns.
    """
    counts = counts.to_frame("reports") if isinstance(counts, pd.Series) else counts
    with canvas(0.9 + ROW * len(counts)) as (figure, ax):
        left = np.zeros(len(counts))
        for color, name in zip(cycle(PALETTE), counts, strict=False):
            values = counts[name].to_numpy()
            ax.barh(counts.index, values, left=left, color=color, label=name, edgecolor="white")
            left += values
        for row, total in enumerate(left):
            ax.text(total, row, f" {int(total):,}", va="center", fontsize=11)
        row_names(ax, counts.index)
        ax.margins(x=0.1)
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="reports with the finding", title="Findings per category")
        if counts.shape[1] > 1:
            legend(figure, ax)
    return figure


def report_lengths(reports: pd.DataFrame) -> Figure:
    """Histogram of report length in words; the longest hundredth shares the last bar, empty reports are counted in the title."""
    words = reports["text"].str.split().str.len().to_numpy()
    top = max(10, int(np.quantile(words, 0.99))) if len(words) else 10
    with canvas(3.4) as (figure, ax):
        shown = np.minimum(words[words > 0], top)
        ax.hist(shown, bins=40, range=(0, top), color=PALETTE[0], edgecolor="white")
        if (words > 0).any():
            mark(ax, float(np.median(words[words > 0])), "median {:,.0f}")
        empty = int((words == 0).sum())
        ax.set(
            xlabel=f"words per report (last bar: {top:,} or more)",
            ylabel="reports",
            title=f"Length of {len(words):,} reports" + (f", {empty:,} of them empty" if empty else ""),
        )
    return figure


def token_lengths(instructions: pd.DataFrame, limit: int) -> Figure:
    """Histogram of prompt plus completion length in tokens per task, with a line at `limit`."""
    total = instructions["prompt_tokens"] + instructions["completion_tokens"]
    edges = np.linspace(0, max(int(total.max()) if len(total) else 0, limit) * 1.05, 41)
    with canvas(3.4) as (figure, ax):
        for position, (task, rows) in enumerate(total.groupby(instructions["task"])):
            ax.hist(rows, bins=edges, histtype="stepfilled", alpha=0.35, color=PALETTE[position])
            label = f"{task} ({len(rows):,})"
            ax.hist(rows, bins=edges, histtype="step", linewidth=2, color=PALETTE[position], label=label)
        mark(ax, limit, "limit {:,.0f}")
        ax.set(
            xlabel="tokens per example (prompt and completion)", ylabel="examples", title="Length of examples"
        )
        if len(total):
            legend(figure, ax)
    return figure
