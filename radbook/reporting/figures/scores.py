"""Figures of scores and of their differences, each with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.core.errors import RadbookError
from radbook.reporting.figures.canvas import (
    FEW_POSITIVES,
    GRAY,
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

__all__ = ["f1_bars", "paired_forest", "score_forest"]

_NAMES = {"f1": "F1", "exact_match": "exact match"}
_POOLED = ("micro", "macro")


def score_forest(scores: pd.DataFrame) -> Figure:
    """F1 by label, one dot with its 95% interval per source; labels with fewer than 10 positives are gray and marked.

    Parameters
    ----------
    scores
        A `scores` table of one task, one policy and one reference; its labels are shown in the table's order.
    """
    only_one(scores, "score_forest", "task", "policy", "reference")
    shown = scores[scores["metric"] == "f1"]
    if shown.empty:
        raise RadbookError("score_forest: there is no F1 to draw")
    order = list(dict.fromkeys(shown["label"]))
    positives = shown.groupby("label")["n_positive"].max()
    gray = {name for name in order if name not in _POOLED and positives.get(name, 0) < FEW_POSITIVES}
    sources = list(dict.fromkeys(shown["source"]))
    with canvas(1.5 + max(ROW, 0.17 * len(sources)) * len(order)) as (figure, ax):
        for position, source in enumerate(sources):
            rows = shown[shown["source"] == source].set_index("label").reindex(order)
            shift = offset(position, len(sources))
            colors = [GRAY if name in gray else PALETTE[position % 10] for name in order]
            dots(ax, rows, np.arange(len(order)) + shift, colors, position, source)
        row_names(ax, [f"{name} *" if name in gray else name for name in order])
        pooled = sum(name in _POOLED for name in order)
        if 0 < pooled < len(order) and set(order[:pooled]) <= set(_POOLED):
            ax.axhline(pooled - 0.5, color="0.3", linewidth=1)
        note = f"\n* gray: fewer than {FEW_POSITIVES} positives" if gray else ""
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel(f"F1 (fraction) with 95% interval{note}")
        ax.set_title(about(shown.iloc[0]))
        legend(figure, ax)
    return figure


def f1_bars(scores: pd.DataFrame) -> Figure:
    """One bar with its 95% interval per source, for a single label and metric of a `scores` table.

    Parameters
    ----------
    scores
        Rows of one task, policy, label and metric, such as micro-F1.
    """
    only_one(scores, "f1_bars", "task", "policy", "label", "metric")
    first = scores.iloc[0]
    pooled, metric = first["label"] in _POOLED, _NAMES.get(first["metric"], first["metric"])
    name = ("-" if pooled else " ").join((first["label"], metric))
    y = np.arange(len(scores))
    with canvas(1.2 + 0.45 * len(scores)) as (figure, ax):
        ax.barh(y, scores["value"], height=0.6, color=PALETTE[0], alpha=0.5)
        dots(ax, scores, y, ["0.15"] * len(y), 0, None)
        row_names(ax, scores["source"])
        ax.grid(axis="y", visible=False)
        ax.set_xlim(0, 1.02)
        ax.set(xlabel=f"{name} (fraction) with 95% interval", title=about(first))
    return figure


def paired_forest(differences: Sequence[Mapping[str, object]] | Mapping[str, Mapping[str, object]]) -> Figure:
    """Differences between two sources with their 95% intervals around a line at zero.

    Parameters
    ----------
    differences
        Results of `radbook.evaluation.paired_difference`; a dict names the rows, a list takes "a minus b", the label, and
        task, metric and policy where they differ.
    """
    if not differences:
        raise RadbookError("paired_forest: there is no difference to draw")
    if isinstance(differences, Mapping):
        rows = pd.DataFrame(differences.values(), index=list(differences))
    else:
        rows = pd.DataFrame(list(differences))
        rows.index = _row_names(rows)
    metric = ", ".join(dict.fromkeys(_NAMES.get(m, m) for m in rows["metric"]))
    with canvas(1.3 + 0.45 * len(rows)) as (figure, ax):
        ax.axvline(0, color="0.3", linewidth=1)
        dots(ax, rows, np.arange(len(rows)), [PALETTE[0]] * len(rows), 0, None)
        row_names(ax, rows.index)
        ax.set(xlabel=f"difference in {metric} (fraction) with 95% interval", title="Paired differences")
        reach = 1.15 * np.nanmax(np.abs(np.append(rows[["low", "high", "value"]].to_numpy(float), 0.01)))
        ax.set_xlim(-reach, reach)
        ax.xaxis.set_major_locator(MaxNLocator(5))  # signed ticks are wide, and more of them run into each other
    return figure


def _row_names(rows: pd.DataFrame) -> list[str]:
    """Name differences by their sources and label, and by what else tells them apart."""
    several = rows.reindex(columns=["task", "metric", "policy"]).nunique() > 1
    apart = several.index[several]
    names = []
    for row in rows.to_dict("records"):
        label = [] if row["label"] in ("micro", "all") else [row["label"]]
        others = [_NAMES.get(row[name], row[name]) for name in apart]
        names.append(", ".join([f"{row['a']} minus {row['b']}", *label, *others]))
    return names
