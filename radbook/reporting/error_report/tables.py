"""Every error as a table to sort and filter, and the names by which tables and cases of errors refer to each other.

Only sorting and filtering need a script, the book's own (`pages/_static/tables.js`); without it every row is shown.
"""

import re
from collections.abc import Mapping
from html import escape

import pandas as pd

from radbook.evaluation.error_slices import BUCKETS
from radbook.icd10 import descriptor
from radbook.reporting.highlight import Highlight

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
    names = ["report", "task", "source", "label", "kind", "curated", "predicted", "fate", "buckets"]
    lines = []
    for row in errors.to_dict("records"):
        what = (row["task"], row["source"], row["report_id"], row["code"], row["curated"], row["predicted"])
        target = anchor(row["task"], row["code"], row["curated"], row["predicted"])
        report = escape(row["report_id"]) if shown == "always" else str(number[row["report_id"]])
        told = row | {"label": row["code"], "buckets": buckets_of(row)}
        cells = [f'<a href="#{target}">{report}</a>' if what in linked_cells else report]
        cells += [escape(str(told[name])) for name in names[1:]]
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    return Highlight(
        '<div class="radbook-rows" tabindex="0" role="region" aria-label="All errors, to sort and filter">'
        f'<table class="dataframe radbook-sortable" id="errors-to-sort"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


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
