"""Tables of errors whose cells link to the reports they count, and one to sort and filter.

The links stay inside the page and need no script; only `sortable` needs one, and shows its first rows without it.
The reports themselves are listed by `radbook.reporting.error_report.cases`.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from radbook.core.findings import Presence
from radbook.evaluation.comparison import SILENT
from radbook.evaluation.error_slices import BUCKETS
from radbook.icd10 import descriptor
from radbook.reporting.highlight import Highlight

__all__ = ["anchor", "buckets_of", "confusion_table", "linked_decisions", "named", "sortable"]

_PAIR = ["curated", "predicted"]
# The library's own look is made for pages of another color and width.
_SORTABLE_STYLE = """
div.dt-container{--dt-html-background:transparent;font-family:var(--rb-sans,sans-serif);font-size:.85rem;color:inherit}
.bd-article table#errors-to-sort{font-size:.8rem;margin:0!important}
.bd-article table#errors-to-sort tr>*{padding:.3rem .45rem;white-space:nowrap}
table#errors-to-sort thead input{width:5.6em;min-width:0;font:inherit;color:inherit;background:transparent}
table#errors-to-sort thead input{border:1px solid var(--pst-color-border,#bbb)}
""".replace("\n", "")


def confusion_table(decided: pd.DataFrame, *, task: str, source: str, top: int | None = None) -> Highlight:
    """Count the decisions of one source by label and (curated, predicted); each count links to its reports (`case_list`).

    Parameters
    ----------
    decided
        A table of `radbook.evaluation.error_slices.decisions`.
    task
        Goes into the names of the links; with "open" each code is shown with its title.
    source
        Whose decisions are counted.
    top
        Show this many labels, those with the most errors; None shows every label. What is left out is said below the table.

    Notes
    -----
    Decisions that are right by not calling the label present have no column: their number is in the last line.

    Examples
    --------
    >>> cell = {"report_id": "r", "code": "Edema", "source": "rules", "curated": "absent", "predicted": "present"}
    >>> decided = pd.DataFrame([cell | {"outcome": "invention"}])
    >>> html = confusion_table(decided, task="choice", source="rules").html
    >>> re.search(r'<a href="#(.*?)" aria-label=".*?">1</a>', html)[1]
    'cases-choice-edema-absent-present'
    """
    rows = linked_decisions(decided, source, top)
    shown = list(dict.fromkeys(rows["code"]))
    columns = sorted(
        set(zip(rows["outcome"], rows["curated"], rows["predicted"], strict=True)), key=_column_order
    )
    counts = rows.groupby(["code", *_PAIR]).size()
    heads = "".join(
        f'<th scope="col">{kind}<br>{escape(c)} \u2192 {escape(p)}</th>' for kind, c, p in columns
    )
    body = []
    for code in shown:
        cells = [_count(counts.get((code, c, p), 0), task, code, c, p) for _, c, p in columns]
        body.append(
            f'<tr><th scope="row">{escape(named(code, task))}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'
        )
    table = (
        f'<table class="dataframe"><thead><tr><th scope="col">label</th>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
    name = f"Decisions of {source} by label, curated and predicted"
    return Highlight(
        f'<div id="table-{task}" style="overflow-x:auto" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'
        f"<p>{_left_out(decided, source, rows, shown)}</p>"
    )


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


def linked_decisions(decided: pd.DataFrame, source: str, top: int | None) -> pd.DataFrame:
    """Return the decisions that have a cell in `confusion_table`, labels with the most errors first."""
    own = decided[decided["source"] == source]
    wrong = (own["outcome"] != "right").groupby(own["code"]).sum().sort_values(ascending=False, kind="stable")
    codes = list(wrong.index if top is None else wrong[wrong > 0].index[:top])
    rows = own[(own["outcome"] != "right") | (own["predicted"] == "present")]
    rows = rows[rows["code"].isin(codes)]
    return rows.sort_values("code", key=lambda names: names.map(codes.index), kind="stable")


def _left_out(decided: pd.DataFrame, source: str, rows: pd.DataFrame, codes: Sequence[str]) -> str:
    own = decided[decided["source"] == source]
    others = own[~own["code"].isin(codes)]
    wrong = (others["outcome"] != "right").sum()
    silent = len(own) - len(others) - len(rows)
    more = (
        f" {others['code'].nunique()} further labels, with {wrong} errors, are not in this table."
        if len(others)
        else ""
    )
    return (
        f"Not shown: {silent:,} decisions on these labels that are right by not calling the label present.{more}"
    )


def _column_order(column: tuple[str, str, str]) -> tuple:
    order = (*(str(p) for p in Presence), SILENT)
    outcome, curated, predicted = column
    return ("right", "miss", "invention").index(outcome), order.index(curated), order.index(predicted)


def _count(n: int, task: str, code: str, curated: str, predicted: str) -> str:
    if not n:
        return ""
    said = f"{n} reports: {code}, curated {curated}, predicted {predicted}"
    return f'<a href="#{anchor(task, code, curated, predicted)}" aria-label="{escape(said)}">{n}</a>'


def anchor(task: str, *words: str) -> str:
    """Return the name of the place in the page where the cases of one cell stand.

    >>> anchor("open", "J90", "present", "not mentioned")
    'cases-open-j90-present-not-mentioned'
    """
    return "-".join(["cases", task, *(re.sub(r"[^a-z0-9]+", "-", w.lower()) for w in words)])
