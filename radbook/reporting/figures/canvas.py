"""What every figure shares: size, style, palette, and the marks it is drawn with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radbook.core.errors import RadbookError
from radbook.evaluation import FEW_POSITIVES

__all__ = [
    "FEW_POSITIVES",
    "GRAY",
    "MARKERS",
    "PALETTE",
    "ROW",
    "WIDTH",
    "about",
    "canvas",
    "dots",
    "legend",
    "mark",
    "offset",
    "only_one",
    "row_names",
]

WIDTH = 7.5  # inches: the text width of a book page
ROW = 0.34  # inches per row of a forest
PALETTE = sns.color_palette("colorblind")
MARKERS = "osD^vPX"
GRAY = "0.6"
_STYLE = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "radbook",
}


@contextmanager
def canvas(height: float, *, columns: int = 1) -> Iterator[tuple[Figure, Axes]]:
    """Open a figure of the page's width and `height` inches in the book's style, with one or more panels side by side."""
    # The figure is closed for pyplot, so that a notebook shows it once: as the value of its cell.
    with plt.rc_context(), sns.axes_style("whitegrid", rc=_STYLE), plt.rc_context(_STYLE):
        figure, axes = plt.subplots(1, columns, figsize=(WIDTH, height), sharey=True, layout="constrained")
        plt.close(figure)
        for ax in np.atleast_1d(axes):
            ax.spines[["top", "right"]].set_visible(False)
        yield figure, axes


def legend(figure: Figure, ax: Axes) -> None:
    """Put the legend of `ax` below the figure."""
    # Below the axes, where it covers no data however many sources there are.
    handles, names = ax.get_legend_handles_labels()
    if names:
        figure.legend(
            handles, names, loc="outside lower center", ncols=2 if len(names) == 4 else 3, fontsize=11
        )


def mark(ax: Axes, x: float, text: str) -> None:
    """Draw a dashed upright line at `x` and write `text`, formatted with x, beside its top."""
    ax.axvline(x, color="0.2", linestyle="--", linewidth=1.5)
    # Head room above the data, so that the words cross no bar.
    ax.set_ylim(top=1.18 * ax.get_ylim()[1])
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
    right = x > np.mean(ax.get_xlim())
    ax.annotate(
        text.format(x), (x, 1), xytext=(-5 if right else 5, -3), ha="right" if right else "left", **place
    )


def offset(position: int, n_sources: int) -> float:
    """Return how far from the middle of its row the dot of one of several sources sits."""
    # Never so far that the dots of one row come near those of the next.
    return min(0.3, 0.6 / max(n_sources - 1, 1)) * (position - (n_sources - 1) / 2)


def row_names(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows of a forest, the first one on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def dots(
    ax: Axes, rows: pd.DataFrame, y: np.ndarray, colors: Sequence[object], position: int, label: str | None
) -> None:
    """Draw a dot with its interval per row of a table with value, low and high; `label` names them in the legend."""
    marker = MARKERS[position % len(MARKERS)]
    # NaN scores have no dot and NaN bounds no line: matplotlib leaves both out.
    ax.hlines(y, rows["low"].to_numpy(float), rows["high"].to_numpy(float), colors=colors, linewidth=2)
    ax.scatter(rows["value"].to_numpy(float), y, c=list(colors), marker=marker, s=38, zorder=3)
    if label is not None:
        ax.scatter([], [], color=PALETTE[position % 10], marker=marker, s=38, label=label)


def only_one(scores: pd.DataFrame, figure: str, *columns: str) -> None:
    """Refuse a table that mixes what one figure cannot."""
    for column in columns:
        values = sorted(scores[column].unique())
        if len(values) != 1:
            several = ", ".join(values) or "nothing"
            raise RadbookError(f"{figure} shows one {column}, but scores has {several}: filter it first")


def about(row: pd.Series) -> str:
    """Task, policy and size of a score, as a title."""
    return f"Task {row['task']}, policy {row['policy']}, {row['n_reports']:,} reports"
