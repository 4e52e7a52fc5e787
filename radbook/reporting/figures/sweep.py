"""Figures of sweeps: a score over a parameter, with the spread of the seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from radbook.core.errors import RadbookError
from radbook.reporting.figures.canvas import MARKERS, PALETTE, ROW, canvas, legend, offset, row_names

__all__ = ["sweep_curve", "sweep_rows"]

_LEVELS = {"teacher": ("--", "0.25"), "base": (":", "0.45")}
_NAMES = {"teacher": "its teacher", "base": "the untuned base"}


def sweep_curve(
    points: pd.DataFrame, x: str, *, lines: str = "", name: str = "", log: bool = False
) -> Figure:
    """One panel per task: micro-F1 of the student over a parameter, a line per setting, teacher and base beside it.

    Parameters
    ----------
    points
        A table of `radbook.pipeline.sweep.table.spread`: `value` is the mean of the seeds, `low` and `high` their range.
    x
        Column of the horizontal axis; values are placed by their size.
    lines
        Column whose values get a line each; empty draws one.
    name
        What to write at the horizontal axis, short enough for half a page; `x` if empty.
    log
        Whether the horizontal axis is logarithmic.
    """
    tasks = _tasks(points, "sweep_curve")
    with canvas(3.9, columns=len(tasks)) as (figure, axes):
        axes = np.atleast_1d(axes)
        for ax, task in zip(axes, tasks, strict=True):
            part = points[points["task"] == task]
            student = part[part["source"] == "student"]
            for position, (value, rows) in enumerate(student.groupby(lines) if lines else [("", student)]):
                shown = f"{value:g}" if pd.api.types.is_number(value) else value
                label = f"student, {lines} {shown}" if lines else "student"
                _line(ax, rows.sort_values(x), x, position, label)
            for source, (style, color) in _LEVELS.items():
                level = part[part["source"] == source].groupby(x)["value"].mean()
                if len(level):
                    ax.plot(
                        level.index, level, linestyle=style, color=color, linewidth=1.6, label=_NAMES[source]
                    )
            if log:
                places = sorted(set(student[x].astype(float)))
                ax.set_xscale("log")
                ax.set_xticks(places, [_short(place) for place in places], minor=False)
                ax.xaxis.set_minor_locator(NullLocator())
            ax.set(xlabel=name or x, title=f"{task} task")
        axes[0].set_ylabel("micro-F1 (fraction)")
        legend(figure, axes[0])
    return figure


def sweep_rows(points: pd.DataFrame, by: str, *, order: Sequence[str] = ()) -> Figure:
    """One panel per task and one row per setting: mean and range of the student's micro-F1 over the seeds.

    Parameters
    ----------
    points
        A table of `radbook.pipeline.sweep.table.spread`.
    by
        Column that names the rows.
    order
        The rows, from the top; those of the table if empty.
    """
    tasks = _tasks(points, "sweep_rows")
    order = list(order or dict.fromkeys(points[by]))
    with canvas(1.6 + ROW * len(order), columns=len(tasks)) as (figure, axes):
        for ax, task in zip(np.atleast_1d(axes), tasks, strict=True):
            for position, source in enumerate(("student", "base")):
                rows = (
                    points[(points["task"] == task) & (points["source"] == source)]
                    .set_index(by)
                    .reindex(order)
                )
                y = np.arange(len(order)) + offset(position, 2)
                look = {"color": PALETTE[0] if source == "student" else "0.45"}
                ax.hlines(y, rows["low"], rows["high"], linewidth=2, **look)
                named = "student" if source == "student" else _NAMES[source]
                ax.scatter(rows["value"], y, marker=MARKERS[position], s=45, zorder=3, label=named, **look)
            row_names(ax, order)
            ax.set(xlabel="micro-F1 (fraction)", title=f"{task} task")
        legend(figure, np.atleast_1d(axes)[0])
    return figure


def _tasks(points: pd.DataFrame, name: str) -> list[str]:
    if points.empty:
        raise RadbookError(f"{name}: there is no point to draw")
    return list(dict.fromkeys(points["task"]))


def _short(value: float) -> str:
    """Write a place on a logarithmic axis.

    >>> _short(0.0003), _short(470.0)
    ('3e-4', '470')
    """
    return f"{value:.0e}".replace("e-0", "e-") if value < 0.01 else f"{value:g}"


def _line(ax: Axes, rows: pd.DataFrame, x: str, position: int, label: str) -> None:
    color = PALETTE[position % 10]
    ax.fill_between(rows[x].astype(float), rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
    ax.plot(rows[x], rows["value"], color=color, marker=MARKERS[position % len(MARKERS)], label=label)
