"""The figures of the page "The paper's claims, and ours": `results/claims.csv`, measured whenever a run or a sweep is published.

Where `pages/paper.md` says `{{ openi_choice_student }}`, the book puts the text that the table has under that name.
What no published run measured reads "not measured".
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from radbook.compare.published import PUBLISHED_RUNS, published_record
from radbook.compare.record import Record
from radbook.compare.wei2024 import ALL_EXAMPLES, FEW_EXAMPLES, PUBLISHED, RELEASED, RELEASED_CODES, steps_of
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import FEW_POSITIVES, has_reference, paired_difference
from radbook.evaluation.power import paired_power, reports_needed
from radbook.icd10 import check_code
from radbook.pipeline.sweep.table import read_sweep, seeds_text, spread
from radbook.reporting.text import interval, p_value, plain, verdict
from radbook.tasks import TASKS

__all__ = ["NOT_MEASURED", "paper_figures", "write_claims"]

NOT_MEASURED = "not measured"
_TEACHERS = {
    "indexer": "the indexer",
    "keywords": "keywords",
    "rules": "the rules",
    "simulated": "the simulated teacher",
    "chat": "a language model",
}
_VERDICTS = {"above": "above its teacher", "below": "below its teacher", "tie": "not distinguishable from its teacher"}
_SWEPT = {"warmup", "learning_rate", "n_choice", "choice_source", "open_source"}
_MEAN = ["value", "low", "high", "seeds"]
_GAP = PUBLISHED["choice, student"] - PUBLISHED["choice, NegBio"]


def write_claims(project: Path) -> None:
    """Measure every figure that the page of a project names, and write the table."""
    page = project / "pages" / "paper.md"
    if page.is_file():
        figures = paper_figures(project)
        names = dict.fromkeys(re.findall(r"{{ (\w+) }}", page.read_text(encoding="utf-8")))
        rows = [(name, figures.get(name, NOT_MEASURED)) for name in names]
        pd.DataFrame(rows, columns=["name", "text"]).to_csv(project / "results" / "claims.csv", index=False)


def paper_figures(project: Path) -> dict[str, str]:
    """Measure what the published runs of a project say to the paper's claims.

    Names are CORPUS_NAME and CORPUS_TASK_NAME for the runs of `radbook.compare.published.PUBLISHED_RUNS`, sweep_NAME for the
    sweep `ablations`, and paper_NAME for what the authors report or the labels they released say.

    Examples
    --------
    >>> figures = paper_figures(Path("nowhere"))
    >>> figures["paper_choice_student"], figures["paper_steps"], figures["sweep_on"], "openi_choice_student" in figures
    ('0.67', '106', 'no sweep is published', False)
    """
    figures = _of_the_paper() | {f"sweep_{name}": text for name, text in _of_the_sweep(project).items()}
    for corpus in PUBLISHED_RUNS:
        record = published_record(corpus, project=project)
        if record:
            figures |= {f"{corpus}_{name}": text for name, text in _of_a_run(record).items()}
    return figures


def _of_the_paper() -> dict[str, str]:
    refused = [code for code, phrase in RELEASED_CODES.items() if not check_code(code, phrase)[0]]
    found = {**PUBLISHED, "gap": _GAP, "codes": len(RELEASED_CODES), "refused": len(refused), "warmup": RELEASED["warmup"]}
    found |= {"steps": steps_of(ALL_EXAMPLES, RELEASED), "small_steps": steps_of(FEW_EXAMPLES, RELEASED)}
    names = (f"paper_{re.sub(r'[^a-z0-9]+', '_', name.lower())}" for name in found)
    return dict(zip(names, map(_published_text, found.values()), strict=True))


def _published_text(value: float | Mapping) -> str:
    if isinstance(value, Mapping):
        return interval(value)
    return f"{value:.2f}" if isinstance(value, float) else plain(value)


def _of_a_run(record: Record) -> dict[str, str]:
    p, scores = record.parameters, record.scores[record.scores["policy"] == record.policy]
    rows = record.manifest.get("instructions", {})
    own = record.answers[record.answers["source"].str.startswith("student:")]
    each = scores[(scores["source"] == "rules") & (scores["task"] == "choice")].set_index(["metric", "label"])
    tested, f1 = each.loc[("f1", "micro")], each.loc["f1"]
    found = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in p.items()}
    found |= {
        "base": base_name(p),
        "warmup": f"{100 * p['warmup']:.0f}% of the steps" if p["warmup"] < 1 else f"{p['warmup']:.0f} steps",
        "examples": " and ".join(f"{n:,} {task}" for task, n in sorted(rows.items(), reverse=True)),
        "steps": plain(steps_of(sum(rows.values()), p)),
        "tested": f"{tested['n_reports']:,.0f} test reports of {tested['n_patients']:,.0f} patients",
        "few": plain(f1.index[(f1["n_positive"] < FEW_POSITIVES) & f1.index.isin(CATEGORIES)].tolist()),
        **{f"rules_{metric}": interval(each.loc[(metric, "micro")]) for metric in ("precision", "recall")},
        **{f"{task}_{name}": text for task in TASKS for name, text in _of_a_task(record, scores, task).items()},
        **_power(record),
    }
    return found | ({"failed": f"{(own['status'] == 'failed').sum():,} of {len(own):,}"} if len(own) else {})


def _of_a_task(record: Record, scores: pd.DataFrame, task: str) -> dict[str, str]:
    taught = str(record.parameters[f"{task}_source"])
    sources = {role: record.source(role, task) for role in ("student", "base", "rules")}
    sources["teacher"] = record.teacher(task)
    micro = scores.query("task == @task and label == 'micro' and metric == 'f1'").set_index("source")
    found = {name: interval(micro.loc[source]) for name, source in sources.items() if source in micro.index}
    found["taught_by"] = _TEACHERS.get(taught, taught)
    curated, student, rival = (record.labels(s, task) for s in ("curated", sources["student"], sources["teacher"]))
    if has_reference(curated, task, reports=record.reports) and len(student) and len(rival):
        options = {"reports": record.reports, "n_bootstrap": record.parameters["n_bootstrap"]}
        options |= {"task": task, "seed": record.parameters["seed"]}
        for ending, policy in (("", record.policy), ("_u_one", "u-one")):
            gap = paired_difference(curated, student, rival, policy=policy, **options)
            found[f"gap{ending}"] = f"{interval(gap, signed=True)}, p {p_value(gap['p'])}"
            found[f"verdict{ending}"] = verdict(gap, **_VERDICTS)
    return found


def _power(record: Record) -> dict[str, str]:
    """What a test set as small as the paper's would have told of the paper's difference, with our student and rules."""
    tables = [record.labels(s, "choice") for s in ("curated", record.source("student", "choice"), "rules")]
    if not all(map(len, tables)):
        return {}
    # As chapter 7 asks, so that the two pages draw the same test sets.
    drawn = {"policy": record.policy, "reports": record.reports, "seed": record.parameters["seed"]}
    table = paired_power(*tables, task="choice", gap=_GAP, **drawn)
    row = table.set_index("n_reports").loc[PUBLISHED["reports"]]
    told = {"told": f"{100 * row['told_gap']:.0f} of 100", "width": f"{row['width']:.3f}"}
    return told | ({"needed": plain(reports_needed(table))} if math.isfinite(table.attrs["error"]) else {})


def _of_the_sweep(project: Path) -> dict[str, str]:
    """What the sweep `ablations` tells of joint training, learning rate and sample size."""
    table, told = read_sweep(project / "results" / "ablations")
    if not set(table) >= _SWEPT:
        return {"on": "no sweep is published"}
    own = table[table["source"] == "student"]
    # A student that was taught one task alone tells nothing of the other.
    taught = own[np.where(own["task"] == "choice", own["choice_source"], own["open_source"]) != "none"]
    alone = taught[["choice_source", "open_source"]].eq("none").any(axis=1)
    taught = taught.assign(how=alone.map({True: "alone", False: "together"}))
    # The fixed warm-up would show the learning rate as well.
    size = taught[(taught["curve"] == "size") & (taught["warmup"] < 1)]
    # "All rows" are a few more or fewer with each seed, and still one size.
    size = size.assign(rows=size.groupby(["task", "n_choice"])["n_train"].transform("mean").round())
    # The untuned base learned from no example, and is the same in every run of a seed.
    base = table[(table["curve"] == "size") & (table["source"] == "base")].drop_duplicates(["task", "seed"])
    size = pd.concat([size, base[base["task"].isin(size["task"])].assign(rows=0.0)])
    fixed = told.get("parameters", {})
    known = {"corpus", "base_model"} <= fixed.keys()
    found = {
        "together": _means(taught[taught["curve"] == "tasks"], "how", "{}"),
        "rate": _means(taught[taught["curve"] == "learning_rate"], "learning_rate", "at {:g}"),
        "size": _means(size, "rows", "with {:,.0f} examples"),
        "on": f"a sweep on {fixed['corpus']} reports, {base_name(fixed)}" if known else "",
        "sure": "means over seeds with their range; where ranges overlap, the sweep cannot choose",
    }
    return {name: text for name, text in found.items() if text}


def _means(rows: pd.DataFrame, key: str, form: str) -> str:
    """Say the mean F1 over seeds for each value of `key`, the highest first, task by task.

    >>> rows = pd.DataFrame({"task": "choice", "rows": [9, 9, 30], "f1": [0.5, 0.7, 0.8]})
    >>> _means(rows.assign(source="student", seed=[1, 2, 1], n_train=9), "rows", "of {}")
    'choice: 0.800 (1 seed) of 30, 0.600 (0.500 to 0.700, 2 seeds) of 9'
    """
    means = spread(rows.assign(source="student"), [key]).sort_values("value", ascending=False)
    return "; ".join(
        f"{task}: " + ", ".join(f"{seeds_text(*row[_MEAN])} {form.format(row[key])}" for _, row in found.iterrows())
        for task, found in means.groupby("task")
    )


def base_name(parameters: Mapping) -> str:
    """Name the base model of a run or a sweep.

    >>> base_name({"base_model": "tiny"}), base_name({"base_model": "/models/mine"})
    ('the tiny base', 'mine')
    """
    base = str(parameters["base_model"])
    return {"tiny": "the tiny base", "smollm2": "SmolLM2-135M-Instruct"}.get(base, Path(base).name)
