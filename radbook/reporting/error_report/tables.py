"""Every error as a table to sort and filter, and the names by which tables and cases of errors refer to each other.

Only sorting and filtering need a script, the book's own (`pages/_static/tables.js`); without it every row is shown.
"""

import re
from collections.abc import Mapping

import pandas as pd

from radbook.evaluation.error_slices import BUCKETS
from radbook.icd10 import descriptor
from radbook.reporting.templates import Highlight, render

__all__ = ["anchor", "buckets_of", "named", "sortable"]

_PAIR = ["curated", "predicted"]


def sortable(
    errors: pd.DataFrame, reports: pd.DataFrame, *, linked: Mapping[str, pd.DataFrame], shown: str
) -> Highlight:
    """Show rows of the `errors` contract as a table to sort and filter, each with a link to its cases where there are some.

    A page of the book sorts and filters it; a notebook, and a page without scripts, shows the plain table.

    Parameters
    ----------
    errors
        Rows of the `errors` contract.
    reports, shown
        As for `radbook.reporting.error_report.cases.case_list`.
    linked
        Task to those decisions whose cells `case_list` shows.
    """
    number = {r: i for i, r in enumerate(reports["report_id"], start=1)}
    linked_cells = {
        (task, *row)
        for task, rows in linked.items()
        for row in rows[["source", "report_id", "code", *_PAIR]].itertuples(index=False)
    }
    rows = []
    for row in errors.to_dict("records"):
        place = [row[name] for name in ("task", "code", *_PAIR)]
        linked_here = (row["task"], row["source"], row["report_id"], *place[1:]) in linked_cells
        told = {"report": row["report_id"] if shown == "always" else number[row["report_id"]], "label": row["code"]}
        rows.append(row | told | {"buckets": buckets_of(row), "target": anchor(*place) if linked_here else ""})
    names = ["task", "source", "label", "kind", "curated", "predicted", "fate", "buckets"]
    return render("sortable.html", names=names, rows=rows)


def buckets_of(row: Mapping[str, object]) -> str:
    """Name the buckets of one row of the `errors` contract.

    >>> buckets_of({name: name in ("hedge", "rare_word") for name in BUCKETS})
    'hedge, rare word'
    """
    return ", ".join(name.replace("_", " ") for name in BUCKETS if row[name])


def named(code: str, task: str) -> str:
    """Return a label as it is shown: a category as it is, an ICD-10-CM code with its title.

    >>> named("Edema", "choice"), named("J90", "open")
    ('Edema', 'J90 Pleural effusion, not elsewhere classified')
    """
    title = descriptor(code) if task == "open" else None
    return f"{code} {title}" if title else code


def anchor(task: str, *words: str) -> str:
    """Return the name of the place in the page where the cases of one cell stand.

    >>> anchor("open", "J90", "present", "not mentioned")
    'cases-open-j90-present-not-mentioned'
    """
    return "-".join(["cases", task, *(re.sub(r"[^a-z0-9]+", "-", w.lower()) for w in words)])
