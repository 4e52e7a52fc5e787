"""The README's figures are those of `results/`, and nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from toyruns import edit_manifest, make_project, make_run

from radbook.compare.published import asked_record, read_record
from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.corpora import SHARING
from radbook.evaluation import POLICIES
from radbook.pipeline.run import Run, open_run
from tools.publish.__main__ import main
from tools.publish.readme import BEGIN, END, readme_block, update_readme
from tools.publish.results import publish

PROJECT = Path(__file__).parents[2]
OPEN = {corpus for corpus, sharing in SHARING.items() if sharing == "open"}


def test_readme_shows_what_results_hold() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert BEGIN + text.partition(BEGIN)[2].partition(END)[0] + END == readme_block(PROJECT)


def test_published_tables_hold_figures_and_no_text() -> None:
    published = sorted(p.parent for p in (PROJECT / "results").glob("*/scores.csv"))
    assert published, "results/ is empty: run python -m tools.publish default"
    for home in published:
        answers = (
            {"answers.parquet"}
            if json.loads((home / "manifest.json").read_text())["parameters"]["corpus"] in OPEN
            else set()
        )
        assert {p.name for p in home.glob("*")} == {
            "scores.csv",
            "differences.csv",
            "manifest.json",
        } | answers | ({"asked.parquet"} if answers and (home / "asked.parquet").exists() else set())
        words = pd.read_csv(home / "scores.csv", dtype=str)[
            ["task", "source", "reference", "policy", "label", "metric"]
        ]
        assert words.map(len).max().max() < 60


def test_published_answers_hold_codes_of_test_reports_and_no_text() -> None:
    published = [*(PROJECT / "results").glob("*/answers.parquet"), *(PROJECT / "results").glob("*/asked.parquet")]
    for file in sorted(published):
        assert file.stat().st_size < 100_000
        answers = pd.read_parquet(file)
        assert set(answers) == {"report_id", "patient_id", "task", "source", "status", "present", "uncertain"}
        codes = {code for column in ("present", "uncertain") for row in answers[column] for code in row}
        assert all(
            code in CATEGORIES or re.fullmatch(r"[A-Z]\d[\dA-Z](\.[\dA-Z]{1,4})?", code) for code in codes
        )
        assert answers["report_id"].str.fullmatch(r"\w[\w-]{2,20}").all()
        assert set(answers.loc[answers["source"] == "curated", "report_id"]) == set(answers["report_id"])


def test_answers_are_published_of_the_test_reports_only_and_without_replies(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "default")
    folder = publish(run)
    answers = pd.read_parquet(folder / "answers.parquet")
    test = run.read("reports").query("split == 'test'")
    assert set(answers["report_id"]) == set(test["report_id"]) and len(answers) == 2 * 5 * len(test)
    said = (folder / "answers.parquet").read_bytes() + (folder / "manifest.json").read_bytes()
    assert b"must not be published" not in said and test["text"].iloc[0].split(".")[0].encode() not in said


def test_what_a_small_model_was_asked_is_published_as_codes_if_it_is_worth_a_score(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path), "default")
    curated = run.read_labels("curated")
    row = curated[curated["task"] == "choice"].iloc[[0]].assign(source="smollm2, plain", reply="Small effusion")
    asked = pd.concat([row] * 100).assign(source=[f"smollm2, {k}" for k in range(100)])
    run.write("predictions_asked", asked.head(99))
    assert not (publish(run) / "asked.parquet").exists()
    run.write("predictions_asked", asked)
    published = pd.read_parquet(publish(run) / "asked.parquet")
    assert set(published["source"]) == {*asked["source"], "curated"} and len(published) == 101
    assert set(published["report_id"]) == set(row["report_id"])
    assert "effusion" not in (run.project / "results" / "default" / "asked.parquet").read_bytes().decode("latin-1")
    record = asked_record(run.project)
    assert len(record.labels("smollm2, 7", "choice")) == len(record.reports) == 1


def test_answers_of_private_reports_are_never_published(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    folder = publish(run)
    assert (folder / "answers.parquet").is_file()
    edit_manifest(run, parameters={**run.manifest()["parameters"], "corpus": "table"})
    publish(run)
    assert not (folder / "answers.parquet").exists()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["answers"] == "answers of the corpus table are not published: it is private"
    assert "texts" not in manifest and "vocabulary" not in manifest
    record = read_record(folder)
    assert record.missing == manifest["answers"] and len(record.scores) and not len(record.answers)


@pytest.mark.parametrize(("corpus", "why"), [("table", "private"), ("elsewhere", "not known to be open")])
def test_the_corpus_of_the_reports_counts_as_well(corpus: str, why: str, tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    run.write("reports", run.read("reports").assign(corpus=corpus))
    folder = publish(run)
    said = f"answers of the corpus {corpus} are not published: it is {why}"
    assert json.loads((folder / "manifest.json").read_text())["answers"] == said
    assert not (folder / "answers.parquet").exists()


def test_what_trained_the_student_is_published(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    run.student.mkdir()
    (run.student / "settings.json").write_text('{"backend_used": "unsloth", "base_model": "/home/me/base"}')
    manifest = json.loads((publish(run) / "manifest.json").read_text())
    assert manifest["backend_used"] == "unsloth" and "base_model" not in manifest


def test_a_task_without_a_reference_is_left_out_of_the_differences(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    run.write_labels("curated", run.read_labels("curated").query("task == 'choice'"))
    scores = run.read("scores")
    unknown = scores["task"] == "open"
    run.write("scores", scores.assign(**{c: scores[c].mask(unknown) for c in ("value", "low", "high")}))
    folder = publish(run)
    assert set(pd.read_csv(folder / "differences.csv")["task"]) == {"choice"}
    block = readme_block(run.project)
    assert "| synthetic | open | student:mine | not known | not known |  |" in block and "nan" not in block


def test_the_student_is_compared_with_its_own_teacher_and_with_the_untuned_base(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    rows = pd.read_csv(publish(run) / "differences.csv").set_index(["task", "source"])
    assert rows.loc[("choice", "student:mine"), "reference"].tolist() == ["rules", "base:tiny-taught"]
    assert rows.loc[("open", "student:mine"), "reference"].tolist() == ["rules", "simulated:0.93", "base:tiny-taught"]
    assert set(rows.drop(index="student:mine", level="source")["reference"]) == {"rules"}
    gap = rows.loc[("open", "student:mine")].set_index("reference").loc["simulated:0.93"]
    f1 = run.read("scores").query("task == 'open' and metric == 'f1' and label == 'micro' and policy == 'certain'")
    f1 = f1.set_index("source")["value"]
    assert gap["value"] == pytest.approx(f1["student:mine"] - f1["simulated:0.93"], abs=1e-6)
    block = readme_block(run.project)
    assert f"| synthetic | open | student:mine | simulated:0.93 | {gap['value']:+.3f} (" in block
    assert block.count("student:mine |") == 2 + 3  # a row per task, and the comparisons that are not with the rules


def test_the_block_holds_the_policy_of_the_run_alone(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    scores = run.read("scores")
    policy = run.manifest()["parameters"].get("policy", "certain")
    publish(run)
    block = readme_block(run.project)
    other = next(name for name in POLICIES if name != policy)
    run.write("scores", pd.concat([scores.assign(policy=other, value=0.125), scores], ignore_index=True))
    publish(run)
    assert readme_block(run.project) == block and "0.125" not in block


def test_a_run_that_cannot_be_published_leaves_no_folder(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    run.table_path("predictions").unlink()
    with pytest.raises(RadbookError, match="predictions"):
        publish(run)
    assert not (run.project / "results" / "mine").exists()


def test_a_folder_of_both_a_run_and_a_sweep_is_refused(tmp_path: Path) -> None:
    run = make_run(make_project(tmp_path / "project"), "mine")
    (run.path / "sweep.json").write_text("{}")
    with pytest.raises(RadbookError, match=r"runs/mine holds a run and a sweep: take sweep\.json"):
        publish(run)


def write_sweep(project: Path, **columns: str) -> Run:
    """Write the folder of a sweep of one row, with these parameters varied."""
    run = open_run("s", project=project)
    run.path.mkdir(parents=True)
    pd.DataFrame([{"curve": "a", "run": "s.1", **columns, "low": None}]).to_csv(run.path / "sweep.csv", index=False)
    told = {"parameters": {"chat_url": "http://gpu7.hospital.internal", "agreement": ""}, "failed": {}}
    told["curves"] = {"a": [{name: [value] for name, value in columns.items()}]}
    (run.path / "sweep.json").write_text(json.dumps(told))
    return run


def test_of_the_bases_of_a_sweep_only_names_are_published(tmp_path: Path) -> None:
    folder = publish(write_sweep(make_project(tmp_path / "project"), base_model="/home/me/models/llama", label="NA"))
    assert (folder / "sweep.csv").read_text() == "curve,run,base_model,label,low\na,s.1,llama,NA,\n"
    told = json.loads((folder / "sweep.json").read_text())
    assert told["curves"] == {"a": [{"base_model": ["llama"], "label": ["NA"]}]}
    assert told["parameters"] == {"agreement": ""}


def test_a_sweep_over_what_is_not_published_is_refused(tmp_path: Path) -> None:
    run = write_sweep(make_project(tmp_path / "project"), chat_url="http://gpu7.hospital.internal")
    with pytest.raises(RadbookError, match="sweep s varies chat_url, which is not published"):
        publish(run)
    assert not (run.project / "results" / "s").exists()


def test_the_command_publishes_and_fills_the_readme(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    make_run(project, "synthetic")
    (project / "pages").mkdir()
    (project / "pages" / "paper.md").write_text("{{ synthetic_choice_student }} and {{ openi_choice_student }}\n")
    command = [sys.executable, "-m", "tools.publish", "synthetic"]
    home = os.environ | {"RADBOOK_HOME": str(project)}
    done = subprocess.run(command, cwd=PROJECT, env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    claims = (project / "results" / "claims.csv").read_text().splitlines()
    assert claims[1].startswith("synthetic_choice_student,0.") and claims[2] == "openi_choice_student,not measured"
    names = {p.name for p in (project / "results" / "synthetic").iterdir()}
    assert names == {"scores.csv", "differences.csv", "manifest.json", "answers.parquet"}
    assert "| synthetic | choice | student:synthetic | 0." in (project / "README.md").read_text()


def test_a_stale_run_is_refused_before_anything_is_published(tmp_path: Path, monkeypatch, capsys) -> None:
    project = make_project(tmp_path / "project")
    make_run(project, "fresh")
    stale = make_run(project, "stale")
    monkeypatch.setenv("RADBOOK_HOME", str(project))
    reports = stale.read("reports")
    stale.write("reports", reports.assign(text=reports["text"] + " "))
    assert main(["fresh", "stale"]) == 2
    said = capsys.readouterr().err
    assert re.search(r"run stale, .*: reports\.parquet has changed since; bring it up to date", said) and said.count("\n") == 1
    assert not list((project / "results").iterdir())


def test_update_fills_the_block(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"a\n{BEGIN}\nold\n{END}\nz\n", encoding="utf-8")
    folder = tmp_path / "results" / "r"
    folder.mkdir(parents=True)
    row = {"task": "choice", "source": "rules", "reference": "curated", "policy": "certain", "metric": "f1",
           "value": 0.5, "low": 0.25, "high": 0.75, "n_reports": 4, "n_patients": 4, "n_positive": 2}  # fmt: skip
    pd.DataFrame([{**row, "label": "micro"}, {**row, "label": "macro"}]).to_csv(
        folder / "scores.csv", index=False
    )
    empty = pd.DataFrame(columns=["task", "source", "reference", "policy", "value", "low", "high", "p"])
    empty.to_csv(folder / "differences.csv", index=False)
    (folder / "manifest.json").write_text('{"parameters": {"corpus": "synthetic", "policy": "certain"}}', encoding="utf-8")
    update_readme(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| synthetic | choice | rules | 0.500 (0.250 to 0.750) | 0.500 |  | 4 | r |" in text
    assert text.startswith("a\n") and text.endswith("\nz\n") and "old" not in text
