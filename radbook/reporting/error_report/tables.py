"""Every error as a table to sort and filter, and the names by which tables and cases of errors refer to each other.

`sortable` needs a script, and shows its first rows without one.
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
# The library's own look is made for pages of another color and width.
_SORTABLE_STYLE = """
div.dt-container{--dt-html-background:transparent;font-family:var(--rb-sans,sans-serif);font-size:.85rem;color:inherit}
.bd-article table#errors-to-sort{font-size:.8rem;margin:0!important}
.bd-article table#errors-to-sort tr>*{padding:.3rem .45rem;white-space:nowrap}
table#errors-to-sort thead input{width:5.6em;min-width:0;font:inherit;color:inherit;background:transparent}
table#errors-to-sort thead input{border:1px solid var(--pst-color-border,#bbb)}
""".replace("\n", "")


def sortable(
    errors: pd.DataFrame, reports: pd.DataFrame, *, linked: Mapping[str, pd.DataFrame], shown: str
) -> Highlight:
    """Show rows of the `errors` contract as a table to sort and filter, each with a link to its cases where there are some.

    Needs `itables.init_notebook_mode(connected=False)` before it in the same notebook; the cell must be tagged `trusted`.

    Parameters
    ----------
    errors
        Rows of the `errors` contract.
    reports, shown
        As for `radbook.reporting.error_report.cases.case_list`.
    linked
        Task to those decisions whose cells `case_list` shows.
    """
    from itables import to_html_datatable

    number = {r: i for i, r in enumerate(reports["report_id"], start=1)}
    cells = {
        (task, *row)
        for task, rows in linked.items()
        for row in rows[["source", "report_id", "code", *_PAIR]].itertuples(index=False)
    }
    lines = []
    for row in errors.to_dict("records"):
        what = (row["task"], row["source"], row["report_id"], row["code"], row["curated"], row["predicted"])
        target = anchor(row["task"], row["code"], row["curated"], row["predicted"])
        report = escape(row["report_id"]) if shown == "always" else number[row["report_id"]]
        lines.append(
            {
                "report": f'<a href="#{target}">{report}</a>' if what in cells else report,
                **{name: escape(row[name]) for name in ("task", "source")},
                "label": escape(row["code"]),
                **{name: escape(row[name]) for name in ("kind", "curated", "predicted", "fate")},
                "buckets": buckets_of(row),
            }
        )
    names = ["report", "task", "source", "label", "kind", "curated", "predicted", "fate", "buckets"]
    return Highlight(
        f"<style>{_SORTABLE_STYLE}</style>"
        + to_html_datatable(
            pd.DataFrame(lines, columns=names, dtype=object),
            connected=False,
            # Every value above is escaped; the only tags are the links.
            allow_html=True,
            maxBytes=0,
            table_id="errors-to-sort",
            showIndex=False,
            display_logo_when_loading=False,
            column_filters="header",
            autoWidth=False,
            classes="display compact",
            lengthMenu=[10, 25, 100],
        )
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
