"""The page "The paper's claims, and ours": every figure of ours is a placeholder, and `results/claims.csv` holds its text."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from toyruns import ROOT, make_project, make_run

from radbook.book.build import read_claims
from radbook.evaluation import paired_difference
from radbook.pipeline.sweep.table import MEASURED
from tools.publish.claims import NOT_MEASURED, paper_figures, write_claims
from tools.publish.results import publish

PAGE = (ROOT / "pages" / "paper.md").read_text(encoding="utf-8")
PLACEHOLDERS = set(re.findall(r"{{ (\w+) }}", PAGE))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("claims") / "project")
    shutil.copytree(ROOT / "pages", folder / "pages")
    publish(make_run(folder, "synthetic", lora_targets="q_proj,v_proj", lora_rank=8))
    return folder


@pytest.fixture(scope="module")
def figures(project) -> dict[str, str]:
    write_claims(project)
    return read_claims(project)


def test_the_published_table_is_that_of_the_published_runs():
    measured, published = paper_figures(ROOT), read_claims(ROOT)
    assert published.keys() == PLACEHOLDERS
    assert published == {name: measured.get(name, NOT_MEASURED) for name in published}
    assert PAGE.count("{{") == len(re.findall(r"{{ \w+ }}", PAGE))


def test_what_no_run_measured_is_called_so(figures):
    assert figures.keys() == PLACEHOLDERS
    nothing = {v for k, v in figures.items() if k.startswith(("openi_", "sweep_")) and k != "sweep_on"}
    assert nothing == {NOT_MEASURED} and figures["sweep_on"] == "no sweep is published"
    assert not any("not known" in v or "nan" in v.lower() for v in figures.values())


def test_a_cell_of_the_page_holds_no_bar(figures):
    assert not any("|" in v or "\n" in v for v in figures.values())


def test_scores_and_differences_are_those_of_the_run(project, figures):
    scores = pd.read_csv(project / "results" / "synthetic" / "scores.csv").set_index(
        ["task", "source", "label", "metric"]
    )
    row = scores.loc[("choice", "student:synthetic", "micro", "f1")]
    assert figures["synthetic_choice_student"] == f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
    teacher = scores.loc[("open", "simulated:0.93", "micro", "f1")]
    assert figures["synthetic_open_teacher"].startswith(f"{teacher.value:.3f} (")
    assert figures["synthetic_open_taught_by"] == "the simulated teacher"
    run = make_run(project, "copy")
    reports, curated = run.read("reports").query("split == 'test'"), run.read_labels("curated")
    own = run.read("predictions").query("source == 'student:copy'")
    gap = paired_difference(
        curated, own, run.read_labels("simulated"), task="open", reports=reports, n_bootstrap=100, seed=13
    )
    shown = f"{gap['value']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f}), p "
    assert figures["synthetic_open_gap"].startswith(shown)


def test_settings_are_read_from_the_manifest(figures):
    assert (figures["synthetic_lora_targets"], figures["synthetic_lora_alpha"]) == ("q_proj,v_proj", "32")
    assert (figures["synthetic_learning_rate"], figures["synthetic_batch_size"]) == ("0.001", "16")
    assert figures["synthetic_warmup"] == "10% of the steps"
    assert re.fullmatch(r"\d+ open and \d+ choice", figures["synthetic_examples"])


def test_a_run_published_anew_changes_the_figures(project, figures, tmp_path):
    folder = make_project(tmp_path / "project")
    publish(make_run(folder, "synthetic", f1=0.7))
    assert paper_figures(folder)["synthetic_choice_student"] != figures["synthetic_choice_student"]


def test_a_published_run_without_answers_has_scores_but_no_differences(project, figures, tmp_path):
    folder = make_project(tmp_path / "project")
    publish(make_run(folder, "synthetic"))
    (folder / "results" / "synthetic" / "answers.parquet").unlink()
    found = paper_figures(folder)
    assert found["synthetic_choice_student"] == figures["synthetic_choice_student"]
    assert not found.keys() & {f"synthetic_{name}" for name in ("choice_gap", "choice_verdict", "told", "failed")}


def test_the_arithmetic_of_the_released_settings():
    figures = paper_figures(Path("nowhere"))
    assert (figures["paper_steps"], figures["paper_small_steps"], figures["paper_gap"]) == ("106", "8", "0.04")
    assert (figures["paper_refused"], figures["paper_codes"]) == ("7", "7")


def test_a_sweep_tells_means_over_its_seeds(tmp_path):
    folder = tmp_path / "results" / "ablations"
    folder.mkdir(parents=True)
    base = {"task": "choice", "source": "student", "choice_source": "rules", "open_source": "simulated"}
    base |= {"warmup": 0.1, "learning_rate": 0.001, "n_choice": 0, "n_train": 100}
    rows = [
        {**base, "curve": "tasks", "seed": 1, "f1": 0.9},
        {**base, "curve": "tasks", "seed": 2, "f1": 0.8},
        {**base, "curve": "tasks", "seed": 1, "f1": 0.7, "open_source": "none"},
        {**base, "curve": "tasks", "seed": 1, "f1": 0.1, "choice_source": "none"},
        {**base, "curve": "learning_rate", "seed": 1, "f1": 0.2, "learning_rate": 0.01},
        {**base, "curve": "learning_rate", "seed": 1, "f1": 0.9},
        {**base, "curve": "size", "seed": 1, "f1": 0.6},
        {**base, "curve": "size", "seed": 2, "f1": 0.8, "n_train": 108},
        {**base, "curve": "size", "seed": 1, "f1": 0.65, "n_choice": 30, "n_train": 30},
        {**base, "curve": "size", "seed": 1, "f1": 0.95, "n_choice": 50, "n_train": 50, "warmup": 100},
        {**base, "curve": "tasks", "seed": 1, "f1": 1.0, "source": "rules"},
    ]
    table = pd.DataFrame(rows)
    table = table.reindex(columns=[*dict.fromkeys([*MEASURED, *table])])
    table.to_csv(folder / "sweep.csv", index=False)
    told = {"parameters": {"corpus": "synthetic", "base_model": "tiny-taught"}}
    (folder / "sweep.json").write_text(json.dumps(told))
    figures = paper_figures(tmp_path)
    assert figures["sweep_together"] == "choice: 0.850 (0.800 to 0.900, 2 seeds) together, 0.700 (1 seed) alone"
    assert figures["sweep_rate"] == "choice: 0.900 (1 seed) at 0.001, 0.200 (1 seed) at 0.01"
    # All rows are one size, whatever number a seed's split gives.
    said = "choice: 0.700 (0.600 to 0.800, 2 seeds) with 104 examples, 0.650 (1 seed) with 30 examples"
    assert figures["sweep_size"] == said
    assert figures["sweep_on"] == "a sweep on synthetic reports, tiny-taught"
    folder.rename(tmp_path / "results" / "aaa")
    assert "sweep_rate" not in paper_figures(tmp_path), "the sweep of the claims goes by its name"
    (tmp_path / "results" / "aaa").rename(folder)
    (folder / "sweep.json").write_text(json.dumps({"parameters": {"corpus": "synthetic"}}))
    assert "sweep_on" not in paper_figures(tmp_path), "a sweep over bases has no base"


def test_the_untuned_base_is_a_student_of_no_example(tmp_path):
    folder = tmp_path / "results" / "ablations"
    folder.mkdir(parents=True)
    base = {"task": "choice", "choice_source": "rules", "open_source": "simulated", "curve": "size"}
    base |= {"warmup": 0.1, "learning_rate": 0.001, "source": "student"}
    rows = []
    for n, scores in ((30, (0.89, 0.9)), (100, (0.7, 0.71))):
        for seed, f1 in enumerate(scores):
            rows.append({**base, "n_choice": n, "n_train": n, "seed": seed, "f1": f1})
            rows.append({**rows[-1], "source": "base", "f1": 0.9 + seed / 100})
    table = pd.DataFrame(rows)
    table.reindex(columns=[*dict.fromkeys([*MEASURED, *table])]).to_csv(folder / "sweep.csv", index=False)
    (folder / "sweep.json").write_text("{}")
    means = "0.905 (0.900 to 0.910, 2 seeds) with 0 examples, 0.895 (0.890 to 0.900, 2 seeds) with 30 examples"
    said = f"choice: {means}, 0.705 (0.700 to 0.710, 2 seeds) with 100 examples"
    assert paper_figures(tmp_path)["sweep_size"] == said


def test_the_difference_under_another_policy_is_that_of_the_answers(project, figures):
    run = make_run(project, "other")
    reports, curated = run.read("reports").query("split == 'test'"), run.read_labels("curated")
    own = run.read("predictions").query("source == 'student:other'")
    options = {"policy": "u-one", "reports": reports, "n_bootstrap": 100, "seed": 13}
    gap = paired_difference(curated, own, run.read_labels("rules"), task="choice", **options)
    shown = f"{gap['value']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f}), p "
    assert figures["synthetic_choice_gap_u_one"].startswith(shown)
    assert figures["synthetic_choice_verdict_u_one"] != NOT_MEASURED


def test_a_sweep_of_other_parameters_tells_nothing_of_the_claims(tmp_path):
    folder = tmp_path / "results" / "ablations"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text("{}")
    pd.DataFrame({name: ["0"] for name in (*MEASURED, "lora_rank")}).to_csv(folder / "sweep.csv", index=False)
    assert "sweep_rate" not in paper_figures(tmp_path)
