"""Figures of scores, shares and differences: one row per label, one dot with its interval per source."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.evaluation import FEW_POSITIVES
from radbook.reporting.figures.style import MARKERS, PALETTE, ROW, about, canvas, legend, nonempty, only_one

__all__ = [
    "FEW_DECISIONS",
    "FEW_POSITIVES",
    "bucket_shares",
    "error_shares",
    "f1_bars",
    "paired_forest",
    "score_forest",
    "sensitivity_specificity",
    "sweep_rows",
]

FEW_DECISIONS = 30  # a bucket with fewer is grayed: an error more or less moves its share by hundredths
_GRAY = "0.6"
_POOLED = ("micro", "macro")
_UNNAMED = "_"  # matplotlib leaves such a source out of the legend


def score_forest(scores: pd.DataFrame) -> Figure:
    """F1 by label, one dot with its 95% interval per source; labels with fewer than 10 positives are gray and starred.

    Parameters
    ----------
    scores
        A `scores` table of one task, one policy and one reference; its labels are shown in the table's order.
    """
    only_one(scores, "score_forest", "task", "policy", "reference")
    rows = scores[scores["metric"] == "f1"]
    nonempty(rows, "score_forest", "F1")
    positives = rows.groupby("label")["n_positive"].transform("max")
    few = (positives < FEW_POSITIVES) & ~rows["label"].isin(_POOLED)
    rows, note = _starred(rows, few, f"{FEW_POSITIVES} positives")
    figure = _forests({about(rows): rows}, xlabel=f"F1 (fraction) with 95% interval{note}")
    figure.axes[0].set_xlim(-0.02, 1.02)
    pooled = [name in _POOLED for name in rows["label"].unique()]
    if pooled == sorted(pooled, reverse=True) and 0 < sum(pooled) < len(pooled):
        figure.axes[0].axhline(sum(pooled) - 0.5, color="0.3", linewidth=1)
    return figure


def f1_bars(scores: pd.DataFrame) -> Figure:
    """Micro-F1, one bar with its 95% interval per source, of a `scores` table of one task and policy."""
    only_one(scores, "f1_bars", "task", "policy")
    rows = scores[(scores["label"] == "micro") & (scores["metric"] == "f1")]
    nonempty(rows, "f1_bars", "micro-F1")
    rows = rows.assign(label=rows["source"], source=_UNNAMED)
    figure = _forests({about(rows): rows}, xlabel="micro-F1 (fraction) with 95% interval", colors=["0.15"])
    figure.axes[0].barh(range(len(rows)), rows["value"], height=0.6, color=PALETTE[0], alpha=0.5)
    figure.axes[0].grid(axis="y", visible=False)
    figure.axes[0].set_xlim(0, 1.02)
    return figure


def paired_forest(differences: Mapping[str, Mapping[str, object]]) -> Figure:
    """Differences of F1 between two sources with their 95% intervals around a line at zero.

    Parameters
    ----------
    differences
        Results of `radbook.evaluation.paired_difference` by the name of their row.
    """
    rows = pd.DataFrame(differences.values()).assign(label=list(differences), source=_UNNAMED)
    nonempty(rows, "paired_forest", "difference")
    figure = _forests({"Paired differences": rows}, xlabel="difference in F1 (fraction) with 95% interval")
    reach = 1.15 * np.nanmax(np.abs(np.append(rows[["low", "high", "value"]].to_numpy(float), 0.01)))
    figure.axes[0].set_xlim(-reach, reach)
    figure.axes[0].axvline(0, color="0.3", linewidth=1)
    figure.axes[0].xaxis.set_major_locator(MaxNLocator(5))  # signed ticks are wide, and more of them run into each other
    return figure


def sensitivity_specificity(confusions: pd.DataFrame) -> Figure:
    """Two panels: sensitivity and specificity per label and source, with exact intervals; few positives are gray and starred.

    Parameters
    ----------
    confusions
        `radbook.evaluation.confusion` tables of one or more sources, concatenated.
    """
    nonempty(confusions, "sensitivity_specificity", "label")
    rows, note = _starred(confusions, confusions["n_positive"] < FEW_POSITIVES, f"{FEW_POSITIVES} positives")
    parts = {}
    for name in ("sensitivity", "specificity"):
        parts[name.capitalize()] = rows.rename(columns={name: "value", f"{name}_low": "low", f"{name}_high": "high"})
    # Specificity rests on the negatives, which are many and nearly all right: on a scale from zero they would look alike.
    specificity = parts["Specificity"] = parts["Specificity"].assign(few=False)
    figure = _forests(parts, xlabel="fraction, 95% exact interval")
    figure.axes[0].set_xlabel(f"fraction, 95% exact interval{note}")
    for ax, left in zip(figure.axes, (0, min(0.9, np.nanmin([1, *specificity["low"].astype(float)]))), strict=True):
        ax.set_xlim(left - 0.03 * (1 - left), 1 + 0.03 * (1 - left))
    return figure


def error_shares(shares: pd.DataFrame) -> Figure:
    """One row per label, with the number of its statements, and one dot with its interval per source: the share that is wrong.

    Parameters
    ----------
    shares
        Counts of statements with the columns source, label, tries, and value, low and high (fractions); rows in the
        order to show.
    """
    nonempty(shares, "error_shares", "share")
    tries = shares.groupby("label")["tries"].transform("max")
    rows = shares.assign(label=shares["label"] + tries.map(" ({:,})".format))
    xlabel = "share of statements that is wrong (fraction), 95% exact interval"
    figure = _forests({"Errors by phenomenon (statements)": rows}, xlabel=xlabel)
    figure.axes[0].set_xlim(left=-0.02)
    return figure


def bucket_shares(rates: pd.DataFrame) -> Figure:
    """One panel per task, one row per bucket, one dot with its exact interval per role: the share that is wrong; few are gray.

    Parameters
    ----------
    rates
        Tables of `radbook.evaluation.error_slices.bucket_rates`, concatenated, with the columns task and role: the role, such as
        "student" or "teacher", gives mark and color.
    """
    nonempty(rates, "bucket_shares", "share")
    rows, note = _starred(rates, rates["tries"] < FEW_DECISIONS, f"{FEW_DECISIONS} decisions")
    parts = {f"Task {task}": part for task, part in rows.groupby("task", sort=False)}
    xlabel = f"share of decisions that is wrong\n(fraction), 95% exact interval{note}"
    figure = _forests(parts, xlabel=xlabel, by="role")
    for ax in figure.axes:
        ax.axhline(0.5, color="0.3", linewidth=1)
        ax.set_xlim(left=-0.02)
    return figure


def sweep_rows(points: pd.DataFrame, by: str) -> Figure:
    """One panel per task and one row per setting: mean and range over the seeds of the micro-F1 of student and untuned base.

    Parameters
    ----------
    points
        A table of `radbook.pipeline.sweep.spread`; rows in the order to show.
    by
        Column that names the rows.
    """
    nonempty(points, "sweep_rows", "point")
    names = {"student": "student", "base": "the untuned base"}
    rows = pd.concat([points[points["source"] == kind].assign(source=name) for kind, name in names.items()])
    parts = {f"{task} task": part for task, part in rows.assign(label=rows[by]).groupby("task", sort=False)}
    return _forests(parts, xlabel="micro-F1 (fraction)", colors=[PALETTE[0], "0.45"])


def _starred(rows: pd.DataFrame, few: pd.Series, least: str) -> tuple[pd.DataFrame, str]:
    """Star the labels that rest on few cases anywhere, keep `few` for the color, and return the note that explains both."""
    rare = rows["label"].isin(rows.loc[few, "label"])
    starred = rows.assign(few=few, label=rows["label"].where(~rare, rows["label"] + " *"))
    return starred, f"\n* gray: fewer than {least}" if few.any() else ""


def _forests(
    parts: Mapping[str, pd.DataFrame], *, xlabel: str, by: str = "source", colors: Sequence = PALETTE
) -> Figure:
    """Draw a panel per title with the same labels in all; each table has label, `by`, value, low, high, and perhaps few."""
    rows = pd.concat(parts.values())
    labels, sources = list(rows["label"].unique()), list(rows[by].unique())
    # Never so far from the middle of a row that its dots come near those of the next.
    apart = min(0.3, 0.6 / max(len(sources) - 1, 1))
    with canvas(1.7 + max(ROW, 0.17 * len(sources)) * len(labels), columns=len(parts)) as (figure, *panels):
        for ax, (title, part) in zip(panels, parts.items(), strict=True):
            for position, source in enumerate(sources):
                own = part[part[by] == source].set_index("label").reindex(labels)
                y = np.arange(len(labels)) + apart * (position - (len(sources) - 1) / 2)
                marker, color = MARKERS[position % len(MARKERS)], colors[position % len(colors)]
                look = [_GRAY if few is True else color for few in own.get("few", [False] * len(own))]
                # NaN scores have no dot and NaN bounds no line: matplotlib leaves both out.
                ax.hlines(y, own["low"].to_numpy(float), own["high"].to_numpy(float), colors=look, linewidth=2)
                ax.scatter(own["value"].to_numpy(float), y, c=look, marker=marker, s=38, zorder=3)
                ax.scatter([], [], color=color, marker=marker, s=38, label=source)
            ax.set_yticks(range(len(labels)), labels)
            ax.set_ylim(len(labels) - 0.5, -0.5)
            ax.set(title=title, xlabel=xlabel)
            if len(panels) > 1:
                ax.xaxis.set_major_locator(MaxNLocator(4))  # more ticks of half a page run into each other
        legend(figure, panels[0])
    return figure
