"""Figures of counts: findings in a corpus, lengths of reports and examples, fates of errors; and who agrees with whom."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.evaluation.error_transfer import FATES
from radbook.reporting.figures.canvas import PALETTE, ROW, canvas, legend, nonempty

__all__ = ["category_counts", "disagreement_heatmap", "fate_bars", "report_lengths", "token_lengths"]


def category_counts(counts: pd.Series) -> Figure:
    """Number of reports per category, one bar each; `counts` is indexed by category."""
    with canvas(0.9 + ROW * len(counts)) as (figure, ax):
        ax.bar_label(ax.barh(counts.index, counts, color=PALETTE[0]), fmt=" {:,.0f}", fontsize=11)
        ax.invert_yaxis()
        ax.margins(x=0.1, y=0.02)
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="reports with the finding", title="Findings per category")
    return figure


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


def token_lengths(instructions: pd.DataFrame, limit: int) -> Figure:
    """Histogram of prompt plus completion length in tokens per task, with a line at `limit`."""
    total = instructions["prompt_tokens"] + instructions["completion_tokens"]
    edges = np.linspace(0, max(int(total.max()) if len(total) else 0, limit) * 1.05, 41)
    with canvas(3.4) as (figure, ax):
        for color, (task, rows) in zip(PALETTE, total.groupby(instructions["task"]), strict=False):
            look = {"facecolor": (*color, 0.35), "edgecolor": color, "linewidth": 2, "histtype": "stepfilled"}
            ax.hist(rows, bins=edges, label=f"{task} ({len(rows):,})", **look)
        ax.axvline(limit, color="0.2", linestyle="--", label=f"limit {limit:,}")
        ax.set(xlabel="tokens per example (prompt and completion)", ylabel="examples", title="Length of examples")
        legend(figure, ax)
    return figure


def fate_bars(counts: pd.DataFrame) -> Figure:
    """One row per label: errors of the teacher that the student corrected, to the left; shared and added ones, to the right.

    Parameters
    ----------
    counts
        Labels by "corrected", "shared" and "added" (counts of decisions).
    """
    starts = {"corrected": -counts["corrected"], "shared": 0, "added": counts["shared"]}
    with canvas(1.6 + ROW * len(counts)) as (figure, ax):
        for fate, position in zip(FATES, (2, 0, 1), strict=True):
            ax.barh(counts.index, counts[fate], left=starts[fate], height=0.65, color=PALETTE[position], label=fate)
        ax.axvline(0, color="0.3", linewidth=1)
        ax.invert_yaxis()
        ax.margins(y=0.02)
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0f}")
        ax.set_xlabel("wrong decisions (count); left: the teacher's alone, right: the student's")
        ax.set_title("What became of errors")
        legend(figure, ax)
    return figure


def disagreement_heatmap(matrix: pd.DataFrame, *, title: str) -> Figure:
    """The `agreement` of sources as a labeled matrix with its numbers written in; a pair without one stays empty."""
    nonempty(matrix, "disagreement_heatmap", "cell")
    with canvas(1.9 + 0.5 * len(matrix)) as (figure, ax):
        look = {"cmap": "cividis", "vmin": 0, "vmax": 1, "annot": True, "fmt": ".2f", "cbar_kws": {"label": "micro-F1"}}
        sns.heatmap(matrix.astype(float), ax=ax, **look)
        ax.set_xticks(ax.get_xticks(), matrix.columns, rotation=20, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="y", rotation=0)
        ax.set(title=title, xlabel="", ylabel="")
    return figure
