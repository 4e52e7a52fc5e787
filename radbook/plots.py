"""The book's figures: each function takes tables and returns a matplotlib Figure, and draws the same picture every time.

Figures are 7.5 inches wide, on white so that they read on a dark page too, in a palette that color-blind readers can tell
apart; sources also differ by marker.
Titles are neutral: what a figure shows is said by its caption, which comes from the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radbook.errors import RadbookError

__all__ = [
    "FEW_POSITIVES",
    "category_counts",
    "disagreement_heatmap",
    "f1_bars",
    "loss_curve",
    "paired_forest",
    "report_lengths",
    "score_forest",
    "sensitivity_specificity",
    "token_lengths",
]

FEW_POSITIVES = 10  # a label with fewer positives is greyed: its score rests on a handful of reports
WIDTH = 7.5  # inches: the text width of a book page
_ROW = 0.34  # inches per row of a forest
_PALETTE = sns.color_palette("colorblind")
_MARKERS = "osD^vPX"
_GREY = "0.6"
_NAMES = {"f1": "F1", "exact_match": "exact match"}
_POOLED = ("micro", "macro")
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


def category_counts(counts: pd.Series | pd.DataFrame) -> Figure:
    """Number of reports per category: one bar each, or stacked by split.

    Parameters
    ----------
    counts
        Reports with the finding: a Series indexed by category, or a table with categories as rows and splits as columns.
    """
    counts = counts.to_frame("reports") if isinstance(counts, pd.Series) else counts
    with _axes(0.9 + _ROW * len(counts)) as (figure, ax):
        left = np.zeros(len(counts))
        for color, name in zip(cycle(_PALETTE), counts, strict=False):
            values = counts[name].to_numpy()
            ax.barh(counts.index, values, left=left, color=color, label=name, edgecolor="white")
            left += values
        for row, total in enumerate(left):
            ax.text(total, row, f" {int(total):,}", va="center", fontsize=11)
        _rows(ax, counts.index)
        ax.margins(x=0.1)
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="reports with the finding", title="Findings per category")
        if counts.shape[1] > 1:
            _legend(figure, ax)
    return figure


def report_lengths(reports: pd.DataFrame) -> Figure:
    """Histogram of report length in words; the longest hundredth shares the last bar, empty reports are counted in the title."""
    words = reports["text"].str.split().str.len().to_numpy()
    top = max(10, int(np.quantile(words, 0.99))) if len(words) else 10
    with _axes(3.4) as (figure, ax):
        shown = np.minimum(words[words > 0], top)
        ax.hist(shown, bins=40, range=(0, top), color=_PALETTE[0], edgecolor="white")
        if (words > 0).any():
            _mark(ax, float(np.median(words[words > 0])), "median {:,.0f}")
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
    with _axes(1.5 + max(_ROW, 0.17 * len(sources)) * len(order)) as (figure, ax):
        for position, source in enumerate(sources):
            rows = shown[shown["source"] == source].set_index("label").reindex(order)
            offset = _offset(position, len(sources))
            colors = [_GREY if name in grey else _PALETTE[position % 10] for name in order]
            _dots(ax, rows, np.arange(len(order)) + offset, colors, position, source)
        _rows(ax, [f"{name} *" if name in grey else name for name in order])
        pooled = sum(name in _POOLED for name in order)
        if 0 < pooled < len(order) and set(order[:pooled]) <= set(_POOLED):
            ax.axhline(pooled - 0.5, color="0.3", linewidth=1)
        note = f"\n* grey: fewer than {FEW_POSITIVES} positives" if grey else ""
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel(f"{_NAMES.get(metric, metric)} (fraction) with 95 % interval{note}")
        ax.set_title(_about(shown.iloc[0]))
        _legend(figure, ax)
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
    with _axes(1.2 + 0.45 * len(scores)) as (figure, ax):
        ax.barh(y, scores["value"], height=0.6, color=_PALETTE[0], alpha=0.5)
        _dots(ax, scores, y, ["0.15"] * len(y), 0, None)
        _rows(ax, scores["source"])
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
    with _axes(1.3 + 0.45 * len(rows)) as (figure, ax):
        ax.axvline(0, color="0.3", linewidth=1)
        _dots(ax, rows, np.arange(len(rows)), [_PALETTE[0]] * len(rows), 0, None)
        _rows(ax, rows.index)
        ax.set(xlabel=f"difference in {metric} (fraction) with 95 % interval", title="Paired differences")
        reach = 1.15 * np.nanmax(np.abs(np.append(rows[["low", "high", "value"]].to_numpy(float), 0.01)))
        ax.set_xlim(-reach, reach)
    return figure


def loss_curve(losses: pd.DataFrame) -> Figure:
    """Training loss over steps; `losses` has the columns step and loss, and a running mean is drawn from 20 steps on."""
    lacking = [c for c in ("step", "loss") if c not in losses]
    if lacking:
        raise RadbookError(f"loss_curve: losses lacks the columns {', '.join(lacking)}")
    with _axes(3.4) as (figure, ax):
        window = len(losses) // 20
        pale = {"alpha": 0.45} if window > 1 else {}
        ax.plot(losses["step"], losses["loss"], color=_PALETTE[0], label="each step", **pale)
        if window > 1:
            smooth = losses["loss"].rolling(window, min_periods=1, center=True).mean()
            ax.plot(losses["step"], smooth, color=_PALETTE[3], linewidth=2, label=f"mean of {window} steps")
            _legend(figure, ax)
        ax.set(xlabel="optimizer step", ylabel="loss (nats per token)", title="Training loss")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    with _axes(1.5 + max(_ROW, 0.17 * len(sources)) * len(order), columns=2) as (figure, panels):
        for ax, measure in zip(panels, ("sensitivity", "specificity"), strict=True):
            # Positives are what sensitivity rests on; specificity has the negatives.
            pale = grey if measure == "sensitivity" else set()
            for position, source in enumerate(sources):
                rows = confusions[confusions["source"] == source].set_index("label").reindex(order)
                rows = rows.rename(
                    columns={measure: "value", f"{measure}_low": "low", f"{measure}_high": "high"}
                )
                colors = [_GREY if name in pale else _PALETTE[position % 10] for name in order]
                _dots(
                    ax,
                    rows,
                    np.arange(len(order)) + _offset(position, len(sources)),
                    colors,
                    position,
                    source,
                )
            _rows(ax, [f"{name} *" if name in grey else name for name in order])
            ax.set_xlim(-0.03, 1.03)
            note = f"\n* grey: fewer than {FEW_POSITIVES} positives" if pale else ""
            ax.set(title=measure.capitalize(), xlabel=f"fraction, 95 % exact interval{note}")
        _legend(figure, panels[0])
    return figure


def disagreement_heatmap(
    matrix: pd.DataFrame, *, title: str = "Agreement of sources", unit: str = "micro-F1"
) -> Figure:
    """A labelled matrix with its numbers written in: `agreement` of sources, or counts of errors by category and kind."""
    values = matrix.to_numpy(dtype=float)
    whole = (
        np.allclose(values[~np.isnan(values)], np.round(values[~np.isnan(values)])) and np.nanmax(values) > 1
    )
    with _axes(1.9 + 0.5 * len(matrix)) as (figure, ax):
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


def token_lengths(instructions: pd.DataFrame, limit: int) -> Figure:
    """Histogram of prompt plus completion length in tokens per task, with a line at `limit`."""
    total = instructions["prompt_tokens"] + instructions["completion_tokens"]
    edges = np.linspace(0, max(int(total.max()) if len(total) else 0, limit) * 1.05, 41)
    with _axes(3.4) as (figure, ax):
        for position, (task, rows) in enumerate(total.groupby(instructions["task"])):
            ax.hist(rows, bins=edges, histtype="stepfilled", alpha=0.35, color=_PALETTE[position])
            label = f"{task} ({len(rows):,})"
            ax.hist(rows, bins=edges, histtype="step", linewidth=2, color=_PALETTE[position], label=label)
        _mark(ax, limit, "limit {:,.0f}")
        ax.set(
            xlabel="tokens per example (prompt and completion)", ylabel="examples", title="Length of examples"
        )
        if len(total):
            _legend(figure, ax)
    return figure


def _one(scores: pd.DataFrame, figure: str, *columns: str) -> None:
    for column in columns:
        values = sorted(scores[column].unique())
        if len(values) != 1:
            several = ", ".join(values) or "nothing"
            raise RadbookError(f"{figure} shows one {column}, but scores has {several}: filter it first")


def _about(row: pd.Series) -> str:
    return f"Task {row['task']}, policy {row['policy']}, {row['n_reports']:,} reports"


@contextmanager
def _axes(height: float, *, columns: int = 1) -> Iterator[tuple[Figure, Axes]]:
    # The figure is closed for pyplot, so that a notebook shows it once: as the value of its cell.
    with plt.rc_context(), sns.axes_style("whitegrid", rc=_STYLE), plt.rc_context(_STYLE):
        figure, axes = plt.subplots(1, columns, figsize=(WIDTH, height), sharey=True, layout="constrained")
        plt.close(figure)
        for ax in np.atleast_1d(axes):
            ax.spines[["top", "right"]].set_visible(False)
        yield figure, axes


def _legend(figure: Figure, ax: Axes) -> None:
    # Below the axes, where it covers no data however many sources there are.
    handles, names = ax.get_legend_handles_labels()
    if names:
        figure.legend(
            handles, names, loc="outside lower center", ncols=2 if len(names) == 4 else 3, fontsize=11
        )


def _mark(ax: Axes, x: float, text: str) -> None:
    ax.axvline(x, color="0.2", linestyle="--", linewidth=1.5)
    # Head room above the data, so that the words cross no bar.
    ax.set_ylim(top=1.18 * ax.get_ylim()[1])
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
    right = x > np.mean(ax.get_xlim())
    ax.annotate(
        text.format(x), (x, 1), xytext=(-5 if right else 5, -3), ha="right" if right else "left", **place
    )


def _offset(position: int, n_sources: int) -> float:
    return 0.0 if n_sources == 1 else 0.6 * (position / (n_sources - 1) - 0.5)


def _rows(ax: Axes, names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def _dots(
    ax: Axes, rows: pd.DataFrame, y: np.ndarray, colors: Sequence[object], position: int, label: str | None
) -> None:
    marker = _MARKERS[position % len(_MARKERS)]
    # NaN scores have no dot and NaN bounds no line: matplotlib leaves both out.
    ax.hlines(y, rows["low"].to_numpy(float), rows["high"].to_numpy(float), colors=colors, linewidth=2)
    ax.scatter(rows["value"].to_numpy(float), y, c=list(colors), marker=marker, s=38, zorder=3)
    if label is not None:
        ax.scatter([], [], color=_PALETTE[position % 10], marker=marker, s=38, label=label)
