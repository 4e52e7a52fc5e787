"""Figures with a line over a scale: training loss over steps, and what is wrong over the share of reports kept."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.core.errors import RadbookError
from radbook.reporting.figures.canvas import MARKERS, PALETTE, canvas, legend

__all__ = ["growth_curve", "loss_curve", "risk_curve"]


def loss_curve(losses: pd.DataFrame) -> Figure:
    """Training loss over steps; `losses` has the columns step and loss, and a running mean is drawn from 20 steps on."""
    lacking = [c for c in ("step", "loss") if c not in losses]
    if lacking:
        raise RadbookError(f"loss_curve: losses lacks the columns {', '.join(lacking)}")
    with canvas(3.4) as (figure, ax):
        window = len(losses) // 20
        pale = {"alpha": 0.45} if window > 1 else {}
        ax.plot(losses["step"], losses["loss"], color=PALETTE[0], label="each step", **pale)
        if window > 1:
            smooth = losses["loss"].rolling(window, min_periods=1, center=True).mean()
            ax.plot(losses["step"], smooth, color=PALETTE[3], linewidth=2, label=f"mean of {window} steps")
            legend(figure, ax)
        ax.set(xlabel="optimizer step", ylabel="loss (nats per token)", title="Training loss")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def risk_curve(curves: pd.DataFrame, *, levels: Mapping[str, float] | None = None) -> Figure:
    """What is wrong among the most certain reports, over the share of reports kept; the first source with its band.

    Parameters
    ----------
    curves
        Tables of `radbook.evaluation.risk_coverage`, concatenated; all on the reports that the same certainty keeps.
    levels
        Name and height of dashed level lines: labelers without a certainty, on all reports.
    """
    if curves.empty:
        raise RadbookError("risk_curve: there is no curve to draw")
    with canvas(3.9) as (figure, ax):
        for position, (source, rows) in enumerate(curves.groupby("source", sort=False)):
            color = PALETTE[position % 10]
            if not position:
                ax.fill_between(
                    rows["coverage"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0
                )
            ax.plot(rows["coverage"], rows["value"], color=color, marker=MARKERS[position % len(MARKERS)], label=source)
        for position, (name, height) in enumerate((levels or {}).items()):
            ax.axhline(height, color="0.3", linestyle=("--", ":")[position % 2], linewidth=1.5, label=name)
        ax.set(
            xlabel="share of reports kept, the most certain first (fraction)",
            ylabel="wrong decisions (fraction)",
            title=f"Risk and coverage, {int(curves['n_reports'].max()):,} reports",
        )
        ax.set_xlim(0, 1.02)
        ax.set_ylim(0, 1.1 * np.nanmax([*curves["value"], *curves["high"], *(levels or {}).values(), 1e-3]))
        legend(figure, ax)
    return figure


def growth_curve(grown: pd.DataFrame) -> Figure:
    """Micro-F1 of an untuned base over its own training; `grown` has a row (reports, minutes, f1) per point."""
    if grown.empty:
        raise RadbookError("growth_curve: the base has no record of its training")
    with canvas(3.6) as (figure, ax):
        for position, (name, rows) in enumerate(grown.groupby("reports", sort=False)):
            ax.plot(
                rows["minutes"],
                rows["f1"],
                color=PALETTE[position % 10],
                marker="os^v"[position % 4],
                label=name,
            )
        ax.set(
            xlabel="minutes of training", ylabel="micro-F1, choice task", title="What the base can do untuned"
        )
        ax.set_xlim(left=0)
        ax.set_ylim(np.floor(10 * grown["f1"].min()) / 10, 1)
        legend(figure, ax)
    return figure
