"""All nine chapters on real parts, and what their sentences say counted again from the tables of the run."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import f1_score

from radbook.core.ontology import CATEGORIES
from radbook.evaluation import calibrate, compare, disagreements, judge
from radbook.pipeline.chapters import CHAPTERS
from radbook.pipeline.run import open_run
from radbook.pipeline.runner import run_chapters
from radbook.reporting.text import plain
from radbook.student import Student

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.notebook]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "results"):
        shutil.copytree(ROOT / name, project / name)
    shutil.copy(ROOT / "_toc.yml", project)
    small = [("n_reports", "120"), ("n_bootstrap", "100")]
    run_chapters("smoke", name="try", parameters=small, project=project)
    return open_run("try", project=project)


def said(run, chapter):
    """What a chapter handed to its sentences, by name."""
    path = next((run.path / "notebooks").glob(f"{chapter}_*.ipynb"))
    outputs = [o for c in json.loads(path.read_text())["cells"] for o in c.get("outputs", [])]
    glued = [o for o in outputs if "scrapbook" in o.get("metadata", {})]
    kind = "application/papermill.record/text/plain"  # the quoted string
    return {o["metadata"]["scrapbook"]["name"]: "".join(o["data"][kind]).strip("'") for o in glued}


def named(table, reports):
    """One row per report and one column per category: is it said to be present?"""
    rows = table[table["task"] == "choice"].set_index("report_id")["findings"].reindex(reports["report_id"])
    present = [{f["code"] for f in row if f["presence"] == "present"} for row in rows]
    return pd.DataFrame([[code in row for code in CATEGORIES] for row in present], columns=CATEGORIES)


def test_every_chapter_ran_and_said_something(run):
    assert list(run.manifest()["chapters"]) == [c.name for c in CHAPTERS]
    for chapter in CHAPTERS:
        assert len(said(run, chapter.name[:2])) > 3, chapter.name


def test_the_scores_of_the_sentences_are_those_of_scikit_learn(run):
    reports, curated = run.read("reports"), run.read_labels("curated")
    test = reports[reports["split"] == "test"]
    truth, predictions = named(curated, test), run.read("predictions")
    student = predictions[predictions["source"].str.startswith("student:")]
    options = {"average": "micro", "zero_division": 0.0}
    expected = {
        ("07", "choice_student"): f1_score(truth, named(student, test), **options),
        ("07", "choice_teacher"): f1_score(truth, named(run.read_labels("rules"), test), **options),
    }
    expected["04", "rules_choice"] = expected["07", "choice_teacher"]
    for (chapter, name), value in expected.items():
        assert said(run, chapter)[name].startswith(f"{value:.3f} ("), name
    assert said(run, "07")["n_test"] == plain(len(test))


def test_the_calibration_is_fitted_on_the_development_split_and_judged_on_the_test_split(run):
    reports, curated, predictions = run.read("reports"), run.read_labels("curated"), run.read("predictions")
    dev = reports[reports["split"] == "dev"]
    stated = Student.load(run.path).confidence(dev, predictions.drop(columns="reply"))
    line = calibrate(judge(curated, stated, task="choice", reports=dev))
    told = said(run, "07")
    assert told["n_fitted"] == plain(line.n_decisions)
    assert (told["half"], told["ninety"]) == (plain(float(line.apply(0.5))), plain(float(line.apply(0.9))))


def test_errors_are_counted_on_the_test_split_and_opened_on_the_development_split(run):
    reports, curated, errors = run.read("reports"), run.read_labels("curated"), run.read("errors")
    predictions = run.read("predictions")
    student = predictions[predictions["source"].str.startswith("student:")]
    test, dev = (reports[reports["split"] == split] for split in ("test", "dev"))
    wrong, opened = (int((named(curated, r) != named(student, r)).to_numpy().sum()) for r in (test, dev))
    own = errors[(errors["task"] == "choice") & errors["source"].str.startswith("student:")]
    told = said(run, "09")
    assert len(own) == wrong
    misses, inventions = (int(told[f"choice_{kind}_n"]) for kind in ("miss", "invention"))
    assert misses + inventions == opened
    labels = [*(run.read_labels(kind) for kind in ("rules", "simulated")), student.drop(columns="reply")]
    taught = [("choice", labels[0]), ("open", labels[1]), *((task, labels[2]) for task in ("choice", "open"))]
    coded = curated[curated["report_id"].isin(dev["report_id"])]  # whose codes are the vocabulary of what is opened
    every = sum(len(disagreements(compare(coded, table, task=task, reports=dev))) for task, table in taught)
    assert told["n_errors"] == plain(every)
    assert set(errors["report_id"]) <= set(test["report_id"])


def test_the_curves_are_those_of_the_published_sweep(run):
    table = pd.read_csv(ROOT / "results" / "ablations" / "sweep.csv")
    assert said(run, "08")["n_runs"] == plain(int(table["run"].nunique()))
