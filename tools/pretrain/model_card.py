"""What a base can do before any tuning, by what it has read; and its model card."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from radbook.corpora import load_corpus
from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.evaluation import score
from radbook.student import Student
from radbook.tasks import TASKS
from tools.pretrain.data import Source, encode, tasks
from tools.pretrain.data import text as text_alone

__all__ = ["eval_sets", "measure_base", "model_card"]

_N_TEXTS = 100  # of each set, to measure the surprise on


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


def measure_base(
    base: str | Path, sets: dict[str, tuple[pd.DataFrame, pd.DataFrame]], source: Source
) -> dict[str, dict[str, float]]:
    """Return, by test set, what an untuned base can do, after what it has read.

    One that was taught the tasks: micro-F1 of each ("certain": uncertain findings count as absent).
    One that has read text alone: nats per token, its surprise at the text of reports.
    """
    student = Student.untuned(str(base))
    if source is not tasks:
        return {name: {"nats": _surprise(student, reports)} for name, (reports, _) in sets.items()}
    scores: dict[str, dict[str, float]] = {}
    for name, (reports, curated) in sets.items():
        answers = student.label(reports).drop(columns="reply")
        tables = {t: score(curated, answers, task=t, reports=reports, n_bootstrap=40) for t in TASKS}
        micro = {t: table.set_index(["label", "metric"]).loc[("micro", "f1"), "value"] for t, table in tables.items()}
        scores[name] = {t: round(float(value), 3) for t, value in micro.items()}
    return scores


@torch.inference_mode()
def _surprise(student: Student, reports: pd.DataFrame) -> float:
    model, tokenizer = student.model()
    pairs = [("", body) for body in map(report_body, reports["text"]) if body][:_N_TEXTS]
    total, n = 0.0, 0
    for ids, _ in encode(tokenizer, pairs):
        row = torch.tensor([ids], device=model.device)
        total += float(model(input_ids=row, labels=row).loss) * (len(ids) - 1)
        n += len(ids) - 1
    return round(total / max(n, 1), 3)


_READ = {
    text_alone.__name__: "It has read their text alone: no answers, no instructions, no codes.",
    tasks.__name__: "They came with their correct replies to both tasks, so this base knows the tasks before any tuning.",
}
_HEADS = {
    text_alone.__name__: "Surprise at the text of reports it has not read, in nats per token:\n\n"
    "| held-out reports | nats |\n|---|---|\n",
    tasks.__name__: "Micro-F1 without any tuning (uncertain findings count as absent; the open task at ICD-10 "
    "category level):\n\n| held-out reports | choice | open |\n|---|---|---|\n",
}
_OPENI_NOTE = """
`openi_test` is the published test list of the Open-i reports.
No such report was trained on, and nobody had read one while the grammar was written; other reports of the collection were
at hand then, so this score does not say how well the base would read those of another hospital."""


def model_card(name: str, card: dict[str, Any]) -> str:
    """Return README.md of the base of this name; `card` is what `pretrain` returns."""
    machine = "one GPU" if card["device"] == "cuda" else f"a CPU, {card['threads']} thread(s)"
    scores = card.get("scores", {})
    rows = "".join(f"| {k} | {' | '.join(f'{v:.3f}' for v in values.values())} |\n" for k, values in scores.items())
    openi = _OPENI_NOTE if "openi_test" in scores else ""
    measured = (
        f"{_HEADS[card['source']]}{rows}\n`general` and `cohort` are new synthetic reports of the two styles.{openi}\n"
        "The same figures are in `training.json`.\n\n"
    )
    return f"""# The base {name}

A Llama of {card["parameters"] / 1e6:.1f} million parameters, trained from scratch by `tools/pretrain` of radbook's repository on
generated reports.
{_READ[card["source"]]}

- **Shape**: {card["layers"]} layers, width {card["hidden_size"]}, a vocabulary of {card["vocabulary"]} tokens.
- **Data**: reports written by this package's own generator in the *general* style (grammar {card["grammar"]}), every one new.
  No report of a patient was used, and nothing was downloaded.
- **Training**: seed {card["seed"]}, {card["steps"]:,} steps, {card["tokens"] / 1e6:.1f} million tokens.
  It took {card["minutes"]} minutes in {card["precision"]} on {machine}.
- **Size**: {card["megabytes"]} MB, stored in half precision as safetensors.
- **Text**: the tokenizer lower-cases everything, so replies come in lower case.

{measured if scores else ""}Not a medical device: for teaching and research.
License: MIT, like the code.
"""
