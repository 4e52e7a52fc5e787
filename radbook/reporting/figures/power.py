"""The figure of what a test set of a given size can tell."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from radbook.core.errors import RadbookError
from radbook.reporting.figures.canvas import MARKERS, PALETTE, canvas, legend

__all__ = ["power_curve"]


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
    if not any(rows["width"].notna().any() for rows in tables.values()):
        raise RadbookError("power_curve: there is no pair with a known width to draw")
    with canvas(4.3) as (figure, ax):
        for position, (name, rows) in enumerate(tables.items()):
            color, sizes = PALETTE[position % 10], rows["n_reports"]
            # A logarithmic axis has no zero: a band that starts there is cut at the axis.
            low = rows["width_low"].clip(lower=1e-3)
            ax.fill_between(sizes, low, rows["width_high"], color=color, alpha=0.2, linewidth=0)
            ax.plot(sizes, rows["width"], color=color, marker=MARKERS[position % len(MARKERS)], label=name)
        ax.axhline(2 * gap, color="0.2", linestyle="--", linewidth=1.5, label=f"twice {gap:.2f}")
        ax.axvline(n_reports, color="0.2", linestyle=":", linewidth=1.5, label=f"{n_reports:,} reports")
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="test reports",
            ylabel="width of the 95% interval\n(difference in micro-F1, fraction)",
            title="What a test set of a given size can tell",
        )
        every = pd.concat([rows[["width", "width_high"]] for rows in tables.values()]).to_numpy(float)
        ax.set_ylim(0.6 * min(np.nanmin(every), 2 * gap), 1.1 * np.nanmax(every))
        ax.set_xticks(sorted({size for rows in tables.values() for size in rows["n_reports"]}))
        ax.set_yticks(
            [
                tick
                for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
                if ax.get_ylim()[0] <= tick <= ax.get_ylim()[1]
            ]
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_locator(NullLocator())
        legend(figure, ax)
    return figure
