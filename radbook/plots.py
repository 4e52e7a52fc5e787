"""The book's figures: each function takes tables and returns a matplotlib Figure, and draws the same picture every time.

Figures are 7.5 inches wide, on white so that they read on a dark page too, in a palette that color-blind readers can tell
apart; sources also differ by marker.
Titles are neutral: what a figure shows is said by its caption, which comes from the run.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.canvas import GREY, MARKERS, PALETTE, ROW, WIDTH, canvas, dots, legend, mark, offset, row_names
from radbook.curves import growth_curve, loss_curve, risk_curve
from radbook.errors import RadbookError

__all__ = [
    "FEW_POSITIVES",
    "WIDTH",
    "category_counts",
    "disagreement_heatmap",
    "error_shares",
    "f1_bars",
    "growth_curve",
    "loss_curve",
    "paired_forest",
    "quality_dial",
    "report_lengths",
    "risk_curve",
    "score_forest",
    "sensitivity_specificity",
    "token_lengths",
]

FEW_POSITIVES = 10  # a label with fewer positives is greyed: its score rests on a handful of reports
_NAMES = {"f1": "F1", "exact_match": "exact match"}
_POOLED = ("micro", "macro")


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


def score_forest(scores: pd.DataFrame, *, metric: str = "f1", labels: Sequence[str] | None = None) -> Figure:
    """One row per label and one dot with its 95 % interval per source; labels with fewer than 10 positives are grey and marked.

    Parameters
    ----------
    scores
        A `scores` table of one task and one policy.
    metric
        "f1", "precision" or "recall".
    labels
        Rows to show, in this order; None shows "micro", "macro" and every label in the table's order.
    """
    _one(scores, "score_forest", "task", "policy")
    shown = scores[scores["metric"] == metric]
    shown = shown[shown["label"].isin(labels)] if labels is not None else shown
    if shown.empty:
        raise RadbookError(f"score_forest: no score for metric={metric!r}, labels={labels or 'all'}")
    order = list(labels if labels is not None else dict.fromkeys(shown["label"]))
    positives = shown.groupby("label")["n_positive"].max()
    grey = {name for name in order if name not in _POOLED and positives.get(name, 0) < FEW_POSITIVES}
    sources = list(dict.fromkeys(shown["source"]))
    with canvas(1.5 + max(ROW, 0.17 * len(sources)) * len(order)) as (figure, ax):
        for position, source in enumerate(sources):
            rows = shown[shown["source"] == source].set_index("label").reindex(order)
            shift = offset(position, len(sources))
            colors = [GREY if name in grey else PALETTE[position % 10] for name in order]
            dots(ax, rows, np.arange(len(order)) + shift, colors, position, source)
        row_names(ax, [f"{name} *" if name in grey else name for name in order])
        pooled = sum(name in _POOLED for name in order)
        if 0 < pooled < len(order) and set(order[:pooled]) <= set(_POOLED):
            ax.axhline(pooled - 0.5, color="0.3", linewidth=1)
        note = f"\n* grey: fewer than {FEW_POSITIVES} positives" if grey else ""
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel(f"{_NAMES.get(metric, metric)} (fraction) with 95 % interval{note}")
        ax.set_title(_about(shown.iloc[0]))
        legend(figure, ax)
    return figure


def f1_bars(scores: pd.DataFrame) -> Figure:
    """One bar with its 95 % interval per source, for a single label and metric of a `scores` table.

    Parameters
    ----------
    scores
        Rows of one task, policy, label and metric, such as micro-F1.
    """
    _one(scores, "f1_bars", "task", "policy", "label", "metric")
    first = scores.iloc[0]
    name = " ".join((first["label"], _NAMES.get(first["metric"], first["metric"])))
    y = np.arange(len(scores))
    with canvas(1.2 + 0.45 * len(scores)) as (figure, ax):
        ax.barh(y, scores["value"], height=0.6, color=PALETTE[0], alpha=0.5)
        dots(ax, scores, y, ["0.15"] * len(y), 0, None)
        row_names(ax, scores["source"])
        ax.grid(axis="y", visible=False)
        ax.set_xlim(0, 1.02)
        ax.set(xlabel=f"{name} (fraction) with 95 % interval", title=_about(first))
    return figure


def paired_forest(differences: Sequence[Mapping[str, object]] | Mapping[str, Mapping[str, object]]) -> Figure:
    """Differences between two sources with their 95 % intervals around a line at zero.

    Parameters
    ----------
    differences
        Results of `radbook.evaluation.paired_difference`; a dict names the rows, a list takes "a minus b" and the label.
    """
    if not isinstance(differences, Mapping):
        differences = {
            f"{d['a']} minus {d['b']}" + ("" if d["label"] in ("micro", "all") else f", {d['label']}"): d
            for d in differences
        }
    if not differences:
        raise RadbookError("paired_forest: there is no difference to draw")
    rows = pd.DataFrame(differences.values(), index=list(differences))
    metric = ", ".join(dict.fromkeys(_NAMES.get(m, m) for m in rows["metric"]))
    with canvas(1.3 + 0.45 * len(rows)) as (figure, ax):
        ax.axvline(0, color="0.3", linewidth=1)
        dots(ax, rows, np.arange(len(rows)), [PALETTE[0]] * len(rows), 0, None)
        row_names(ax, rows.index)
        ax.set(xlabel=f"difference in {metric} (fraction) with 95 % interval", title="Paired differences")
        reach = 1.15 * np.nanmax(np.abs(np.append(rows[["low", "high", "value"]].to_numpy(float), 0.01)))
        ax.set_xlim(-reach, reach)
    return figure


def sensitivity_specificity(confusions: pd.DataFrame) -> Figure:
    """Two panels: sensitivity and specificity per label and source, with exact intervals; few positives are grey and marked.

    Parameters
    ----------
    confusions
        `radbook.evaluation.confusion` tables of one or more sources, concatenated.
    """
    order = list(dict.fromkeys(confusions["label"]))
    sources = list(dict.fromkeys(confusions["source"]))
    grey = set(confusions.loc[confusions["n_positive"] < FEW_POSITIVES, "label"])
    with canvas(1.5 + max(ROW, 0.17 * len(sources)) * len(order), columns=2) as (figure, panels):
        for ax, measure in zip(panels, ("sensitivity", "specificity"), strict=True):
            # Positives are what sensitivity rests on; specificity has the negatives.
            pale = grey if measure == "sensitivity" else set()
            for position, source in enumerate(sources):
                rows = confusions[confusions["source"] == source].set_index("label").reindex(order)
                rows = rows.rename(
                    columns={measure: "value", f"{measure}_low": "low", f"{measure}_high": "high"}
                )
                colors = [GREY if name in pale else PALETTE[position % 10] for name in order]
                dots(
                    ax,
                    rows,
                    np.arange(len(order)) + offset(position, len(sources)),
                    colors,
                    position,
                    source,
                )
            row_names(ax, [f"{name} *" if name in grey else name for name in order])
            # Absences are many and nearly all right: a scale from zero would hide every difference between them.
            lows = confusions[f"{measure}_low"].astype(float).to_numpy()
            left = 0.0 if measure == "sensitivity" else min(0.9, np.nanmin([1.0, *lows]))
            ax.set_xlim(left - 0.03 * (1 - left), 1 + 0.03 * (1 - left))
            ax.xaxis.set_major_locator(MaxNLocator(4))
            note = f"\n* grey: fewer than {FEW_POSITIVES} positives" if pale else ""
            ax.set(title=measure.capitalize(), xlabel=f"fraction, 95 % exact interval{note}")
        legend(figure, panels[0])
    return figure


def disagreement_heatmap(
    matrix: pd.DataFrame, *, title: str = "Agreement of sources", unit: str = "micro-F1"
) -> Figure:
    """A labelled matrix with its numbers written in: `agreement` of sources, or counts of errors by category and kind."""
    values = matrix.to_numpy(dtype=float)
    whole = (
        np.allclose(values[~np.isnan(values)], np.round(values[~np.isnan(values)])) and np.nanmax(values) > 1
    )
    with canvas(1.9 + 0.5 * len(matrix)) as (figure, ax):
        top = np.nanmax(values) if whole else 1.0
        image = ax.imshow(values, cmap="cividis", vmin=0, vmax=top, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            text = "n/a" if np.isnan(value) else f"{value:,.0f}" if whole else f"{value:.2f}"
            dark = np.isnan(value) or value > 0.5 * top
            ax.text(column, row, text, ha="center", va="center", color="black" if dark else "white")
        ax.set_xticks(range(matrix.shape[1]), matrix.columns, rotation=20, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(matrix.shape[0]), matrix.index)
        ax.grid(visible=False)
        ax.set_title(title)
        figure.colorbar(image, ax=ax, label=unit)
    return figure


def error_shares(shares: pd.DataFrame) -> Figure:
    """One row per label, with the number of its statements, and one dot with its interval per source: the share that is wrong.

    Parameters
    ----------
    shares
        Tables of `radbook.lesson.share_by`, concatenated, with the columns source and label; rows in the order to show.
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
        ax.set(xlabel="share of statements that is wrong (fraction), 95 % exact interval")
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
    _one(measured, "quality_dial", "task", "policy")
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
                recall["value"], precision["value"], marker=MARKERS[position % 7], s=45, zorder=3, **look
            )
        low = np.nanmin([0.9, *dial[["f1", "recall", "precision"]].min(), *micro["low"], *micro["value"]])
        left.set_ylim(max(0, low - 0.05), 1.02)
        left.set(
            title=_about(measured.iloc[0]),
            xlabel="micro-F1 that was set (fraction)",
            ylabel="micro-F1 reached",
        )
        right.set(title="The same, taken apart", xlabel="recall (fraction)", ylabel="precision (fraction)")
        right.set_xlim(max(0, low - 0.05), 1.02)
        legend(figure, left)
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


def _one(scores: pd.DataFrame, figure: str, *columns: str) -> None:
    for column in columns:
        values = sorted(scores[column].unique())
        if len(values) != 1:
            several = ", ".join(values) or "nothing"
            raise RadbookError(f"{figure} shows one {column}, but scores has {several}: filter it first")


def _about(row: pd.Series) -> str:
    return f"Task {row['task']}, policy {row['policy']}, {row['n_reports']:,} reports"
