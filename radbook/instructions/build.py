"""Weak labels in, training rows out: prompt and completion of all tasks in one joint mixture.

Only reports of the train split become rows, and no patient among them may also stand in dev or test.
A label that cannot become a row (failed, empty report, prompt too long) is counted, never cut or dropped in
silence.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import Presence
from radbook.core.schema import INSTRUCTIONS, check
from radbook.corpora.sections import report_body
from radbook.instructions.expert_checked import draw_checked, place, with_checked
from radbook.tasks import TASKS, Task, present_codes, task_of

__all__ = ["agreed_reports", "build_instructions", "rival_of", "taught_by"]

CURATED = "curated"  # source of labels that people made
_LEFT_OUT = ("not_train", "failed_labels", "empty_reports", "disputed", "thinned", "over_length", "not_drawn")
_TEACHERS = {
    "indexer": "the indexer",
    "keywords": "the keywords",
    "rules": "the rules",
    "chat": "the language model",
    "simulated": "the simulated teacher",
}


def build_instructions(
    reports: pd.DataFrame,
    labels: Mapping[str, pd.DataFrame],
    *,
    tokenizer: Any,
    n: Mapping[str, int] | None = None,
    style: str = "short",
    max_prompt_tokens: int = 900,
    second_opinion: pd.DataFrame | None = None,
    empty_share: float = 1.0,
    curated: pd.DataFrame | None = None,
    n_checked: int = 0,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Merge the labels of several tasks into one instruction table.

    Parameters
    ----------
    reports
        The `reports` table, all splits: dev and test are needed for the leak check.
    labels
        Task -> a `labels` table of one source; its rows of other tasks are ignored.
    tokenizer
        A Hugging Face tokenizer, used for counting only.
    n
        Task -> rows to draw; 0 takes all. A larger draw with the same seed contains the smaller one.
    style
        Prompt style, "short" or "full".
    max_prompt_tokens
        Prompts with more tokens are left out and counted under `over_length`.
    second_opinion
        A `labels` table of somebody else, such as the untuned base: rows on which it says something else is present are
        left out and counted under `disputed`. The open task is compared at ICD-10 category level.
    empty_share
        Share of the labels without a present finding that is kept, drawn by lot; the others are counted under `thinned`.
        A teacher that overlooks much leaves labels empty that should not be, and teaches its student to be silent.
    curated, n_checked
        A `labels` table of people, and how many training reports take their labels from it, in all tasks: as if
        somebody had checked so many. They are drawn first of all, are not disputed, and name their own source.
    seed
        Decides the draw and the order of the rows by a hash of each key: the order of the input does not matter.

    Returns
    -------
    instructions
        The `instructions` table. Completions start with the space that joins them to the prompt; the trainer
        adds the end-of-sequence token.
    counts
        `label_rows` (rows that came in), then where they went: each task by its name (rows of the table),
        `not_train`, `failed_labels`, `empty_reports`, `disputed`, `thinned`, `over_length`, `not_drawn`; these add up
        to `label_rows`.
        Beside them `repaired_labels` (used, though the parser had to repair them), `unlabeled` (train
        reports without a label row, all tasks together) and `checked` (rows whose label was checked).

    Raises
    ------
    RadbookError
        If a patient stands in train and in dev or test, a label names an unknown report, a task has labels of
        two sources, more rows or checked reports are asked for than there are, or no row is left.
    """
    n = n or {}
    for name, wanted in n.items():
        task_of(name)
        if wanted < 0:
            raise RadbookError(f"n_{name} is {wanted}: give the number of rows, or 0 for all")
    if not 0 <= empty_share <= 1:
        raise RadbookError(f"empty_share is {empty_share}: give a share from 0 to 1")
    by_id = reports.set_index("report_id", drop=False)
    _check_patients(by_id)
    train = by_id[by_id["split"] == "train"]
    texts = dict(zip(train["report_id"], train["text"], strict=True))
    bodies = {i: report_body(text) for i, text in texts.items()}
    checked = draw_checked(train, curated, n_checked, seed)
    counts = dict.fromkeys(("label_rows", *TASKS, *_LEFT_OUT, "repaired_labels", "unlabeled", "checked"), 0)
    rows: list[dict] = []
    for name, table in labels.items():
        task, own = task_of(name), table[table["task"] == name]
        _check_labels(own, by_id, name)
        agreed = None if second_opinion is None else agreed_reports(own, second_opinion, task)
        own, sure = with_checked(own, curated, checked, name)
        thin = {i for i in _empty(own) - sure if _lot(task, i, seed) >= empty_share}
        reasons = [_left_out(label, bodies, agreed, thin, sure) for label in own.itertuples()]
        counts["label_rows"] += len(own)
        counts["unlabeled"] += len(texts.keys() - set(own["report_id"]))
        for reason in filter(None, reasons):
            counts[reason] += 1
        usable = own[[not reason for reason in reasons]]
        ready = [_row(label, texts, bodies, task, style) for label in usable.itertuples()]
        _count_tokens(ready, tokenizer)
        fitting = [row for row in ready if row["prompt_tokens"] <= max_prompt_tokens]
        counts["over_length"] += len(ready) - len(fitting)
        wanted = n.get(name, 0)
        if wanted > len(fitting):
            raise RadbookError(
                f"n_{name} asks for {wanted} rows, but {len(fitting)} are available: lower it, or set 0 for all"
            )
        fitting.sort(key=lambda row: (row["report_id"] not in sure, place(row["task"], row["report_id"], seed)))
        drawn = fitting[: wanted or None]
        counts[name] = len(drawn)
        counts["checked"] += sum(row["report_id"] in sure for row in drawn)
        counts["not_drawn"] += len(fitting) - len(drawn)
        counts["repaired_labels"] += sum(row["status"] == "repaired" for row in drawn)
        rows += drawn
    if not rows:
        raise RadbookError(f"no instruction row is left of {counts['label_rows']} label rows: {counts}")
    rows.sort(key=lambda row: place(row["task"], row["report_id"], seed))
    frame = pd.DataFrame(rows, columns=list(INSTRUCTIONS.columns))
    return check(frame, INSTRUCTIONS), counts


def agreed_reports(labels: pd.DataFrame, opinion: pd.DataFrame, task: Task) -> set[str]:
    """Return the reports of which both say that the same is present; what has failed says nothing.

    Two labelers that learned in different ways, such as rules and the untuned base, seldom make the same mistake; so what
    both say is right more often than what one of them says.
    """
    ours, other = (present_codes(table, task=task.name) for table in (labels, opinion))
    return {report_id for report_id, codes in ours.items() if other.get(report_id) == codes}


def taught_by(instructions: pd.DataFrame) -> dict[str, str]:
    """Return the source that taught each task: that of its rows, those of checked reports set aside if there are others.

    >>> taught_by(pd.DataFrame({"task": ["open"] * 3, "source": ["curated", "rules", "curated"]}))
    {'open': 'rules'}
    """
    sources = {task: set(rows) for task, rows in instructions.groupby("task")["source"]}
    return {task: min(found - {CURATED} or found) for task, found in sources.items()}


def rival_of(taught: Mapping[str, str], task: str) -> tuple[str, str]:
    """Return the kind of labels that the student of a task is held against, and words for it: those that taught it.

    Nobody may have taught the task, and curated labels make no error to compare with; then the rules stand in, and the words
    say so.

    >>> rival_of({"choice": "rules", "open": "simulated:0.93"}, "open")
    ('simulated', 'the simulated teacher')
    >>> rival_of({"choice": "rules"}, "open")
    ('rules', 'the rules (nobody taught this task, they stand in)')
    """
    kind = taught.get(task, "nobody").split(":")[0]
    if kind in _TEACHERS:
        return kind, _TEACHERS[kind]
    who = "curated labels" if kind == CURATED else kind
    return "rules", f"the rules ({who} taught this task, they stand in)"


def _left_out(
    label: Any, bodies: Mapping[str, str], agreed: set[str] | None, thin: set[str], sure: set[str]
) -> str:
    """Return why a label becomes no row, as `counts` names it; "" where it may."""
    if label.report_id not in bodies:
        return "not_train"
    if not bodies[label.report_id]:
        return "empty_reports"
    if label.status == "failed":
        return "failed_labels"
    if agreed is not None and label.report_id not in agreed | sure:
        return "disputed"
    return "thinned" if label.report_id in thin else ""


def _empty(labels: pd.DataFrame) -> set[str]:
    """Return the reports whose label names nothing as present."""
    present = labels["findings"].map(lambda row: any(f["presence"] == Presence.PRESENT for f in row)).astype(bool)
    return set(labels.loc[~present, "report_id"])


def _lot(task: Task, report_id: str, seed: int) -> float:
    """Draw a number from 0 to 1 by which an empty label is kept or not: a larger share keeps what a smaller one kept."""
    return int.from_bytes(place(f"{task.name}, empty", report_id, seed), "big") / 2**64


def _row(label: Any, texts: Mapping[str, str], bodies: Mapping[str, str], task: Task, style: str) -> dict:
    return {
        "report_id": label.report_id,
        "task": task.name,
        "source": label.source,
        "prompt": task.prompt(bodies[label.report_id], style),
        "completion": " " + task.render(label.findings, texts[label.report_id], style=style),
        "status": label.status,
    }


def _count_tokens(rows: list[dict], tokenizer: Any) -> None:
    for field, special in (("prompt", True), ("completion", False)) if rows else ():
        # verbose=False: the tokenizer's own warning about long texts would repeat what is counted here.
        ids = tokenizer([row[field] for row in rows], add_special_tokens=special, verbose=False)["input_ids"]
        for row, own in zip(rows, ids, strict=True):
            row[f"{field}_tokens"] = len(own)


def _check_patients(reports: pd.DataFrame) -> None:
    in_train = reports["split"] == "train"
    leaking = sorted(set(reports.loc[in_train, "patient_id"]) & set(reports.loc[~in_train, "patient_id"]))
    if leaking:
        more = f" and {len(leaking) - 5} more" if len(leaking) > 5 else ""
        raise RadbookError(
            f"{len(leaking)} patient(s) stand in train and in dev or test: {', '.join(leaking[:5])}{more}; "
            "split the reports by patient (radbook.corpora.splits.assign_splits)"
        )


def _check_labels(labels: pd.DataFrame, reports: pd.DataFrame, task: str) -> None:
    sources = sorted(labels["source"].unique())
    if len(sources) > 1:
        raise RadbookError(f"the {task} labels stem from {', '.join(sources)}: choose one source per task")
    unknown = labels.loc[~labels["report_id"].isin(reports.index), "report_id"]
    if len(unknown):
        raise RadbookError(
            f"{len(unknown)} {task} labels name reports that are not in the reports table "
            f"({unknown.iloc[0]!r} is the first): were they made from another corpus?"
        )
