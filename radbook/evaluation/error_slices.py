"""Error slices: each decision beside the truth, and how often those are wrong that share a trait of language.

A *decision* is one report and one label that somebody mentions: the reference or any source, be it to deny it.
Cells that nobody mentions are right by everyone's silence; counting them would make every rate look small.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.ontology import FINDINGS
from radbook.core.schema import ERRORS
from radbook.corpora.sections import report_body
from radbook.evaluation.bootstrap import exact_interval
from radbook.evaluation.comparison import CELL, compare_all
from radbook.evaluation.label_matrix import strongest_findings
from radbook.tasks import task_of
from radbook.teachers.rules.phenomena import TRAITS, sentence_traits
from radbook.teachers.rules.sentences import sentence_at

__all__ = [
    "BUCKETS",
    "DECISION_COLUMNS",
    "NO_PLACE",
    "WHOLE",
    "bucket_rates",
    "decisions",
    "error_rows",
    "share_by",
    "traits",
]

BUCKETS = (*TRAITS, "device", "rare_word", "long_report")
# A word is rare below this many reports of the training split; a report is long above this quantile of the scored ones.
RARE, LONG = 5, 0.9
NO_PLACE = "no place"
WHOLE = ("all decisions", "without a negation")  # what a bucket is held against; the second has a place, too
DECISION_COLUMNS = [*CELL, "source", "curated", "predicted", "outcome", "status"]
_WORD = re.compile(r"[^\W\d_]{3,}")
_DEVICE = "Support Devices"


def decisions(
    curated: pd.DataFrame,
    tables: Iterable[pd.DataFrame],
    *,
    task: str,
    reports: pd.DataFrame,
    policy: str = "certain",
) -> pd.DataFrame:
    """Lay what each source says of each report and label beside the reference.

    Parameters
    ----------
    curated, task, reports, policy
        As in `radbook.evaluation.score`; codes of the open task are compared by category.
    tables
        `labels` tables, one source each.

    Returns
    -------
    One row per report, label and source: report_id, code, source, curated and predicted ("present", "uncertain", "absent"
    or "not mentioned"), outcome ("right", "miss" or "invention", as `score` counts them) and status.
    Only labels that the reference or some source mentions; a cell that the policy leaves out is left out for every source.
    No rows without a reference (see `score`), or where one of the tables has no rows of the task.
    `attrs["n_reports"]` is the number of reports compared, `attrs["silent"]` of cells that nobody mentions.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> truth = pd.DataFrame([label_row("r", "curated", "choice", [finding("Edema")])])
    >>> rules = pd.DataFrame([label_row("r", "rules", "choice", [finding("Edema", "absent"), finding("Fracture", "absent")])])
    >>> reports = pd.DataFrame({"report_id": ["r"], "patient_id": ["p"]})
    >>> decisions(truth, [rules], task="choice", reports=reports)[["code", "predicted", "outcome"]].values.tolist()
    [['Edema', 'absent', 'miss'], ['Fracture', 'absent', 'right']]
    """
    tables = list(tables)
    if not tables:
        raise RadbookError("decisions: there is no labels table to compare with the reference")
    found = compare_all(curated, tables, task=task, policy=policy, reports=reports)
    # What a policy leaves out for one source is left out for all.
    outcomes = pd.concat([f.outcomes() for f in found], axis=1, join="inner")
    mentioned = set().union(*(findings for f in found for findings in f.findings()))
    cells = outcomes[outcomes.index.isin(list(mentioned))].sort_index()
    parts = [
        one.at(cells.index).assign(source=one.source, outcome=cells.iloc[:, number].array)
        for number, one in enumerate(found)
    ]
    frame = pd.concat(parts, ignore_index=True)[DECISION_COLUMNS]
    frame.attrs = {"n_reports": len(found[0].report_ids), "silent": len(outcomes) - len(cells)}
    return frame


def traits(
    decided: pd.DataFrame,
    reports: pd.DataFrame,
    train: pd.DataFrame,
    tables: Sequence[pd.DataFrame],
    *,
    task: str,
) -> pd.DataFrame:
    """Say in which buckets each decision falls; one may fall in several, or in none.

    Parameters
    ----------
    decided
        A table of `decisions`; its cells are described.
    reports, train
        The reports that were decided, and those of the training split.
    tables
        `labels` tables, the reference among them: the first that gives the place of a label's evidence decides which
        sentence is looked at.
    task
        As for `decisions`.

    Returns
    -------
    Indexed by report_id and code, truth values in the columns of `BUCKETS` and `placed`:

    negation, hedge, comparison
        The sentence of the evidence holds such words (`radbook.teachers.rules.phenomena.sentence_traits`).
    device
        The label is Support Devices, or an ICD-10-CM category of codes that stand for devices.
    rare_word
        A word of three or more letters in that sentence stands in fewer than 5 reports of the training split.
    long_report
        The report's body, in characters, lies above the 0.9 quantile of `reports`.
    placed
        Some source gives the place of its evidence. Where none does there is no sentence to look at, and whatever is said
        of a sentence is False.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> reports = pd.DataFrame({"report_id": ["r"], "patient_id": ["p"], "text": ["No effusion. Wet lungs."]})
    >>> truth = pd.DataFrame([label_row("r", "curated", "choice", [finding("Edema", start=13, end=22)])])
    >>> decided = decisions(truth, [truth.assign(source="rules")], task="choice", reports=reports)
    >>> found = traits(decided, reports, reports, [truth], task="choice")
    >>> found.columns[found.loc[("r", "Edema")]].tolist()
    ['rare_word', 'placed']
    """
    key = task_of(task).key()
    text_of = reports.set_index("report_id")["text"]
    bodies = text_of.map(report_body)
    long = bodies.str.len() > bodies.str.len().quantile(LONG)
    known = Counter(w for body in train["text"].map(report_body) for w in _words(body))
    devices = {key(getattr(f, task_of(task).attribute) or "") for f in FINDINGS.values() if f.category == _DEVICE}
    places: dict[tuple[str, str], int] = {}
    for table in tables:
        for cell, entry in strongest_findings(table[table["task"] == task], key).items():
            if entry.get("start") is not None:
                places.setdefault(cell, entry["start"])
    rows, cells = [], decided[CELL].drop_duplicates()
    for cell in cells.itertuples(index=False, name=None):
        report_id, code = cell
        bounds = sentence_at(text_of[report_id], places[cell]) if cell in places else None
        sentence = text_of[report_id][slice(*bounds)] if bounds else ""
        rare = any(known[w] < RARE for w in _words(sentence))
        held = sentence_traits(sentence)
        rows.append([*(t in held for t in TRAITS), code in devices, rare, long[report_id], cell in places])
    frame = pd.DataFrame(rows, columns=[*BUCKETS, "placed"], index=pd.MultiIndex.from_frame(cells))
    return frame.astype(bool)


def bucket_rates(decided: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Count, per bucket of `traits` and source, the decisions that are wrong, with exact 95% intervals.

    Returns
    -------
    One row per label and source: label (`WHOLE`, the buckets, `NO_PLACE`, "none of these"), source, tries, hits, and
    value, low and high (fractions). Exact intervals take decisions as independent; those of one report are not quite.

    Notes
    -----
    Whether a decision has a place depends on who named the label, and so on who is right: a high share of errors at
    `NO_PLACE` says nothing about language.

    Examples
    --------
    >>> decided = pd.DataFrame([["r", "Edema", "rules", "miss"]], columns=["report_id", "code", "source", "outcome"])
    >>> held = pd.DataFrame(False, columns=[*BUCKETS], index=pd.MultiIndex.from_frame(decided[["report_id", "code"]]))
    >>> rates = bucket_rates(decided, held.assign(hedge=True, placed=True)).set_index("label")
    >>> rates.loc[["hedge", "device", "no place"], ["tries", "hits"]].values.tolist()
    [[1, 1], [0, 0], [0, 0]]
    """
    flags = held[[*BUCKETS, "placed"]].reindex(pd.MultiIndex.from_frame(decided[CELL])).astype(bool)
    buckets = {name.replace("_", " "): flags[name].to_numpy() for name in BUCKETS}
    buckets[NO_PLACE] = ~flags["placed"].to_numpy()
    rest = ~np.logical_or.reduce(list(buckets.values()))
    whole = (np.ones(len(decided), dtype=bool), ~buckets["negation"] & ~buckets[NO_PLACE])
    buckets = {**dict(zip(WHOLE, whole, strict=True)), **buckets, "none of these": rest}
    wrong, source = (decided["outcome"] != "right").to_numpy(), decided["source"].to_numpy()
    rows = [
        (label, name, int((inside & (source == name)).sum()), int((inside & wrong & (source == name)).sum()))
        for label, inside in buckets.items()
        for name in dict.fromkeys(source)
    ]
    frame = pd.DataFrame(rows, columns=["label", "source", "tries", "hits"])
    low, high = exact_interval(frame["hits"].to_numpy(), frame["tries"].to_numpy())
    return frame.assign(value=frame["hits"] / frame["tries"].where(frame["tries"] > 0), low=low, high=high)


def error_rows(decided: pd.DataFrame, held: pd.DataFrame, fate: pd.Series, *, task: str) -> pd.DataFrame:
    """Return the wrong decisions as rows of the `errors` contract, with their buckets and their fate."""
    wrong = decided[decided["outcome"] != "right"].rename(columns={"outcome": "kind"})
    cells = pd.MultiIndex.from_frame(wrong[CELL])
    flags = held[list(BUCKETS)].reindex(cells).reset_index(drop=True)
    frame = wrong.assign(task=task, fate=fate.reindex(cells).to_numpy()).reset_index(drop=True)
    return frame.join(flags)[list(ERRORS.columns)]


def share_by(names: pd.Series, hits: pd.DataFrame) -> pd.DataFrame:
    """Count, per name, the share of cells that are hit, with its exact 95% interval.

    Parameters
    ----------
    names
        The name of each cell, indexed by report_id and code, such as its `radbook.teachers.rules.phenomena.phenomenon`.
    hits
        Table with report_id and code, such as of `disagreements`: the cells that are hit.

    Returns
    -------
    One row per name, the most frequent first: tries, hits, and value, low and high (fractions).

    Examples
    --------
    >>> cells = pd.MultiIndex.from_product([["1", "2"], ["Edema"]], names=["report_id", "code"])
    >>> names = pd.Series(["list", "list"], index=cells)
    >>> share_by(names, pd.DataFrame({"report_id": ["2"], "code": ["Edema"]})).round(3).values.tolist()
    [[2.0, 1.0, 0.5, 0.013, 0.987]]
    """
    tries = names.value_counts()
    hit = names.index.isin(pd.MultiIndex.from_frame(hits[CELL]))
    count = names[hit].value_counts().reindex(tries.index, fill_value=0)
    low, high = exact_interval(count.to_numpy(), tries.to_numpy())
    return pd.DataFrame({"tries": tries, "hits": count, "value": count / tries, "low": low, "high": high})


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
