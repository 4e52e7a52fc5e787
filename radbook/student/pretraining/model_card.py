"""What the packaged base can do before any tuning: its scores, how they grew while it trained, and its model card."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from radbook.corpora import load_corpus
from radbook.corpora.synthetic import generate_reports
from radbook.student import Student
from radbook.student.base import resolve_base
from radbook.tasks import TASKS, present_codes

__all__ = ["eval_sets", "growth", "model_card", "score_base"]


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
        predicted = student.label(reports, tasks=tasks)
        own = curated[curated["report_id"].isin(reports["report_id"])]
        scores[name] = {t: round(_micro_f1(own, predicted, t), 3) for t in tasks}
    return scores


def growth(base_model: str) -> pd.DataFrame:
    """Return how the zero-shot scores of a base of `radbook pretrain` grew while it was trained.

    Returns
    -------
    pandas.DataFrame
        `reports` (the test set), `minutes` and `tokens` spent, and `f1`, the micro-F1 of the choice task ("certain");
        empty for a base that has no such record.
    """
    location, local = resolve_base(base_model)
    path = Path(location, "training.json")
    columns = ["reports", "minutes", "tokens", "f1"]
    if not local or not path.is_file():
        return pd.DataFrame(columns=columns)
    card = json.loads(path.read_text(encoding="utf-8"))
    last = {name: values["choice"] for name, values in card["scores"].items()}
    entries = [*card["curve"], {"minutes": card["minutes"], "tokens": card["tokens"], **last}]
    rows = [(name, e["minutes"], e["tokens"], e[name]) for name in last for e in entries]
    return pd.DataFrame(rows, columns=columns)


def _micro_f1(curated: pd.DataFrame, predicted: pd.DataFrame, task: str) -> float:
    # A plain count for the model card; the book's figures come from radbook.evaluation, which stands further on.
    truth, said = (present_codes(table, task=task) for table in (curated, predicted))
    pairs = [(codes, said.get(report_id, set())) for report_id, codes in truth.items()]
    hits = sum(len(true & found) for true, found in pairs)
    total = sum(len(true) + len(found) for true, found in pairs)
    return 2 * hits / total if total else float("nan")


_OPENI_NOTE = """
`openi_test` is the test split of the Open-I reports.
No such report was trained on, but the wordings of the grammar were chosen while reading that collection, its test split too.
So this score does not say how well the base would read the reports of a hospital nobody has looked at."""


def model_card(card: dict[str, Any]) -> str:
    machine = "one GPU" if card["device"] == "cuda" else f"a CPU, {card['threads']} thread(s)"
    openi = _OPENI_NOTE if "openi_test" in card.get("scores", {}) else ""
    rows = "".join(
        f"| {name} | {values['choice']:.3f} | {values['open']:.3f} |\n"
        for name, values in card.get("scores", {}).items()
    )
    return f"""# The packaged tiny base

A Llama of {card["parameters"] / 1e6:.1f} million parameters, trained from scratch by `radbook pretrain`.
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
