"""Figures of how labels are wrong: rates, disagreements, kinds of error, and the simulated teacher beside measured ones."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.core.errors import RadbookError
from radbook.reporting.figures.canvas import (
    FEW_POSITIVES,
    GRAY,
    MARKERS,
    PALETTE,
    ROW,
    about,
    canvas,
    dots,
    legend,
    offset,
    only_one,
    row_names,
)

__all__ = ["disagreement_heatmap", "error_shares", "quality_dial", "sensitivity_specificity"]


def sensitivity_specificity(confusions: pd.DataFrame) -> Figure:
    """Two panels: sensitivity and specificity per label and source, with exact intervals; few positives are gray and marked.

    Parameters
    ----------
    confusions
        `radbook.evaluation.confusion` tables of one or more sources, concatenated.
    """
    order = list(dict.fromkeys(confusions["label"]))
    sources = list(dict.fromkeys(confusions["source"]))
    gray = set(confusions.loc[confusions["n_positive"] < FEW_POSITIVES, "label"])
    with canvas(1.5 + max(ROW, 0.17 * len(sources)) * len(order), columns=2) as (figure, panels):
        for ax, measure in zip(panels, ("sensitivity", "specificity"), strict=True):
            # Positives are what sensitivity rests on; specificity has the negatives.
            pale = gray if measure == "sensitivity" else set()
            for position, source in enumerate(sources):
                rows = confusions[confusions["source"] == source].set_index("label").reindex(order)
                rows = rows.rename(
                    columns={measure: "value", f"{measure}_low": "low", f"{measure}_high": "high"}
                )
                colors = [GRAY if name in pale else PALETTE[position % 10] for name in order]
                dots(
                    ax,
                    rows,
                    np.arange(len(order)) + offset(position, len(sources)),
                    colors,
                    position,
                    source,
                )
            row_names(ax, [f"{name} *" if name in gray else name for name in order])
            # Absences are many and nearly all right: a scale from zero would hide every difference between them.
            lows = confusions[f"{measure}_low"].astype(float).to_numpy()
            left = 0.0 if measure == "sensitivity" else min(0.9, np.nanmin([1.0, *lows]))
            ax.set_xlim(left - 0.03 * (1 - left), 1 + 0.03 * (1 - left))
            ax.xaxis.set_major_locator(MaxNLocator(4))
            note = f"\n* gray: fewer than {FEW_POSITIVES} positives" if pale else ""
            ax.set(title=measure.capitalize(), xlabel=f"fraction, 95% exact interval{note}")
        legend(figure, panels[0])
    return figure


def disagreement_heatmap(matrix: pd.DataFrame, *, title: str = "Agreement of sources") -> Figure:
    """The `agreement` of sources as a labeled matrix with its numbers written in."""
    if matrix.empty:
        raise RadbookError("disagreement_heatmap: there is no cell to draw")
    values = matrix.to_numpy(dtype=float)
    with canvas(1.9 + 0.5 * len(matrix)) as (figure, ax):
        image = ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            text = "n/a" if np.isnan(value) else f"{value:.2f}"
            dark = np.isnan(value) or value > 0.5
            ax.text(column, row, text, ha="center", va="center", color="black" if dark else "white")
        ax.set_xticks(range(matrix.shape[1]), matrix.columns, rotation=20, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(matrix.shape[0]), matrix.index)
        ax.grid(visible=False)
        ax.set_title(title)
        figure.colorbar(image, ax=ax, label="micro-F1")
    return figure


def error_shares(shares: pd.DataFrame) -> Figure:
    """One row per label, with the number of its statements, and one dot with its interval per source: the share that is wrong.

    Parameters
    ----------
    shares
        Tables of `radbook.reporting.text.share_by`, concatenated, with the columns source and label; rows in the order to show.
    """
    order = list(dict.fromkeys(shares["label"]))
    sources = list(dict.fromkeys(shares["source"]))
    tries = shares.groupby("label")["tries"].max()
    with canvas(1.5 + max(ROW, 0.17 * len(sources)) * len(order)) as (figure, ax):
        for position, source in enumerate(sources):
            rows = shares[shares["source"] == source].set_index("label").reindex(order)
            y = np.arange(len(order)) + offset(position, len(sources))
            dots(ax, rows, y, [PALETTE[position % 10]] * len(order), position, source)
        row_names(ax, [f"{name} ({tries[name]:,})" for name in order])
        ax.set_xlim(left=-0.02)
        ax.set(xlabel="share of statements that is wrong (fraction), 95% exact interval")
        ax.set_title("Errors by phenomenon (statements)")
        legend(figure, ax)
    return figure


def quality_dial(dial: pd.DataFrame, measured: pd.DataFrame) -> Figure:
    """Two panels: micro-F1 of a teacher whose quality is set, and precision against recall; measured sources beside it.

    Parameters
    ----------
    dial
        One row per setting, with the columns setting, f1, precision and recall (fractions).
    measured
        A `scores` table of one task and policy; its micro rows are drawn, F1 as a line with its interval as a band.
    """
    only_one(measured, "quality_dial", "task", "policy")
    micro = measured[measured["label"] == "micro"]
    with canvas(4.2, columns=2) as (figure, (left, right)):
        left.plot(dial["setting"], dial["f1"], color="0.25", marker=".", label="simulated, by setting")
        right.plot(dial["recall"], dial["precision"], color="0.25", marker=".")
        for position, (source, rows) in enumerate(micro.groupby("source", sort=False)):
            look = {"color": PALETTE[position % 10]}
            of = rows.set_index("metric")[["value", "low", "high"]]
            f1, recall, precision = (of.loc[name] for name in ("f1", "recall", "precision"))
            left.axhspan(f1["low"], f1["high"], alpha=0.2, **look)
            left.axhline(f1["value"], linewidth=2, label=source, **look)
            right.hlines(precision["value"], recall["low"], recall["high"], linewidth=2, **look)
            right.vlines(recall["value"], precision["low"], precision["high"], linewidth=2, **look)
            right.scatter(
                recall["value"], precision["value"], marker=MARKERS[position % len(MARKERS)], s=45, zorder=3, **look
            )
        low = np.nanmin([0.9, *dial[["f1", "recall", "precision"]].min(), *micro["low"], *micro["value"]])
        left.set_ylim(max(0, low - 0.05), 1.02)
        left.set(
            title=about(measured.iloc[0]),
            xlabel="micro-F1 that was set (fraction)",
            ylabel="micro-F1 reached",
        )
        right.set(title="The same, taken apart", xlabel="recall (fraction)", ylabel="precision (fraction)")
        right.set_xlim(max(0, low - 0.05), 1.02)
        legend(figure, left)
    return figure
