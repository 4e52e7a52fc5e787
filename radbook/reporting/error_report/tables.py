"""Every error as a table to sort and filter, and the names by which tables and cases of errors refer to each other.

Only sorting and filtering need a script, the book's own (`pages/_static/tables.js`); without it every row is shown.
"""

import re
from collections.abc import Iterable, Mapping

from radbook.evaluation.comparison import CELL
from radbook.evaluation.error_slices import BUCKETS
from radbook.icd10 import descriptor
from radbook.reporting.error_report.report import Mistakes
from radbook.reporting.templates import Highlight, render

__all__ = ["anchor", "buckets_of", "named", "sortable"]


def sortable(found: Iterable[Mistakes], *, shown: str) -> Highlight:
    """Show all errors as a table to sort and filter, each with a link to its cases where `case_list` shows some.

    A page of the book sorts and filters it; a notebook, and a page without scripts, shows the plain table.

    Parameters
    ----------
    found
        The errors of each task.
    shown
        As for `radbook.reporting.error_report.cases.case_list`.
    """
    rows = []
    for one in found:
        number = {r: i for i, r in enumerate(one.reports["report_id"], start=1)}
        linked = set(one.linked()[["source", *CELL]].itertuples(index=False, name=None))
        for row in one.rows.to_dict("records"):
            target = anchor(one.task, row["code"], row["curated"], row["predicted"])
            told = {"report": row["report_id"] if shown == "always" else number[row["report_id"]], "label": row["code"]}
            told |= {"target": target if (row["source"], *(row[name] for name in CELL)) in linked else ""}
            rows.append(row | told | {"buckets": buckets_of(row)})
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
