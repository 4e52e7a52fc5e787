"""Small runs with real tables and no training: generated reports, the rules, and students of a stated quality."""

from functools import cache
from pathlib import Path

import pandas as pd
from transformers import AutoTokenizer

from radbook.core.files import write_json
from radbook.corpora import load_corpus
from radbook.evaluation import score
from radbook.instructions import build_instructions
from radbook.pipeline.chapters import CHAPTERS, inputs, outputs
from radbook.pipeline.fingerprints import describe_machine
from radbook.pipeline.parameters import declared_parameters, load_profile, resolve_parameters
from radbook.pipeline.run import Run, open_run
from radbook.student.base import resolve_base
from radbook.tasks import TASKS
from radbook.teachers.rules import RuleTeacher
from radbook.teachers.simulated import SimulatedTeacher

TAUGHT = resolve_base("tiny-taught")[0]

ROOT = Path(__file__).parents[1]


@cache
def cohort(seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return reports, curated labels and labels of the rules."""
    reports, curated = load_corpus("synthetic", n_reports=60, seed=seed, test_fraction=0.6)
    return reports, curated, RuleTeacher().label(reports)


def parameters(**changed: object) -> dict[str, object]:
    """Return the parameters of the profile of synthetic reports, with some changed."""
    declared = declared_parameters(sorted((ROOT / "notebooks").glob("*.ipynb")))
    _, values = load_profile("synthetic", ROOT)
    return resolve_parameters(declared, values) | {"n_bootstrap": 100} | changed


@cache
def tokenizer() -> object:
    """Return the tokenizer of the packaged base."""
    return AutoTokenizer.from_pretrained(TAUGHT)


def make_project(folder: Path) -> Path:
    """Write a project without chapters: a table of contents and a README with an empty results block."""
    (folder / "results").mkdir(parents=True)
    (folder / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    (folder / "README.md").write_text("# Toy\n\n<!-- results:begin -->\n<!-- results:end -->\n")
    return folder


def make_run(
    project: Path, name: str, *, f1: float = 0.9, seed: int = 3, draw: int = 1, **changed: object
) -> Run:
    """Write a run: its student answers as well as `f1` says, its base is right in six of ten."""
    run = open_run(name, project=project)
    reports, curated, rules = cohort(seed)
    student = SimulatedTeacher(curated, micro_f1=f1, seed=draw).label(reports).assign(source=f"student:{name}")
    base = SimulatedTeacher(curated, micro_f1=0.6, seed=9).label(reports).assign(source="base:tiny-taught")
    simulated = SimulatedTeacher(curated, micro_f1=0.93, seed=7).label(reports)
    test = reports[reports["split"] == "test"]
    predictions = pd.concat([student, base], ignore_index=True)
    predictions = predictions[predictions["report_id"].isin(test["report_id"])].reset_index(drop=True)
    run.write("reports", reports)
    for kind, table in (("curated", curated), ("rules", rules), ("simulated", simulated)):
        run.write_labels(kind, table)
    instructions, _ = build_instructions(reports, {"choice": rules, "open": simulated}, tokenizer=tokenizer())
    run.write("instructions", instructions)
    run.write("predictions", predictions.assign(reply="a reply that must not be published"))
    answers = [student, base, rules, simulated]
    parts = [score(curated, answers, task=task, reports=test, n_bootstrap=100) for task in TASKS]
    run.write("scores", pd.concat(parts, ignore_index=True))
    records = {}
    for chapter in CHAPTERS:  # none is executed; a chapter that wrote nothing has written it, and a notebook is no file
        executed = run.path / chapter.notebook
        executed.parent.mkdir(parents=True, exist_ok=True)
        executed.touch()
        made = inputs(run, chapter, {}) | outputs(run, chapter)
        records[chapter.name] = {"seconds": 1.0, "parameters": {}, **made}
    head = {"run": name, "profile": "default", "parameters": parameters(**changed), **describe_machine()}
    write_json({**head, "chapters": records}, run.path / "manifest.json")
    return run


def edit_manifest(made: Run, **changed: object) -> None:
    """Change the manifest of a run, or begin it."""
    write_json(made.manifest() | changed, made.path / "manifest.json")
