"""The page "The paper's claims, and ours": every figure of ours is a placeholder, and comes from `results/`."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from toyruns import ROOT, make_project, make_run, publish

from radbook.book.claims_page import paper_figures
from radbook.book.claims_sweep import NOT_MEASURED
from radbook.evaluation import paired_difference
from radbook.pipeline.sweep.table import MEASURED

PAGE = (ROOT / "pages" / "paper.md").read_text(encoding="utf-8")
PLACEHOLDERS = set(re.findall(r"{{ (\w+) }}", PAGE))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("claims") / "project")
    publish(make_run(folder, "default", lora_targets="q_proj,v_proj", lora_rank=8))
    return folder


@pytest.fixture(scope="module")
def figures(project) -> dict[str, str]:
    return paper_figures(project)


def test_every_placeholder_has_a_figure(figures):
    assert figures.keys() >= PLACEHOLDERS
    assert PAGE.count("{{") == len(re.findall(r"{{ \w+ }}", PAGE))


def test_what_no_run_measured_is_called_so(figures):
    assert {v for k, v in figures.items() if k.startswith(("openi_", "sweep_")) and k != "sweep_on"} == {
        NOT_MEASURED
    }
    assert figures["sweep_on"] == "no sweep is published"
    assert not any("not known" in v or "nan" in v.lower() for v in figures.values())


def test_a_cell_of_the_page_holds_no_bar(figures):
    assert not any("|" in v or "\n" in v for v in figures.values())


def test_scores_and_differences_are_those_of_the_run(project, figures):
    scores = pd.read_csv(project / "results" / "default" / "scores.csv").set_index(
        ["task", "source", "label", "metric"]
    )
    row = scores.loc[("choice", "student:default", "micro", "f1")]
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
    assert figures["synthetic_lora"] == "q_proj, v_proj, rank 8, alpha 32"
    assert (figures["synthetic_learning_rate"], figures["synthetic_batch"]) == ("0.001", "16")
    assert re.fullmatch(r"\d+ open and \d+ choice", figures["synthetic_examples"])


def test_a_run_published_anew_changes_the_figures(project, figures, tmp_path):
    folder = make_project(tmp_path / "project")
    publish(make_run(folder, "default", f1=0.7))
    assert paper_figures(folder)["synthetic_choice_student"] != figures["synthetic_choice_student"]


def test_a_published_run_without_answers_has_scores_but_no_differences(project, figures, tmp_path):
    folder = make_project(tmp_path / "project")
    publish(make_run(folder, "default"))
    (folder / "results" / "default" / "answers.parquet").unlink()
    found = paper_figures(folder)
    assert found["synthetic_choice_student"] == figures["synthetic_choice_student"]
    assert {found[f"synthetic_{k}"] for k in ("choice_gap", "choice_verdict", "told", "failed")} == {
        NOT_MEASURED
    }


def test_the_arithmetic_of_the_released_settings():
    figures = paper_figures(Path("nowhere"))
    assert (figures["paper_steps"], figures["paper_small_steps"], figures["paper_gap"]) == (
        "106",
        "8",
        "0.04",
    )
    assert (figures["paper_refused"], figures["paper_codes"]) == ("6", "7")


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
    told = {"parameters": {"corpus": "synthetic", "base_model": "tiny"}}
    (folder / "sweep.json").write_text(json.dumps(told))
    figures = paper_figures(tmp_path)
    assert (
        figures["sweep_together"] == "choice: together 0.850 (0.800 to 0.900, 2 seeds), alone 0.700 (1 seed)"
    )
    assert figures["sweep_rate"] == "choice: highest of 2 means at 0.001, micro-F1 0.900 (1 seed)"
    said = "choice: highest of 2 means at 104 examples, micro-F1 0.700 (0.600 to 0.800, 2 seeds), a range that overlaps with "
    assert figures["sweep_size"] == said + "that of 30 examples", "all rows are one size, whatever number a seed's split gives"
    assert figures["sweep_on"] == "a sweep on synthetic reports, the tiny base"
    folder.rename(tmp_path / "results" / "aaa")
    assert paper_figures(tmp_path)["sweep_rate"] == NOT_MEASURED, "the sweep of the claims goes by its name"
    (tmp_path / "results" / "aaa").rename(folder)
    (folder / "sweep.json").write_text(json.dumps({"parameters": {"corpus": "synthetic"}}))
    assert paper_figures(tmp_path)["sweep_on"] == NOT_MEASURED, "a sweep over bases has no base"


def test_the_untuned_base_is_a_student_of_no_example_and_settings_that_reach_the_highest_are_named(tmp_path):
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
    assert paper_figures(tmp_path)["sweep_size"] == (
        "choice: highest of 3 means at 0 examples, micro-F1 0.905 (0.900 to 0.910, 2 seeds), "
        "a range that overlaps with that of 30 examples"
    )


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
    pd.DataFrame({"curve": ["grid"], "lora_rank": [2], "f1": [0.9]}).to_csv(folder / "sweep.csv", index=False)
    assert paper_figures(tmp_path)["sweep_rate"] == NOT_MEASURED


def test_results_of_another_version_leave_gaps_and_stop_nothing(project, figures, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    folder = copy / "results" / "default"
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["parameters"]["lora_targets"], manifest["parameters"]["accumulation"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    scores = pd.read_csv(folder / "scores.csv").drop(columns="policy")
    scores.to_csv(folder / "scores.csv", index=False)
    found = paper_figures(copy)
    gaps = ("lora", "batch", "steps", "tested", "rules_precision", "choice_student")
    assert {found[f"synthetic_{name}"] for name in gaps} == {NOT_MEASURED}
    for name in ("base", "epochs", "examples", "choice_gap"):
        assert found[f"synthetic_{name}"] == figures[f"synthetic_{name}"] != NOT_MEASURED
