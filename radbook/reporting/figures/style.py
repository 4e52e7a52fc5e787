"""What every figure shares: size, style, palette, and the marks it is drawn with."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radbook.core.errors import RadbookError

__all__ = ["PALETTE", "ROW", "canvas", "legend"]

WIDTH = 7.5  # inches: the text width of a book page
ROW = 0.34  # inches per row of a forest or of bars
PALETTE = sns.color_palette("colorblind")
MARKERS = "osD^vPX"
_STYLE = {"axes.spines.top": False, "axes.spines.right": False}


@contextmanager
def canvas(height: float, *, columns: int = 1) -> Iterator[tuple[Figure | Axes, ...]]:
    """Open a figure of the page's width and `height` inches in the book's style: the figure, then its panels side by side."""
    # The figure is closed for pyplot, so that a notebook shows it once: as the value of its cell.
    with sns.axes_style("whitegrid", rc=_STYLE), sns.plotting_context("notebook"), plt.rc_context({"legend.frameon": False}):
        figure, axes = plt.subplots(1, columns, figsize=(WIDTH, height), sharey=True, layout="constrained")
        plt.close(figure)
        yield figure, *np.atleast_1d(axes)


def legend(figure: Figure, ax: Axes) -> None:
    """Put the legend of `ax` below the figure, where it covers no data however many sources there are."""
    handles, names = ax.get_legend_handles_labels()
    if names:
        figure.legend(handles, names, loc="outside lower center", ncols=2 if len(names) == 4 else 3, fontsize=11)


def nonempty(rows: pd.DataFrame, figure: str, what: str) -> None:
    """Refuse a table without rows."""
    if rows.empty:
        raise RadbookError(f"{figure}: there is no {what} to draw")


def only_one(scores: pd.DataFrame, figure: str, *columns: str) -> None:
    """Refuse a table that mixes what one figure cannot."""
    for column in columns:
        values = sorted(scores[column].unique())
        if len(values) != 1:
            several = ", ".join(values) or "nothing"
            raise RadbookError(f"{figure} shows one {column}, but scores has {several}: filter it first")


def about(scores: pd.DataFrame) -> str:
    """Task, policy and size of the first score, as a title."""
    row = scores.iloc[0]
    return f"Task {row['task']}, policy {row['policy']}, {row['n_reports']:,} reports"
