"""The figures of the page "The paper's claims, and ours": each from `results/`, as text for the page's placeholders.

The page itself is `pages/paper.md`; where it says `{{ openi_choice_student }}`, the book puts what stands here under that
name when it is built, so that a run published anew changes the page.
A figure that no published run measured reads "not measured".
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd

from radbook.book.claims_sweep import NOT_MEASURED, base_name, sweep_figures
from radbook.compare.published import PUBLISHED_RUNS, published_record
from radbook.compare.record import Record
from radbook.compare.wei2024 import ALL_EXAMPLES, FEW_EXAMPLES, PUBLISHED, RELEASED, RELEASED_CODES
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import FEW_POSITIVES, has_reference, paired_difference
from radbook.evaluation.power import paired_power, reports_needed
from radbook.icd10 import check_code
from radbook.pipeline.sweep.schedule import steps_of
from radbook.reporting.text import interval, p_value, plain, verdict
from radbook.tasks import TASKS

__all__ = ["paper_figures"]

_TEACHERS = {"rules": "the rules", "simulated": "the simulated teacher", "chat": "a language model"}
_PER_TASK = ("student", "base", "rules", "teacher", "taught_by", "gap", "verdict", "gap_u_one", "verdict_u_one")
_PER_RUN = (
    *("base", "tested", "examples", "few", "failed", "lora", "optimizer", "batch", "epochs", "learning_rate"),
    *("warmup", "steps", "tokens", "rules_precision", "rules_recall", "told", "width", "needed"),
)


def paper_figures(project: Path) -> dict[str, str]:
    """Return the text of every placeholder of the page, from the published runs of a project.

    Names are CORPUS_NAME and CORPUS_TASK_NAME for the runs of `radbook.compare.published.PUBLISHED_RUNS`, sweep_NAME for the
    sweep `ablations` in `results/`, and paper_NAME for what the authors report or the labels they released say.

    Examples
    --------
    >>> figures = paper_figures(Path("nowhere"))
    >>> figures["openi_choice_student"], figures["paper_choice_student"], figures["paper_steps"]
    ('not measured', '0.67', '106')
    """
    figures = _of_the_paper() | sweep_figures(project)
    for corpus in PUBLISHED_RUNS:
        record = published_record(corpus, project=project)
        found = _of_a_run(record) if record else {}
        names = [*_PER_RUN, *(f"{task}_{name}" for task in TASKS for name in _PER_TASK)]
        figures |= {f"{corpus}_{name}": found.get(name, NOT_MEASURED) for name in names}
    return figures


def _of_the_paper() -> dict[str, str]:
    refused = [code for code, phrase in RELEASED_CODES.items() if not check_code(code, phrase)[0]]
    shares = {
        "choice_student": "choice, student",
        "choice_teacher": "choice, NegBio",
        "open_student": "open, student",
    }
    shares |= {"open_teacher": "open, GPT-4o", "precision": "NegBio precision", "recall": "NegBio recall"}
    readings = {"reader_1": "NegBio against reader 1", "reader_2": "NegBio against reader 2"}
    readings |= {"readers": "reader 1 against reader 2"}
    texts = {name: f"{PUBLISHED[key]:.2f}" for name, key in shares.items()}
    texts |= {name: interval(PUBLISHED[key]) for name, key in readings.items()}
    texts |= {name: plain(PUBLISHED[name]) for name in ("reports", "patients")}
    texts |= {
        "gap": f"{_published_gap():.2f}",
        "codes": plain(len(RELEASED_CODES)),
        "refused": plain(len(refused)),
    }
    texts |= {
        "steps": plain(steps_of(ALL_EXAMPLES, RELEASED)),
        "small_steps": plain(steps_of(FEW_EXAMPLES, RELEASED)),
        "warmup": plain(RELEASED["warmup"]),
    }
    return {f"paper_{name}": text for name, text in texts.items()}


def _of_a_run(record: Record) -> dict[str, str]:
    figures = _settings(record.parameters, record.manifest.get("instructions", {}))
    scores = record.scores[record.scores["policy"] == record.policy]
    rules = scores[(scores["source"] == "rules") & (scores["task"] == "choice")].set_index(
        ["metric", "label"]
    )
    for metric in ("precision", "recall"):
        if (metric, "micro") in rules.index:
            figures[f"rules_{metric}"] = interval(rules.loc[(metric, "micro")])
    if ("f1", "micro") in rules.index:
        pooled, each = rules.loc[("f1", "micro")], rules.loc["f1"]
        figures["tested"] = f"{pooled['n_reports']:,.0f} test reports of {pooled['n_patients']:,.0f} patients"
        thin = each.index[(each["n_positive"] < FEW_POSITIVES) & each.index.isin(CATEGORIES)]
        figures["few"] = plain(list(thin))
    for task in TASKS:
        figures |= {f"{task}_{name}": text for name, text in _of_a_task(record, scores, task).items()}
    own = record.answers[record.answers["source"].str.startswith("student:")]
    if len(own):
        figures["failed"] = f"{(own['status'] == 'failed').sum():,} of {len(own):,}"
    return figures | _power(record)


def _of_a_task(record: Record, scores: pd.DataFrame, task: str) -> dict[str, str]:
    taught = str(record.parameters.get(f"{task}_source", ""))
    role = "rules" if taught in ("rules", "none", "curated") else "language model"
    micro = scores[
        (scores["task"] == task) & (scores["label"] == "micro") & (scores["metric"] == "f1")
    ].set_index("source")
    names = {"student": "student", "base": "base", "rules": "rules", "teacher": role}
    sources = {name: record.source(r, task) for name, r in names.items()}
    found = {name: interval(micro.loc[s]) for name, s in sources.items() if s in micro.index}
    found["taught_by"] = _TEACHERS.get(taught, taught) or NOT_MEASURED
    words = {"above": "above its teacher", "below": "below its teacher", "tie": "not distinguishable from its teacher"}
    for ending, policy in (("", record.policy), ("_u_one", "u-one")):
        gap = _gap(record, task, sources["student"], sources["teacher"], policy)
        if gap:
            found[f"gap{ending}"] = f"{interval(gap, signed=True)}, p {p_value(gap['p'])}"
            found[f"verdict{ending}"] = verdict(gap, **words)
    return found


def _gap(record: Record, task: str, student: str, teacher: str, policy: str) -> dict[str, object]:
    """Student minus teacher on the published answers; nothing where they, or the curated labels, are not there."""
    curated, one, two = (record.labels(source, task) for source in ("curated", student, teacher))
    if not (has_reference(curated, task, reports=record.reports) and len(one) and len(two)):
        return {}
    p = record.parameters
    options = {"policy": policy, "n_bootstrap": p.get("n_bootstrap", 2000), "seed": p.get("seed", 0)}
    return paired_difference(curated, one, two, task=task, reports=record.reports, **options)


def _power(record: Record) -> dict[str, str]:
    """What a test set as small as the paper's would have told of the paper's difference, with our two sources."""
    tables = [record.labels(s, "choice") for s in ("curated", record.source("student", "choice"), "rules")]
    if not all(map(len, tables)):
        return {}
    # As chapter 7 asks, so that the two pages draw the same test sets.
    drawn = {"policy": record.policy, "reports": record.reports, "seed": record.parameters.get("seed", 0)}
    table = paired_power(*tables, task="choice", gap=_published_gap(), **drawn)
    row = table.set_index("n_reports").loc[PUBLISHED["reports"]]
    told = {"told": f"{100 * row['told_gap']:.0f} of 100", "width": f"{row['width']:.3f}"}
    return told | ({"needed": plain(reports_needed(table))} if math.isfinite(table.attrs["error"]) else {})


def _published_gap() -> float:
    return PUBLISHED["choice, student"] - PUBLISHED["choice, NegBio"]


def _settings(p: Mapping, instructions: Mapping) -> dict[str, str]:
    texts = {
        "base": lambda: base_name(p),
        "lora": lambda: f"{_targets(p)}, rank {p['lora_rank']}, alpha {p['lora_alpha']}",
        "optimizer": lambda: f"AdamW, weight decay {p['weight_decay']:g}",
        "batch": lambda: plain(p["batch_size"] * p["accumulation"]),
        "epochs": lambda: f"{p['epochs']:g}",
        "learning_rate": lambda: f"{p['learning_rate']:g}",
        "tokens": lambda: plain(p["max_new_tokens"]),
        "warmup": lambda: _warmup(p["warmup"]),
    }
    found = {}
    if instructions:
        found["examples"] = " and ".join(
            f"{n:,} {task}" for task, n in sorted(instructions.items(), reverse=True)
        )
        n = sum(instructions.values())
        texts["steps"] = lambda: plain(steps_of(n, p))
    for name, text in texts.items():
        with suppress(KeyError):  # a run of another version may lack a parameter
            found[name] = text()
    return found


def _targets(p: Mapping) -> str:
    return str(p["lora_targets"]).replace("all-linear", "all linear layers").replace(",", ", ")


def _warmup(warmup: float) -> str:
    return f"{100 * warmup:.0f}% of the steps" if warmup < 1 else f"{warmup:.0f} steps"
