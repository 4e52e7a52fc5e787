"""Figures with a line over a scale: certainty, test reports, quality of a teacher, parameter of a sweep."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from radbook.reporting.figures.style import MARKERS, PALETTE, about, canvas, legend, nonempty, only_one

__all__ = ["power_curve", "quality_dial", "risk_curve", "sweep_curve"]


def risk_curve(curves: pd.DataFrame, *, levels: Mapping[str, float]) -> Figure:
    """What is wrong among the most certain reports, over the share of reports kept; the first source with its band.

    Parameters
    ----------
    curves
        Tables of `radbook.evaluation.risk_coverage`, concatenated; all on the reports that the same certainty keeps.
    levels
        Name and height of dashed level lines: labelers without a certainty, on all reports.
    """
    nonempty(curves, "risk_curve", "curve")
    with canvas(3.9) as (figure, ax):
        for position, (source, rows) in enumerate(curves.groupby("source", sort=False)):
            shown = rows.drop(columns=["low", "high"]) if position else rows
            _curve(ax, rows["coverage"], shown, position, source)
        for position, (name, height) in enumerate(levels.items()):
            ax.axhline(height, color="0.3", linestyle=("--", ":")[position % 2], linewidth=1.5, label=name)
        ax.set(
            xlabel="share of reports kept, the most certain first (fraction)",
            ylabel="wrong decisions (fraction)",
            title=f"Risk and coverage, {int(curves['n_reports'].max()):,} reports",
        )
        ax.set_xlim(0, 1.02)
        ax.set_ylim(0, 1.1 * np.nanmax([*curves["value"], *curves["high"], *levels.values(), 1e-3]))
        legend(figure, ax)
    return figure


def power_curve(tables: Mapping[str, pd.DataFrame], *, gap: float, n_reports: int) -> Figure:
    """Width of the paired interval over the number of test reports, with a difference and a size to judge it by.

    Parameters
    ----------
    tables
        Results of `radbook.evaluation.paired_power` by the name of the pair; the band holds 95% of the widths.
    gap
        A difference (fraction): an interval around it excludes zero once it is narrower than twice as wide, drawn dashed.
    n_reports
        A number of test reports to mark.
    """
    every = pd.concat(tables.values())
    nonempty(every.dropna(subset="width"), "power_curve", "pair with a known width")
    with canvas(4.3) as (figure, ax):
        for position, (name, rows) in enumerate(tables.items()):
            # A logarithmic axis has no zero: a band that starts there is cut at the axis.
            band = {"low": rows["width_low"].clip(lower=1e-3), "high": rows["width_high"]}
            _curve(ax, rows["n_reports"], rows.assign(value=rows["width"], **band), position, name)
        ax.axhline(2 * gap, color="0.2", linestyle="--", linewidth=1.5, label=f"twice {gap:.2f}")
        ax.axvline(n_reports, color="0.2", linestyle=":", linewidth=1.5, label=f"{n_reports:,} reports")
        ax.set(xscale="log", yscale="log", xlabel="test reports", title="What a test set of a given size can tell")
        ax.set_ylabel("width of the 95% interval\n(difference in micro-F1, fraction)")
        widths = every[["width", "width_high"]]
        low, high = 0.6 * min(np.nanmin(widths), 2 * gap), 1.1 * np.nanmax(widths)
        ax.set_ylim(low, high)
        ax.set_xticks(sorted(set(every["n_reports"])))
        ax.set_yticks([tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if low <= tick <= high])
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_locator(NullLocator())
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
    with canvas(4.2, columns=2) as (figure, left, right):
        left.plot(dial["setting"], dial["f1"], color="0.25", marker=".", label="simulated, by setting")
        right.plot(dial["recall"], dial["precision"], color="0.25", marker=".")
        for position, (source, rows) in enumerate(micro.groupby("source", sort=False)):
            look, marker = {"color": PALETTE[position % len(PALETTE)]}, MARKERS[position % len(MARKERS)]
            by_metric = rows.set_index("metric")[["value", "low", "high"]]
            f1, recall, precision = (by_metric.loc[name] for name in ("f1", "recall", "precision"))
            left.axhspan(f1["low"], f1["high"], alpha=0.2, **look)
            left.axhline(f1["value"], linewidth=2, label=source, **look)
            right.hlines(precision["value"], recall["low"], recall["high"], linewidth=2, **look)
            right.vlines(recall["value"], precision["low"], precision["high"], linewidth=2, **look)
            right.scatter(recall["value"], precision["value"], marker=marker, s=45, zorder=3, **look)
        lowest = np.nanmin([0.9, *dial[["f1", "recall", "precision"]].min(), *micro["low"], *micro["value"]])
        lowest = max(0, lowest - 0.05)
        left.set(title=about(measured), xlabel="micro-F1 that was set (fraction)", ylabel="micro-F1 reached")
        right.set(title="The same, taken apart", xlabel="recall (fraction)", ylabel="precision (fraction)")
        left.set_ylim(lowest, 1.02)
        right.set_xlim(lowest, 1.02)
        legend(figure, left)
    return figure


def sweep_curve(points: pd.DataFrame, x: str, *, lines: str = "", name: str = "", log: bool = False) -> Figure:
    """One panel per task: micro-F1 of the student over a parameter, a line per setting, teacher and base beside it.

    Parameters
    ----------
    points
        A table of `radbook.pipeline.sweep.spread`: `value` is the mean of the seeds, `low` and `high` their range.
    x
        Column of the horizontal axis; values are placed by their size.
    lines
        Column whose values get a line each; empty draws one.
    name
        What to write at the horizontal axis, short enough for half a page; `x` if empty.
    log
        Whether the horizontal axis is logarithmic.
    """
    nonempty(points, "sweep_curve", "point")
    levels = {"teacher": ("its teacher", "--", "0.25"), "base": ("the untuned base", ":", "0.45")}
    tasks = points["task"].unique()
    with canvas(3.9, columns=len(tasks)) as (figure, *panels):
        for ax, task in zip(panels, tasks, strict=True):
            rows = points[points["task"] == task].sort_values(x)
            student = rows[rows["source"] == "student"]
            for position, (value, part) in enumerate(student.groupby(lines) if lines else [("", student)]):
                setting = f"{value:g}" if pd.api.types.is_number(value) else value
                _curve(ax, part[x], part, position, f"student, {lines} {setting}" if lines else "student")
            for source, (label, style, color) in levels.items():
                level = rows[rows["source"] == source].groupby(x)["value"].mean()
                if len(level):
                    ax.plot(level.index, level, linestyle=style, color=color, linewidth=1.6, label=label)
            if log:
                ticks = sorted(set(student[x].astype(float)))
                ax.set_xscale("log")
                ax.set_xticks(ticks, [_short(tick) for tick in ticks], minor=False)
                ax.xaxis.set_minor_locator(NullLocator())
            ax.set(xlabel=name or x, title=f"{task} task")
        panels[0].set_ylabel("micro-F1 (fraction)")
        legend(figure, panels[0])
    return figure


def _curve(ax: Axes, x: pd.Series, rows: pd.DataFrame, position: int, label: str) -> None:
    """Draw `rows["value"]` over `x` as a line with markers, in a band from low to high where `rows` has them."""
    color = PALETTE[position % len(PALETTE)]
    if "low" in rows:
        ax.fill_between(x.astype(float), rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
    ax.plot(x, rows["value"], color=color, marker=MARKERS[position % len(MARKERS)], label=label)


def _short(value: float) -> str:
    """Write a tick of a logarithmic axis.

    >>> _short(0.0003), _short(470.0)
    ('3e-4', '470')
    """
    return f"{value:.0e}".replace("e-0", "e-") if value < 0.01 else f"{value:g}"
