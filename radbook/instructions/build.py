"""Weak labels in, training rows out: prompt and completion of both tasks in one joint mixture.

Only reports of the train split become rows, and no patient among them may also stand in dev or test.
A label that cannot become a row (failed, empty report, prompt too long) is counted, never cut or dropped in
silence.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.schema import INSTRUCTIONS, check
from radbook.corpora.sections import body_of
from radbook.instructions.agreement import agreed_reports
from radbook.instructions.expert_checked import draw_checked, place, with_checked
from radbook.tasks import CHOICE, OPEN, Task

__all__ = ["build_instructions", "rival_of", "taught_by"]

CURATED = "curated"  # source of labels that people made

_COUNTS = (
    *("label_rows", "choice", "open", "not_train", "failed_labels", "empty_reports", "disputed", "over_length", "not_drawn"),
    *("repaired_labels", "unlabeled", "checked"),
)
_TEACHERS = {"rules": "the rules", "chat": "the language model", "simulated": "the simulated teacher"}


def build_instructions(
    reports: pd.DataFrame,
    labels_choice: pd.DataFrame | None,
    labels_open: pd.DataFrame | None,
    *,
    tokenizer: Any,
    n_choice: int = 0,
    n_open: int = 0,
    style: str = "short",
    max_prompt_tokens: int = 900,
    second_opinion: pd.DataFrame | None = None,
    curated: pd.DataFrame | None = None,
    n_checked: int = 0,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Merge the labels of both tasks into one instruction table.

    Parameters
    ----------
    reports
        The `reports` table, all splits: dev and test are needed for the leak check.
    labels_choice, labels_open
        A `labels` table of one source each; its rows of the other task are ignored. None leaves the task out.
    tokenizer
        A Hugging Face tokenizer, used for counting only.
    n_choice, n_open
        Rows to draw of each task; 0 takes all. A larger draw with the same seed contains the smaller one.
    style
        Prompt style, "short" or "full".
    max_prompt_tokens
        Prompts with more tokens are left out and counted under `over_length`.
    second_opinion
        A `labels` table of somebody else, such as the untuned base: rows on which it says something else is present are
        left out and counted under `disputed`. The open task is compared at ICD-10 category level.
    curated, n_checked
        A `labels` table of people, and how many training reports take their labels from it, in both tasks: as if
        somebody had checked so many. They are drawn first of all, are not disputed, and name their own source.
    seed
        Decides the draw and the order of the rows by a hash of each key: the order of the input does not matter.

    Returns
    -------
    instructions
        The `instructions` table. Completions start with the space that joins them to the prompt; the trainer
        adds the end-of-sequence token.
    counts
        `label_rows` (rows that came in), then where they went: `choice`, `open` (rows of the table),
        `not_train`, `failed_labels`, `empty_reports`, `disputed`, `over_length`, `not_drawn`; these add up to
        `label_rows`.
        Beside them `repaired_labels` (used, though the parser had to repair them), `unlabeled` (train
        reports without a label row, both tasks together) and `checked` (rows whose label was checked).

    Raises
    ------
    RadbookError
        If a patient stands in train and in dev or test, a label names an unknown report, a task has labels of
        two sources, more rows or checked reports are asked for than there are, or no row is left.
    """
    by_id = reports.set_index("report_id", drop=False)
    _check_patients(by_id)
    counts = dict.fromkeys(_COUNTS, 0)
    train = by_id[by_id["split"] == "train"]
    bodies = {i: body_of(t) for i, t in zip(train["report_id"], train["text"], strict=True)}
    rows: list[dict] = []
    checked = draw_checked(train, curated, n_checked, seed)
    for task, labels, wanted in ((CHOICE, labels_choice, n_choice), (OPEN, labels_open, n_open)):
        if wanted < 0:
            raise RadbookError(f"n_{task.name} is {wanted}: give the number of rows, or 0 for all")
        if labels is None:
            continue
        labels = labels[labels["task"] == task.name]
        _check_labels(labels, by_id, task)
        agreed = None if second_opinion is None else agreed_reports(labels, second_opinion, task)
        labels, sure = with_checked(labels, curated, checked, task.name)
        agreed = agreed if agreed is None else agreed | sure
        ready = _task_rows(labels, train, bodies, task, tokenizer, style, max_prompt_tokens, agreed, counts)
        if wanted > len(ready):
            raise RadbookError(
                f"n_{task.name} asks for {wanted} rows, but {len(ready)} are available: "
                "lower it, or set 0 for all"
            )
        ready.sort(key=lambda row: (row["report_id"] not in sure, place(row["task"], row["report_id"], seed)))
        drawn = ready[: wanted or None]
        counts[task.name] = len(drawn)
        counts["checked"] += sum(row["report_id"] in sure for row in drawn)
        counts["not_drawn"] += len(ready) - len(drawn)
        counts["repaired_labels"] += sum(row["status"] == "repaired" for row in drawn)
        rows += drawn
    if not rows:
        raise RadbookError(f"no instruction row is left of {counts['label_rows']} label rows: {counts}")
    rows.sort(key=lambda row: place(row["task"], row["report_id"], seed))
    frame = pd.DataFrame(rows, columns=list(INSTRUCTIONS.columns))
    return check(frame, INSTRUCTIONS), counts


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


def _task_rows(
    labels: pd.DataFrame,
    train: pd.DataFrame,
    bodies: dict[str, str],
    task: Task,
    tokenizer: Any,
    style: str,
    max_prompt_tokens: int,
    agreed: set[str] | None,
    counts: dict[str, int],
) -> list[dict]:
    """Return every row that may be trained on, and count the others by reason."""
    texts = dict(zip(train["report_id"], train["text"], strict=True))
    counts["label_rows"] += len(labels)
    counts["unlabeled"] += len(set(texts) - set(labels["report_id"]))
    rows: list[dict] = []
    for label in labels.itertuples():
        if label.report_id not in texts:
            counts["not_train"] += 1
        elif not bodies[label.report_id]:
            counts["empty_reports"] += 1
        elif label.status == "failed":
            counts["failed_labels"] += 1
        elif agreed is not None and label.report_id not in agreed:
            counts["disputed"] += 1
        else:
            rows.append(
                {
                    "report_id": label.report_id,
                    "task": task.name,
                    "source": label.source,
                    "prompt": task.prompt(bodies[label.report_id], style),
                    "completion": " " + task.render(label.findings, texts[label.report_id], style=style),
                    "status": label.status,
                }
            )
    prompt_tokens = _lengths(tokenizer, [row["prompt"] for row in rows], special=True)
    completion_tokens = _lengths(tokenizer, [row["completion"] for row in rows], special=False)
    for row, n_prompt, n_completion in zip(rows, prompt_tokens, completion_tokens, strict=True):
        row["prompt_tokens"], row["completion_tokens"] = n_prompt, n_completion
    fitting = [row for row in rows if row["prompt_tokens"] <= max_prompt_tokens]
    counts["over_length"] += len(rows) - len(fitting)
    return fitting


def _lengths(tokenizer: Any, texts: list[str], *, special: bool) -> list[int]:
    if not texts:
        return []
    # verbose=False: the tokenizer's own warning about long texts would repeat what is counted here.
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=special, verbose=False)["input_ids"]]


def _check_patients(reports: pd.DataFrame) -> None:
    held_out = set(reports.loc[reports["split"] != "train", "patient_id"])
    leaking = sorted(held_out & set(reports.loc[reports["split"] == "train", "patient_id"]))
    if leaking:
        more = f" and {len(leaking) - 5} more" if len(leaking) > 5 else ""
        raise RadbookError(
            f"{len(leaking)} patient(s) stand in train and in dev or test: {', '.join(leaking[:5])}{more}; "
            "split the reports by patient (radbook.corpora.splits.assign_splits)"
        )


def _check_labels(labels: pd.DataFrame, reports: pd.DataFrame, task: Task) -> None:
    sources = sorted(labels["source"].unique())
    if len(sources) > 1:
        named = ", ".join(sources)
        raise RadbookError(f"the {task.name} labels stem from {named}: choose one source per task")
    unknown = labels.loc[~labels["report_id"].isin(reports.index), "report_id"]
    if len(unknown):
        raise RadbookError(
            f"{len(unknown)} {task.name} labels name reports that are not in the reports table "
            f"({unknown.iloc[0]!r} is the first): were they made from another corpus?"
        )
