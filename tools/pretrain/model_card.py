"""What a base can do before any tuning: its scores, and its model card."""

from pathlib import Path
from typing import Any

import pandas as pd

from radbook.corpora import load_corpus
from radbook.corpora.synthetic import generate_reports
from radbook.evaluation import score
from radbook.student import Student
from radbook.tasks import TASKS

__all__ = ["eval_sets", "model_card", "score_base"]


def eval_sets(
    n_reports: int, *, openi_path: str | Path | None = None
) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Return (reports, curated labels) to score a base on: held-out reports of both synthetic styles, and real ones."""
    sets = {
        style: generate_reports(n_reports, style=style, seed=987_654_321) for style in ("general", "cohort")
    }
    if openi_path:
        reports, curated = load_corpus("openi", path=openi_path, seed=13)
        sets["openi_test"] = reports[reports["split"] == "test"], curated
    return sets


def score_base(
    base: str | Path,
    sets: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
    *,
    tasks: tuple[str, ...] = tuple(TASKS),
) -> dict[str, dict[str, float]]:
    """Return micro-F1 ("certain": uncertain findings count as absent) of an untuned base, by test set and task."""
    student = Student.untuned(str(base))
    scores: dict[str, dict[str, float]] = {}
    for name, (reports, curated) in sets.items():
        answers = student.label(reports, tasks=tasks).drop(columns="reply")
        tables = {t: score(curated, answers, task=t, reports=reports, n_bootstrap=40) for t in tasks}
        micro = {t: table.set_index(["label", "metric"]).loc[("micro", "f1"), "value"] for t, table in tables.items()}
        scores[name] = {t: round(float(value), 3) for t, value in micro.items()}
    return scores


_OPENI_NOTE = """
`openi_test` is the test split of the Open-i reports.
No such report was trained on, but the wordings of the grammar were chosen while reading that collection, its test split too.
So this score does not say how well the base would read the reports of a hospital nobody has looked at."""


def model_card(card: dict[str, Any]) -> str:
    """Return README.md of a base; `card` is what `pretrain` returns."""
    machine = "one GPU" if card["device"] == "cuda" else f"a CPU, {card['threads']} thread(s)"
    openi = _OPENI_NOTE if "openi_test" in card.get("scores", {}) else ""
    rows = "".join(
        f"| {name} | {values['choice']:.3f} | {values['open']:.3f} |\n"
        for name, values in card.get("scores", {}).items()
    )
    return f"""# The packaged tiny base

A Llama of {card["parameters"] / 1e6:.1f} million parameters, trained from scratch by `tools/pretrain` of radbook's repository.
It stands in for a large instruction model: it knows the language of chest reports, not the hospital it is tuned to.

- **Shape**: {card["layers"]} layers, width {card["hidden_size"]}, a vocabulary of {card["vocabulary"]} tokens.
- **Data**: reports written by this package's own generator in the *general* style (grammar {card["grammar"]}).
  Every one was new, and came with its correct replies to both tasks.
  No report of a patient was used, and nothing was downloaded.
- **Training**: seed {card["seed"]}, {card["steps"]:,} steps, {card["tokens"] / 1e6:.1f} million tokens.
  It took {card["minutes"]} minutes in {card["precision"]} on {machine}.
- **Size**: {card["megabytes"]} MB, stored in half precision as safetensors.
- **Text**: the tokenizer lower-cases everything, so replies come in lower case.

Micro-F1 without any tuning (uncertain findings count as absent; the open task at ICD-10 category level):

| held-out reports | choice | open |
|---|---|---|
{rows}
`general` and `cohort` are new synthetic reports of the two styles.{openi}
The same figures, and how they grew over the training, are in `training.json`.

Not a medical device: for teaching and research.
License: MIT, like the code.
"""
