"""Two runs compared: what differs is named, what is the same is said, and only the same reports are paired."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from toyruns import edit_manifest, make_project, make_run

from radbook import cli
from radbook.book.changes_page import changes_page
from radbook.compare import as_markdown
from radbook.compare.differences import compare_records, compare_runs
from radbook.compare.published import open_record, read_record
from radbook.compare.record import record_of
from radbook.core.errors import RadbookError
from radbook.core.findings import finding
from radbook.evaluation import paired_difference
from radbook.pipeline.chapters import CHAPTERS
from radbook.pipeline.run import open_run
from tools.publish.results import publish


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("compare") / "project")
    make_run(folder, "synthetic")
    make_run(folder, "again")
    make_run(folder, "worse", f1=0.7, learning_rate=0.01, policy="certain")
    make_run(folder, "others", seed=4)
    publish(open_run("synthetic", project=folder))
    return folder


def change(changes, task="choice", role="student"):
    return next(c for c in changes.answers if (c.task, c.role) == (task, role))


def names(changes, state, part):
    rows = changes.settings
    return rows.loc[(rows["state"] == state) & (rows["part"] == part), "name"].tolist()


def test_a_run_is_the_same_as_what_was_published_of_it(project):
    changes = compare_runs("results/synthetic", "synthetic", project=project)
    assert not changes.why and [c.changed for c in changes.answers] == [0] * 6
    assert not (changes.settings["state"] == "differs").any()
    assert names(changes, "not recorded", "parameters") == ["corpus_path", "chat_url"]
    assert names(changes, "same", "notebooks") == [c.name for c in CHAPTERS]
    assert names(changes, "same", "data")[:3] == ["texts of the test reports", "reports.parquet", "labels/curated.parquet"]
    assert "###" not in as_markdown(changes), "nothing changed, so there is nothing to pair"


def test_runs_of_other_names_with_the_same_answers_are_the_same(project):
    changes = compare_runs("synthetic", "again", project=project)
    assert set(changes.settings["state"]) == {"same"} and [c.changed for c in changes.answers] == [0] * 6


def test_what_differs_is_named_with_both_values(project):
    run = open_run("worse", project=project)
    edit_manifest(run, code="other", packages={**run.manifest()["packages"], "peft": "0.1"})
    changes = compare_runs("synthetic", "worse", project=project)
    differing = changes.settings.query("state == 'differs'")
    assert differing["name"].tolist() == ["learning_rate", "the library", "peft"]
    assert differing.iloc[0][["a", "b"]].tolist() == ["0.001", "0.01"] and differing.iloc[2]["b"] == "0.1"
    text = as_markdown(changes)
    assert re.search(r"\| parameters \| `learning_rate` \| `0\.001` +\| `0\.01` +\|", text)
    assert "### Task choice, student (A: student:synthetic, B: student:worse)" in text
    assert "### Task choice, base" not in text and re.search(r"\| choice \| base \(base:tiny-taught\) +\| 0 ", text)


def test_differences_are_b_minus_a_with_the_interval_of_the_paired_test(project):
    changes = compare_runs("synthetic", "worse", project=project)
    found, scores = change(changes, "open"), changes.paired(change(changes, "open"))
    one, two = (open_run(n, project=project) for n in ("synthetic", "worse"))
    tables = [r.read("predictions").drop(columns="reply") for r in (two, one)]
    own = [t[t["source"].str.startswith("student:")] for t in tables]
    reports = one.read("reports").query("split == 'test'")
    expected = paired_difference(
        one.read_labels("curated"), *own, task="open", reports=reports, n_bootstrap=2000
    )
    micro = scores.set_index("label").loc["micro"]
    assert micro["value"] < 0 and micro["value"] == pytest.approx(micro["value_b"] - micro["value_a"])
    assert micro[["value", "low", "high", "p"]].tolist() == pytest.approx(
        [expected[k] for k in ("value", "low", "high", "p")]
    )
    assert scores["p_holm"].notna().any()
    same = sum(
        a == b
        for a, b in zip(
            *[t[t["task"] == "open"].sort_values("report_id")["findings"] for t in own], strict=True
        )
    )
    assert found.changed == len(reports) - same


def test_the_published_answers_score_like_the_run(project):
    published, own = (open_record(n, project=project) for n in ("results/synthetic", "synthetic"))
    pd.testing.assert_frame_equal(published.answers, own.answers)
    assert {k: published.manifest[k] for k in ("texts", "vocabulary", "files")} == {
        k: own.manifest[k] for k in ("texts", "vocabulary", "files")
    }


def test_other_reports_are_not_paired_and_the_reason_is_told(project):
    changes = compare_runs("synthetic", "others", project=project)
    assert changes.why.startswith("the test reports are not the same:")
    found = change(changes)
    scores = changes.side_by_side(found)
    assert found.why == changes.why and scores.index[0] == "micro"
    assert scores["A"].str.match(r"\d\.\d{3} \(|not known").all()
    text = as_markdown(changes)
    assert f"The answers cannot be compared report by report, because {changes.why}." in text
    assert "B - A (95% interval)" not in text and "| not known " in text


@pytest.mark.parametrize(
    ("table", "column", "why"),
    [
        ("labels/curated", "findings", r"the curated labels are not the same: 1 of \d+ answers differ"),
        ("reports", "text", "the test reports have the same ids but other texts"),
    ],
)
def test_the_same_ids_are_not_enough(project, table, column, why, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    run = open_run("again", project=copy)
    test = run.read("reports").query("split == 'test'")["report_id"].iloc[0]
    frame = run.read(table)
    row = frame.index[frame["report_id"] == test][0]
    frame.at[row, column] = {"text": "Other words.", "findings": [finding("Pneumothorax", "uncertain")]}[
        column
    ]
    run.write(table, frame)
    assert re.fullmatch(why, compare_runs("synthetic", "again", project=copy).why)


def test_a_role_that_one_run_lacks_is_not_paired(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    run = open_run("again", project=copy)
    predictions = run.read("predictions")
    run.write("predictions", predictions[predictions["source"] != "base:tiny-taught"])
    scores = run.read("scores")
    run.write("scores", scores[scores["source"] != "base:tiny-taught"])
    changes = compare_runs("synthetic", "again", project=copy)
    found = change(changes, role="base")
    assert found.why == "runs/again has no base" and set(changes.side_by_side(found)["B"]) == {"not recorded"}
    assert not change(changes).why


def without(findings: list[dict]) -> list[dict]:
    """Return findings less those of two categories."""
    return [found for found in findings if found["code"] not in ("Fracture", "Pneumothorax")]


def test_a_score_that_only_one_run_has_is_not_called_the_same(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    for name, invented in (("synthetic", []), ("again", [finding("Fracture")])):
        run = open_run(name, project=copy)
        answers, curated = run.read("predictions"), run.read_labels("curated")
        own = answers["source"].str.startswith("student:") & (answers["task"] == "choice")
        answers.loc[own, "findings"] = answers.loc[own, "findings"].map(lambda found, new=invented: [*without(found), *new])
        run.write("predictions", answers)
        run.write_labels("curated", curated.assign(findings=curated["findings"].map(without)))
    text = as_markdown(compare_runs("synthetic", "again", project=copy))
    assert re.search(r"\| Fracture +\| 0 +\| not known \| 0\.000 +\| not known ", text)
    assert re.search(r"\| Pneumothorax +\| 0 +\| not known \| not known \| not known ", text)


def test_scores_side_by_side_are_those_of_each_runs_own_policy(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    run = open_run("others", project=copy)
    run.write("scores", run.read("scores").assign(policy="u-one"))
    edit_manifest(run, parameters={**run.manifest()["parameters"], "policy": "u-one"})
    changes = compare_runs("synthetic", "others", project=copy)
    assert not (changes.side_by_side(change(changes))["B"] == "not recorded").any()
    assert "(policies certain and u-one)" in as_markdown(changes)


def test_of_a_local_base_the_name_is_compared_with_what_was_published(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    run = open_run("synthetic", project=copy)
    machine = {"base_model": "/home/me/models/llama", "chat_url": "http://gpu7.hospital.internal/v1"}
    edit_manifest(run, parameters={**run.manifest()["parameters"], **machine})
    folder = publish(run)
    said = (folder / "manifest.json").read_text()
    assert '"base_model": "llama"' in said and "/home" not in said and "hospital" not in said
    changes = compare_runs("results/synthetic", "synthetic", project=copy)
    assert not names(changes, "differs", "parameters")


def test_a_run_without_answers_compares_what_it_has(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    begun = open_run("begun", project=copy)
    edit_manifest(begun, profile="synthetic", parameters={"corpus": "synthetic"}, chapters={})
    changes = compare_records(record_of(begun), open_record("synthetic", project=copy))
    assert changes.why == "runs/begun holds no reports"
    rate = changes.settings.set_index("name").loc["learning_rate"]
    assert rate[["a", "b", "state"]].tolist() == ["not recorded", "0.001", "differs"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "synthetc",
            r"there is no run synthetc; did you mean synthetic\?; there are: again, others, synthetic, worse, results/synthetic",
        ),
        ("results/synthetc", r"did you mean results/synthetic\?"),
        ("results/again", "there is no run results/again"),
        ("../x", "there is no run"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(project, name, message):
    with pytest.raises(RadbookError, match=message):
        open_record(name, project=project)


def test_a_run_that_is_only_published_is_offered(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    shutil.rmtree(copy / "runs" / "synthetic")
    with pytest.raises(RadbookError, match=r"there is no run synthetic; did you mean results/synthetic\?"):
        open_record("synthetic", project=copy)


def test_a_broken_published_run_is_named(tmp_path):
    folder = tmp_path / "results" / "synthetic"
    folder.mkdir(parents=True)
    (folder / "scores.csv").write_text("")
    with pytest.raises(RadbookError, match="results/synthetic is not a published run"):
        read_record(folder)


def test_the_command_prints_the_comparison(project, monkeypatch, capsys):
    monkeypatch.setenv("RADBOOK_HOME", str(project))
    with pytest.raises(SystemExit) as caught:
        cli.main(["compare", "results/synthetic", "worse"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("Run A is results/synthetic, run B is worse.\n\n## What they were made from\n")
    assert "B - A (95% interval)" in out and max(map(len, out.splitlines())) < 400


def test_the_page_compares_with_the_published_run_of_the_corpus(project):
    page = changes_page(open_run("worse", project=project), hidden={"0.01": "scrubbed"})
    assert page.startswith("(what-changed)=\n# What changed since the published run\n")
    assert re.search(r"\| `learning_rate` \| `0\.001` +\| `scrubbed` +\|", page)
    assert re.search(r"\| choice \| student \(A: student:synthetic, B: student:worse\) \| [1-9]", page)
    assert "`radbook compare results/synthetic worse`" in page


def test_the_page_draws_nothing(project, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", None)
    assert "micro-F1, A" in changes_page(open_run("worse", project=project), hidden={})


def test_the_page_says_where_nothing_is_published(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    run = open_run("worse", project=copy)
    edit_manifest(run, parameters={**run.manifest()["parameters"], "corpus": "table"})
    page = changes_page(run, hidden={})
    assert "a run on the corpus `table`, of which no run is published" in page and "|" not in page


def test_markdown_keeps_a_cell_a_cell(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "project")
    run = open_run("worse", project=copy)
    edit_manifest(run, parameters={**run.manifest()["parameters"], "chat_model": "a | `b`\nc"})
    text = as_markdown(compare_runs("synthetic", "worse", project=copy), paired=False)
    assert re.search(r"\| `chat_model` +\| `\(empty\)` +\| `a / 'b' c` +\|", text)
