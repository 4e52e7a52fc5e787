"""Tables as a page shows them: what rests on a handful of reports is told apart, in the table as in the figures."""

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from radbook.core.errors import RadbookError
from radbook.core.schema import STATUSES
from radbook.evaluation import FEW_POSITIVES
from radbook.reporting.text import interval
from radbook.tasks import TASKS

__all__ = ["gray_few", "status_counts", "with_intervals"]

# The theme's muted text keeps its contrast on a light and on a dark page; elsewhere a gray stands in for it.
_GRAY = "color: var(--pst-color-text-muted, #6b6b6b); font-style: italic"
_NOTE = {"selector": "caption", "props": "caption-side: bottom; text-align: left; font-size: 0.9em"}


def gray_few(table: pd.DataFrame, *, positives: str = "positives") -> Styler:
    """Show a table with a row per label; labels with fewer than 10 positives are gray, marked by a star, and explained below.

    Parameters
    ----------
    table
        One row per label, named by the index.
    positives
        The column that counts the positives of each label.

    Returns
    -------
    A Styler, which a notebook shows as HTML; everything in it is escaped.

    Examples
    --------
    >>> shown = gray_few(pd.DataFrame({"f1": [0.9, 0.5], "positives": [40, 3]}, index=["Edema", "Fracture"]))
    >>> "Fracture *" in shown.to_html(), "Edema *" in shown.to_html(), "fewer than 10 positives" in shown.to_html()
    (True, False, True)
    """
    if positives not in table:
        raise RadbookError(
            f"gray_few: the table has no column {positives!r}; it has {', '.join(map(str, table.columns))}"
        )
    few = (table[positives] < FEW_POSITIVES).to_numpy(dtype=bool)
    shown = table.set_axis(
        [f"{name} *" if rare else name for name, rare in zip(table.index, few, strict=True)]
    )
    # Two tables of one page need different ids, and the same table the same one each time.
    styler = Styler(shown, uuid=blake2b(shown.to_csv().encode(), digest_size=4).hexdigest())
    styler = styler.format(escape="html", precision=3, na_rep="\u2013", thousands=",")
    for axis in ("index", "columns"):
        styler = styler.format_index(escape="html", axis=axis)
    styler = styler.set_table_attributes('class="dataframe"')
    if not few.any():
        return styler
    gray = np.where(few, _GRAY, "")
    styler = styler.apply(lambda column: gray).apply_index(lambda names: gray)
    return styler.set_caption(f"* gray: fewer than {FEW_POSITIVES} positives").set_table_styles([_NOTE])


def status_counts(tables: pd.DataFrame | Mapping[str, pd.DataFrame], *, n_rows: int) -> pd.DataFrame:
    """Count ok, repaired and failed rows per task (or per named table) and check that they add up to `n_rows`.

    One table is expected to hold both tasks; where it may not, give its parts by name.

    Raises
    ------
    RadbookError
        If a row has been lost: the counts of a task or table do not add up to `n_rows`, or no table is given.

    Examples
    --------
    >>> rows = pd.DataFrame({"task": ["choice", "open"], "status": ["ok", "ok"]})
    >>> status_counts(rows, n_rows=1).loc["choice"].to_dict()
    {'ok': 1, 'repaired': 0, 'failed': 0, 'rows': 1}
    """
    if isinstance(tables, pd.DataFrame):
        tables = {task: tables[tables["task"] == task] for task in TASKS}
    if not tables and n_rows:
        raise RadbookError(f"{n_rows} rows went in, and no table came out: give one for each task or labeler")
    counts = pd.DataFrame({name: table["status"].value_counts() for name, table in tables.items()}, index=list(STATUSES))
    counts = counts.fillna(0).astype(int).T
    counts["rows"] = counts.sum(axis=1)
    for name, rows in counts["rows"].items():
        if rows != n_rows:
            raise RadbookError(f"{name}: {n_rows} rows went in, {rows} came out")
    return counts


def with_intervals(scores: pd.DataFrame, *, rows: str | list[str] = "source") -> pd.DataFrame:
    """Lay a `scores` table out for reading: one line per `rows`, one column per metric, each with its interval.

    Raises
    ------
    RadbookError
        If two scores would stand in one place, such as those of two policies.
    """
    key = [*([rows] if isinstance(rows, str) else rows), "metric"]
    twice = scores.duplicated(key)
    if twice.any():
        first = ", ".join(f"{name} {value!r}" for name, value in scores.loc[twice, key].iloc[0].items())
        raise RadbookError(
            f"scores holds {first} more than once: keep one task, policy and label, or name what differs in rows"
        )
    shown = scores.assign(shown=[interval(row) for _, row in scores.iterrows()])
    table = shown.pivot_table(index=rows, columns="metric", values="shown", aggfunc="first", sort=False)
    return table.rename_axis(columns=None).rename_axis([None] * table.index.nlevels)
