"""Sweeps: grids checked before anything starts, points executed on a cluster, and what survives when something breaks."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from toyproject import notebook
from toyruns import ROOT

from radbook.cli import main
from radbook.core.errors import RadbookError
from radbook.core.files import write_json
from radbook.pipeline.chapters import Chapter, stale_chapters
from radbook.pipeline.fingerprints import file_digest
from radbook.pipeline.parameters import Parameter, declared_parameters
from radbook.pipeline.run import hold, open_run
from radbook.pipeline.runner import run_chapters
from radbook.pipeline.sweep.execution import Sweep, run_sweep
from radbook.pipeline.sweep.grids import Point, load_curves, make_points, parse_grid
from radbook.pipeline.sweep.table import chapters_for_scores, read_sweep, scores_table
from tools.publish.results import publish, publish_sweep

CHAPTERS = (
    Chapter(
        "01_labels",
        (),
        ("reports.parquet", "labels/curated.parquet", "labels/rules.parquet", "instructions.parquet"),
    ),
    Chapter("02_unneeded", ("reports.parquet",), ("labels/chat.parquet",)),
    Chapter("03_student", ("reports.parquet", "instructions.parquet"), ("predictions.parquet",)),
)
START = "from radbook.pipeline.run import open_run\nimport pandas as pd\n\nfolder = open_run(run)\n"
LABEL = "from radbook.core.findings import finding, label_row\n"
LABELS = (
    START
    + LABEL
    + """
ids = [f"r{i}" for i in range(seed, seed + 12)]
texts = ["Edema."] * 12
columns = {c: texts for c in ("text", "findings", "impression")}
splits = ["train"] * 6 + ["test"] * 6
folder.write("reports", pd.DataFrame(
    {"report_id": ids, "patient_id": ids, **columns, "split": splits, "corpus": "synthetic"}))
rows = [label_row(i, "curated", "choice", [finding("Edema")] if int(i[1:]) % 2 else []) for i in ids]
folder.write_labels("curated", pd.DataFrame(rows))
reports = folder.read("reports")
found = [finding("Edema")] if teacher_f1 > 0.5 else []
folder.write_labels("rules", pd.DataFrame([label_row(i, "rules", "choice", found) for i in reports.report_id]))
train = reports[reports.split == "train"].assign(task="choice", source="rules", prompt="p", completion=" c")
train = train.assign(prompt_tokens=1, completion_tokens=1)
columns = ["report_id", "task", "source", "prompt", "completion", "prompt_tokens", "completion_tokens"]
folder.write("instructions", train[columns])
"""
)
STUDENT = (
    START
    + LABEL
    + """
import os, time
if rank == 13:
    raise RuntimeError("bad luck")
told = folder.project / "told"
if os.environ.get("TOY_KILL") and not told.exists():
    (folder.project / "partial").write_text(f"{os.getppid()} {os.getpid()}")
    os.replace(folder.project / "partial", told)
    time.sleep(60)
reports = folder.read("reports")
def said(source, width):
    return [label_row(i, source, "choice", [finding("Edema")] if int(i[1:]) % width else [])
            for i in reports.report_id]
rows = pd.DataFrame(said(f"student:{run}", rank) + said("base:tiny", 3))
folder.write("predictions", rows.assign(reply=os.environ.get("OMP_NUM_THREADS", "not set")))
"""
)
CELLS = {
    "01_labels": ("seed: int = 1  # seed\nteacher_f1: float = 0.9  # quality", LABELS),
    "02_unneeded": (
        "unneeded: int = 1  # used by no other",
        "raise RuntimeError('a sweep does not run this')",
    ),
    "03_student": ("rank: int = 2  # rank, in [1, 64]\nseed: int = 1  # seed", STUDENT),
}


def toy(folder: Path) -> Path:
    (folder / "notebooks" / "profiles").mkdir(parents=True)
    (folder / "_toc.yml").write_text("")
    (folder / "notebooks" / "profiles" / "default.yaml").write_text("teacher_f1: 0.9\n")
    for name, (declared, code) in CELLS.items():
        made = notebook(name, f'run: str = "default"  # name of the run\n{declared}', code)
        nbformat.write(made, folder / "notebooks" / f"{name}.ipynb")
    return folder


def go(project: Path, grid: dict, **options) -> tuple[Sweep, list[str], list[str]]:
    lines, live = [], []
    done = run_sweep(
        curves={"grid": [grid]},
        project=project,
        chapters=CHAPTERS,
        name="s",
        echo=lines.append,
        live=live.append,
        **options,
    )
    return done, lines, live


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[Path, Sweep, list[str], list[str]]:
    project = toy(tmp_path_factory.mktemp("two"))
    return project, *go(project, {"rank": [2, 4, 13], "seed": [1]}, workers=2)


# On the cluster


@pytest.mark.notebook
def test_a_failing_point_is_named_and_the_rest_is_kept(swept):
    _, done, lines, live = swept
    assert set(done.failed) == {"s.rank-13.seed-1"}
    assert (
        "03_student: cell 4" in done.failed["s.rank-13.seed-1"]
        and "bad luck" in done.failed["s.rank-13.seed-1"]
    )
    assert len(lines) == 1 and lines[0].startswith("failed: s.rank-13.seed-1: 03_student")
    assert (live[0], live[-1]) == ("3 runs on 2 workers", "3 of 3 runs, 1 failed")
    assert done.table["run"].unique().tolist() == ["s.rank-2.seed-1", "s.rank-4.seed-1"]
    assert done.executed == 2


def test_the_table_holds_scores_that_can_be_checked_by_hand(swept):
    table = swept[1].table.set_index(["run", "source"])
    student, teacher = table.loc[("s.rank-2.seed-1", "student")], table.loc[("s.rank-2.seed-1", "teacher")]
    # Rank 2 answers as the curated labels are; the teacher says Edema of all six, three times rightly.
    assert student["f1"] == 1.0 and teacher["f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert student["difference"] == pytest.approx(1 / 3, abs=1e-4) and pd.isna(teacher["difference"])
    assert (student["teacher"], student["n_train"], student["n_test"], student["rank"], student["seed"]) == (
        "rules",
        6,
        6,
        2,
        1,
    )
    assert table.loc[("s.rank-2.seed-1", "base"), "f1"] == pytest.approx(4 / 7, abs=1e-4)


def test_what_points_share_is_executed_once_and_copied(swept):
    project = swept[0]
    for rank, donor in ((2, None), (4, "s.rank-2.seed-1")):
        run = open_run(f"s.rank-{rank}.seed-1", project=project)
        records = run.manifest()["chapters"]
        assert {n: r.get("copied_from") for n, r in records.items()} == {"01_labels": donor, "03_student": None}
        assert run.manifest()["parameters"]["rank"] == rank and run.manifest()["run"] == run.name
    assert set(run.read("predictions")["reply"]) == {"1"}, "one thread in every run, whatever the machine"


def test_seconds_count_what_was_copied_once(swept):
    project, done, _, _ = swept
    told = json.loads((done.run.path / "sweep.json").read_text())
    records = {name: open_run(name, project=project).manifest()["chapters"] for name in told["runs"]}
    assert told["shared"] == {"01_labels of s.rank-2.seed-1": records["s.rank-2.seed-1"]["01_labels"]["seconds"]}
    assert told["runs"] == {name: found["03_student"]["seconds"] for name, found in records.items()}
    assert done.table.groupby("run")["seconds"].first().to_dict() == told["runs"]


@pytest.mark.notebook
def test_one_worker_gives_the_same_tables_as_two_and_a_point_alone_those_of_one_that_shares(swept, tmp_path):
    project, first, _, _ = swept
    alone, _, _ = go(toy(tmp_path / "one"), {"rank": [2], "seed": [1]}, workers=1)
    expected = first.table[first.table["rank"] == 2]
    pd.testing.assert_frame_equal(alone.table.drop(columns="seconds"), expected.drop(columns="seconds"))
    one, two = (open_run("s.rank-2.seed-1", project=p).path for p in (tmp_path / "one", project))
    for table in ("reports", "labels/rules", "instructions", "predictions"):
        assert file_digest(one / f"{table}.parquet") == file_digest(two / f"{table}.parquet")


@pytest.mark.slow
@pytest.mark.notebook
def test_a_trained_student_answers_to_the_last_digit_alike_with_one_worker_and_with_two(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "_toc.yml").write_text("")
    options = {"parameters": [("n_reports", "60"), ("n_bootstrap", "40")], "name": "s", "project": tmp_path}
    tables, answers = [], []
    for workers, executed in ((2, 2), (1, 1)):
        done = run_sweep("smoke", curves={"rate": [{"learning_rate": [1e-4, 1e-3]}]}, workers=workers, **options)
        assert not done.failed and done.executed == executed
        tables.append(done.table.drop(columns="seconds"))
        point = open_run("s.learning_rate-0.001", project=tmp_path).path
        files = ("student/adapter/adapter_model.safetensors", "predictions.parquet")
        answers.append([file_digest(point / name) for name in files])
        shutil.rmtree(point)  # what it shares with the other stays there
    pd.testing.assert_frame_equal(*tables)
    assert answers[0] == answers[1]


@pytest.mark.notebook
def test_a_point_is_a_run_that_the_chain_finds_unchanged(swept):
    lines = []
    run_chapters(
        name="s.rank-2.seed-1", parameters=[("rank", "2"), ("seed", "1")], project=swept[0], chapters=CHAPTERS,
        names=[chapter.name for chapter in chapters_for_scores(CHAPTERS)], echo=lines.append,
    )  # fmt: skip
    assert [line.split("  ", 1)[1] for line in lines] == ["01_labels  unchanged", "03_student  unchanged"]


@pytest.mark.notebook
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")
def test_a_worker_killed_in_the_middle_is_replaced_and_its_run_repeated(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_KILL", "1")
    project = toy(tmp_path)

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not (project / "told").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        worker, _ = (project / "told").read_text().split()
        os.kill(int(worker), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done, _, _ = go(project, {"rank": [2]}, workers=1)
    killer.join()
    assert not done.failed and done.table["run"].nunique() == 1
    _, kernel = (project / "told").read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(kernel), 0)


@pytest.mark.notebook
def test_a_scheduler_elsewhere_does_the_same_and_finished_points_are_reused(swept):
    from distributed import LocalCluster

    local = {
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
        "memory_limit": 0,
        "silence_logs": 50,
    }
    with LocalCluster(n_workers=1, **local) as cluster:
        done, _, _ = go(swept[0], {"rank": [2, 4], "seed": [1]}, scheduler=cluster.scheduler_address)
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.05)
        with pytest.raises(RadbookError, match="has no worker: start one with dask worker"):
            go(swept[0], {"rank": [2], "seed": [1]}, scheduler=cluster.scheduler_address)
    assert done.executed == 0 and not done.failed
    pd.testing.assert_frame_equal(done.table, swept[1].table)


# Before anything starts


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"rnk": ["1"]}, r"grid grid: rnk: no chapter declares this parameter; did you mean rank\?"),
        ({"rank": ["1", "x"]}, "grid grid: rank: 'x' is not of type int"),
        ({"rank": ["2", "02"]}, r"grid grid: s\.rank-2 is there twice"),
        (
            {"unneeded": ["1"]},
            "grid grid, unneeded: only 02_unneeded uses it, which a sweep does not execute",
        ),
        ({"run": ["a"]}, "run is not set as a parameter; use --run NAME, or --name of a sweep"),
        ({"rank": ["2", "-3"]}, r"grid grid: rank is -3: give a whole number in \[1, 64\]"),
    ],
)
def test_a_grid_that_cannot_be_meant_stops_before_anything(tmp_path, grid, message):
    project = toy(tmp_path)
    with pytest.raises(RadbookError, match=message):
        go(project, grid)
    assert not (project / "runs").exists()


def test_a_folder_that_holds_a_run_is_no_place_for_a_sweep(tmp_path):
    project = toy(tmp_path)
    write_json({"run": "s"}, project / "runs" / "s" / "manifest.json")
    with pytest.raises(RadbookError, match="runs/s holds a run: give the sweep another name with --name"):
        go(project, {"rank": ["1"]})
    assert [p.name for p in (project / "runs" / "s").iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"policy": ["certian"]}, "policy='certian' is none of .*; did you mean certain"),
        ({"lora_rank": ["0", "-3"]}, r"lora_rank is 0: give a whole number in \[1, 4096\]"),
        ({"n_bootstrap": ["1"]}, "n_bootstrap is 1: give a whole number in .40, 1000000"),
        ({"choice_source": ["none"], "open_source": ["none"]}, "choice_source and open_source are none"),
        ({"warmup": ["1.5"]}, "warmup is 1.5: give a fraction"),
        ({"seed": ["1", "2"]}, "grid grid, seed: is set with -p as well"),
    ],
)
def test_a_value_that_a_chapter_would_refuse_is_refused_at_once(grid, message):
    declared = declared_parameters(sorted((ROOT / "notebooks").glob("*.ipynb")))
    with pytest.raises(RadbookError, match=message):
        make_points("s", {"grid": [grid]}, declared, {}, [("seed", "99")], used=list(declared))


def test_a_sweep_that_failed_throughout_has_a_table_without_rows(tmp_path):
    points = [Point("s.rank-1", ("grid",), {"rank": 1, "seed": 1})]
    scores_table(points, {}, ["rank"]).to_csv(tmp_path / "sweep.csv", index=False)
    (tmp_path / "sweep.json").write_text("{}")
    read, _ = read_sweep(tmp_path)
    assert read.empty and "rank" in read


def test_a_sweep_in_use_and_a_cluster_that_cannot_be_had_are_refused(tmp_path):
    project = toy(tmp_path)
    with (
        hold(open_run("s", project=project)),
        pytest.raises(RadbookError, match="run s is in use by process"),
    ):
        go(project, {"rank": ["1"]})
    with pytest.raises(RadbookError, match="--workers: give at least 1"):
        go(project, {"rank": ["1"]}, workers=0)
    with pytest.raises(RadbookError, match="--workers: leave it out with --scheduler"):
        go(project, {"rank": ["1"]}, workers=1, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(RadbookError, match="no Dask scheduler answers at nonsense://x"):
        go(project, {"rank": ["1"]}, scheduler="nonsense://x")


DECLARED = {
    n: Parameter(n, k, d, "", ("c",))
    for n, k, d in [("rank", "int", 2), ("rate", "float", 0.1), ("at", "str", "")]
}


def names(*curves: dict) -> list[str]:
    numbered = {str(number): [grid] for number, grid in enumerate(curves)}
    return [p.name for p in make_points("s", numbered, DECLARED, {}, used=list(DECLARED))]


def test_a_point_of_two_curves_is_one_run():
    points = make_points(
        "s", {"a": [{"rank": [1, 2]}], "b": [{"rate": [0.1, 0.5]}]}, DECLARED, {}, used=list(DECLARED)
    )
    assert [(p.name, p.curves) for p in points] == [
        ("s.rank-1", ("a",)), ("s.rank-2", ("a", "b")), ("s.rate-0.5", ("b",)),
    ]  # fmt: skip


def test_a_name_holds_the_values_and_a_hash_where_it_cannot():
    assert names({"rank": ["3"], "rate": ["1e-4"]}) == ["s.rank-3.rate-0.0001"]
    odd = names({"at": ["a/b", "a b", "x" * 300]})
    assert len(set(odd)) == 3 and max(map(len, odd)) <= 120
    assert all(open_run(name, project=".").name == name for name in odd)
    assert names({}) == ["s.default"], "the name of the sweep itself is that of a locked folder"
    paths = names({"at": ["/home/me/models/llama", "/srv/models/llama"]})
    assert len(set(paths)) == 2 and all(name.startswith("s.at-llama-") for name in paths)


def test_values_of_a_file_may_be_a_list_of_grids_or_one_value(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("each: {seed: [1, 2]}\ncurves:\n  a: {rank: 4}\n  b: [{rank: [1, 2]}, {rate: 1e-3}]\n")
    assert load_curves(file) == {
        "a": [{"rank": [4], "seed": [1, 2]}],
        "b": [{"rank": [1, 2], "seed": [1, 2]}, {"rate": [1e-3], "seed": [1, 2]}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rank: [1]", r"c\.yaml: write `curves`, a mapping"),
        ("curves: {a: [1]}", r"c\.yaml, a: write a grid"),
        ("curves: {a: {rank: [[1]]}}", r"c\.yaml, a, rank: write a list of plain values"),
        ("curves: {a: {rank: []}}", r"c\.yaml, a, rank: write a list of plain values"),
        ("curves: {}", r"c\.yaml: write `curves`, a mapping"),
        ("each: {seed: 1}\ncurves: {a: {seed: 2}}", r"c\.yaml, a: seed is under `each` already"),
        ("curves: {a: []}", "holds no grid"),
        ("curves: [a]", r"c\.yaml: write `curves`, a mapping"),
        ("curves: {", "cannot be read"),
        ("curves: {a: {rank: 1}, a: {rank: 2}}", "cannot be read: a is set twice"),
        ("curves: {a: {rank: [4, 8], rank: [16]}}", "cannot be read: rank is set twice"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RadbookError, match=message):
        load_curves(tmp_path / "c.yaml")


def test_a_grid_typed_twice_is_refused():
    with pytest.raises(RadbookError, match=r"--grid rank=2: write .*, once for each KEY"):
        parse_grid(["rank=1", "rank=2"])


# The command, and what is published


def test_the_command_hands_on_what_was_typed_and_ends_with_1_if_a_run_failed(tmp_path, monkeypatch, capsys):
    seen = {}

    def fake(profile, **options):
        seen.update(options, profile=profile)
        return Sweep(
            open_run("mine", project=tmp_path), pd.DataFrame({"run": ["a", "a"]}), {"b": "bad luck"}, 1
        )

    monkeypatch.setattr("radbook.pipeline.sweep.run_sweep", fake)
    with pytest.raises(SystemExit) as caught:
        main(
            ["sweep", "smoke", "--grid", "rank=1,2", "-p", "epochs", "1", "--workers", "2", "--name", "mine"]
        )
    assert caught.value.code == 1
    assert seen["curves"] == {"grid": [{"rank": ["1", "2"]}]} and seen["parameters"] == (("epochs", "1"),)
    assert (seen["profile"], seen["workers"], seen["name"], seen["scheduler"]) == ("smoke", 2, "mine", None)
    assert "1 of 2 runs failed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["sweep", "smoke"])
    assert "give --grid KEY=V1,V2, or --curves FILE" in capsys.readouterr().err


@pytest.mark.notebook
@pytest.mark.parametrize("parameter", ["sweep", "real_sweep"])
def test_a_chapter_that_shows_a_sweep_is_executed_again_when_it_is_published_again(tmp_path, parameter):
    project, chapters = toy(tmp_path), [Chapter("05_shows", (), ())]
    declared = f'run: str = "default"  # name\n{parameter}: str = "s"  # a published sweep'
    nbformat.write(notebook("Shows", declared, "1"), project / "notebooks" / "05_shows.ipynb")
    (project / "notebooks" / "profiles" / "default.yaml").write_text("")
    lines = []
    for content in (None, None, "curve\n"):
        if content:
            (project / "results" / "s").mkdir(parents=True)
            (project / "results" / "s" / "sweep.csv").write_text(content)
            stale = stale_chapters(open_run("default", project=project), chapters)
            assert stale == {"05_shows": "results/s has changed since"}
        run_chapters(project=project, chapters=chapters, echo=lines.append)
    assert [line.endswith("unchanged") for line in lines] == [False, False, True, False, False]
    assert not stale_chapters(open_run("default", project=project), chapters)


def test_publishing_keeps_the_table_and_neither_paths_nor_messages(swept):
    project = swept[0]
    folder = publish_sweep(open_run("s", project=project))
    assert folder == project / "results" / "s" and publish(open_run("s", project=project)) == folder
    assert {p.name for p in folder.iterdir()} == {"sweep.csv", "sweep.json"}
    told = json.loads((folder / "sweep.json").read_text())
    assert "corpus_path" not in told["parameters"] and told["threads_per_run"] == 1
    assert str(project) not in (folder / "sweep.json").read_text() + (folder / "sweep.csv").read_text()
