"""The chain: parameters checked before any kernel, chapters skipped or redone, failures told in one message."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import papermill
import pytest
from toyproject import CHAPTERS, FIRST, SECOND, notebook, toy_project

from radbook.book import build_book
from radbook.core.errors import ChapterError, RadbookError
from radbook.core.files import write_json
from radbook.pipeline.chapters import require_up_to_date, stale_chapters
from radbook.pipeline.fingerprints import library_files
from radbook.pipeline.parameters import Parameter, declared_parameters, load_profile, resolve_parameters
from radbook.pipeline.run import Run, hold, open_run, project_root
from radbook.pipeline.runner import run_chapters
from radbook.pipeline.validation import check_sources

DECLARED = {
    name: Parameter(name, kind, default, "", ("01_first",))
    for name, kind, default in [
        ("n", "int", 1),
        ("rate", "float", 0.5),
        ("strict", "bool", False),
        ("teacher", "str", "rules"),
        ("corpus", "str", "synthetic"),
        ("corpus_path", "str", ""),
    ]
}


def chain(project: Path, **options) -> tuple[Run, list[str], list[str]]:
    lines, live = [], []
    run = run_chapters(project=project, chapters=CHAPTERS, echo=lines.append, live=live.append, **options)
    return run, lines, live


def outcomes(chained: tuple[Run, list[str], list[str]]) -> list[str]:
    """How each chapter ended: "unchanged" or "done"."""
    ends = (line.rsplit("  ")[-1].split()[0] for line in chained[1])
    return [end for end in ends if end in ("unchanged", "done")]


# Parameters


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("n", 3, 3),
        ("rate", 1, 1.0),
        ("rate", "1e-4", 1e-4),
        ("rate", 0.25, 0.25),
        ("strict", True, True),
        ("teacher", "007", "007"),
    ],
)
def test_a_profile_value_is_taken_in_the_declared_type(name, given, value):
    got = resolve_parameters(DECLARED, {name: given})[name]
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("n", 1.5),
        ("n", "3"),
        ("n", True),
        ("rate", "fast"),
        ("rate", "nan"),
        ("rate", float("nan")),
        ("rate", float("-inf")),
        ("rate", 10**400),
        ("n", 10**400),
        ("rate", True),
        ("strict", 1),
        ("strict", "true"),
        ("teacher", 7),
        ("teacher", None),
    ],
)
def test_a_profile_value_of_another_type_is_refused(name, given):
    with pytest.raises(RadbookError, match=f"the profile {name}: .* is not of type {DECLARED[name].kind}"):
        resolve_parameters(DECLARED, {name: given})


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("n", "7", 7),
        ("rate", "2e-3", 2e-3),
        ("strict", "True", True),
        ("teacher", "7", "7"),
        ("teacher", "", ""),
    ],
)
def test_a_typed_value_is_read_by_the_declared_type(name, typed, value):
    got = resolve_parameters(DECLARED, {}, [(name, typed)])[name]
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(("name", "typed"), [("n", "7.0"), ("rate", "x"), ("rate", "inf"), ("strict", "yes")])
def test_a_typed_value_of_another_type_is_refused(name, typed):
    with pytest.raises(RadbookError, match=f"-p {name}: '{typed}' is not of type"):
        resolve_parameters(DECLARED, {}, [(name, typed)])


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(RadbookError, match=r"the profile techer: .*; did you mean teacher\?"):
        resolve_parameters(DECLARED, {"techer": "rules"})
    with pytest.raises(RadbookError, match="use --run NAME"):
        resolve_parameters(DECLARED, {}, [("run", "x")])


def test_paths_are_read_from_the_callers_folder_and_must_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports.csv").write_text("x")
    found = resolve_parameters(DECLARED, {}, [("corpus", "table"), ("corpus_path", "reports.csv")])
    assert found["corpus_path"] == str(tmp_path / "reports.csv")
    with pytest.raises(RadbookError, match=r"corpus_path: there is no file or folder report\.csv"):
        resolve_parameters(DECLARED, {"corpus_path": "report.csv"})
    with pytest.raises(RadbookError, match="corpus table needs its file"):
        resolve_parameters(DECLARED, {"corpus": "table"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1]", "not a flat mapping"),
        ("- a", "not a flat mapping"),
        ("a: 1\na: 2", "a is set twice"),
        ("a: {", "not readable YAML"),
        ("a: " + "9" * 5000, "not readable YAML"),
        ("a: " + "[" * 5000, "not readable YAML"),
        ("false", "not a flat mapping"),
    ],
)
def test_a_profile_that_is_no_flat_mapping_is_refused(tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RadbookError, match=message):
        load_profile(tmp_path / "bad.yaml", tmp_path)


def test_an_unknown_profile_lists_those_there_are(tmp_path):
    with pytest.raises(
        RadbookError, match=r"no profile defautl; did you mean default\?; profiles here: default"
    ):
        load_profile("defautl", toy_project(tmp_path))


def test_declarations_must_agree_between_chapters(tmp_path):
    for name, line in [("01_a", "seed: int = 1"), ("02_b", "seed: int = 2")]:
        nbformat.write(notebook(name, line), tmp_path / f"{name}.ipynb")
    with pytest.raises(RadbookError, match=r"02_b\.ipynb declares seed: int = 2, but 01_a declares int = 1"):
        declared_parameters(sorted(tmp_path.glob("*.ipynb")))


@pytest.mark.parametrize(
    "cell", ["seed = 1", "seed: int = 'a'", "seed: int = 1 + x", "seed: list = []", "import os"]
)
def test_a_parameters_cell_holds_typed_literals_only(tmp_path, cell):
    nbformat.write(notebook("a", cell), tmp_path / "a.ipynb")
    with pytest.raises(RadbookError, match="the parameters cell holds something else"):
        declared_parameters([tmp_path / "a.ipynb"])


def test_we_read_declarations_as_papermill_does(tmp_path):
    path = toy_project(tmp_path) / "notebooks" / "01_first.ipynb"
    ours = {n: (p.kind, repr(p.default), p.help) for n, p in declared_parameters([path]).items()}
    theirs = papermill.inspect_notebook(str(path))
    assert ours == {
        n: (p["inferred_type_name"], p["default"].replace('"', "'"), p["help"]) for n, p in theirs.items()
    }


BOOK = declared_parameters(sorted((Path(__file__).parents[2] / "notebooks").glob("0*.ipynb")))
FREE = {"base_model", "lora_targets", "chat_model", "chat_url", "chat_key_variable", "agreement", "run", "sweep", "real_sweep"}


def test_every_parameter_of_the_book_says_what_it_may_be_and_its_default_is_that():
    for name, parameter in BOOK.items():
        said = re.search(r"\{[\w, -]+\}$| in [\[(]\S+, \S+[\])]$", parameter.help)
        free = parameter.kind == "bool" or name in FREE or name.endswith(("_column", "_path"))
        assert bool(said) != free, f"{name}: {parameter.help}"
        if not free:
            resolve_parameters({name: parameter}, {name: parameter.default})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("policy", "u-two", r"policy='u-two' is none of certain, u-one, ignore; did you mean u-one\?"),
        ("corpus", "synthtic", r"corpus='synthtic' is none of .*; did you mean synthetic\?"),
        ("choice_source", "ruels", r"choice_source='ruels' is none of .*; did you mean rules\?"),
        ("open_source", "", "open_source='' is none of"),
        ("show_text", "Never", "did you mean never"),
        ("teacher_f1", 93.0, r"teacher_f1 is 93.0: give a number in \(0, 1\] \(default 0.93\)"),
        ("teacher_f1", 0, r"teacher_f1 is 0.0: give a number in \(0, 1\]"),
        ("lora_rank", 0, r"lora_rank is 0: give a whole number in \[1, 4096\]"),
        ("learning_rate", -1e-3, r"learning_rate is -0.001: give a number in \(0, 1\]"),
        ("test_fraction", 1, r"test_fraction is 1.0: give a number in \[0, 1\)"),
        ("batch_size", 0, "batch_size is 0"),
        ("accumulation", 0, "accumulation is 0"),
        ("seed", -1, "seed is -1"),
        ("seed", 10**26, "seed is 1"),
        ("n_reports", 10**26, "n_reports is 1"),
        ("n_process", 0, "n_process is 0"),
        ("threshold", 1.5, "threshold is 1.5"),
        ("warmup", 1.5, "warmup is 1.5: give a fraction of the steps below 1, or a whole number of steps"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_alike_in_a_profile_and_typed(name, value, message):
    for given in ({"profile": {name: value}}, {"profile": {}, "overrides": [(name, str(value))]}):
        with pytest.raises(RadbookError, match=message):
            resolve_parameters(BOOK, **given)


def test_splits_that_leave_nothing_to_train_on_are_refused_unless_a_list_decides():
    shares = {"test_fraction": 0.8, "dev_fraction": 0.4, "n_reports": 20}
    with pytest.raises(RadbookError, match="leave nothing to train on"):
        resolve_parameters(BOOK, shares | {"corpus": "synthetic"})
    resolve_parameters(BOOK, shares | {"corpus": "openi"})


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@api.example.com/v1",
        "https://hunter2@api.example.com/v1",
        "https://api.example.com/v1?api-key=hunter2",
        "https://api.example.com/v1#hunter2",
        "me:hunter2@api.example.com",
        "http://[hunter2",
    ],
)
def test_an_address_with_a_secret_in_it_is_refused_and_not_repeated(url):
    values = {"llm_teacher": "chat", "chat_model": "m"}
    with pytest.raises(RadbookError, match="chat_url") as caught:
        resolve_parameters(BOOK, values | {"chat_url": url})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(RadbookError, match="chat_key_variable: give the name") as caught:
        resolve_parameters(BOOK, values | {"chat_url": "http://localhost:1/v1", "chat_key_variable": "sk-hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"), ("1e-4", 1e-4), ("1E3", 1000.0), ("010", 10), ("0o10", 8), ("0x1f", 31), ("+.5", 0.5), ("1_0", "1_0"),
        ("on", "on"), ("yes", "yes"), ("No", "No"), ("True", True), ("false", False), ("2026-02-30", "2026-02-30"), ("~", None),
        ("'1e-4'", "1e-4"), ("7", 7), ("-3", -3), ("0b11", "0b11"), ("1.", 1.0),
    ],
)  # fmt: skip
def test_profiles_are_yaml_1_2(tmp_path, text, value):
    (tmp_path / "mine.yaml").write_text(f"a: {text}\n")
    got = load_profile(tmp_path / "mine.yaml", tmp_path)[1]["a"]
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("text", ["learning_rate: 1:30", "learning_rate: !!float 1:30", "allow_remote: yes", "seed: 1e3"])
def test_what_yaml_1_1_took_for_a_number_or_a_truth_is_refused(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RadbookError, match=r"is not of type|not readable YAML"):
        resolve_parameters(BOOK, load_profile(tmp_path / "mine.yaml", tmp_path)[1])


def test_an_empty_profile_sets_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_profile(tmp_path / "empty.yaml", tmp_path) == ("empty", {})
    assert resolve_parameters(DECLARED, None) == resolve_parameters(DECLARED, {})


# Runs


@pytest.mark.parametrize("name", ["", "x" * 300, "a b", "-x"])
def test_a_name_that_no_folder_can_have_is_refused(tmp_path, name):
    with pytest.raises(RadbookError, match="cannot name a run: use up to 120 letters"):
        chain(toy_project(tmp_path), name=name, names=[])
    assert not (tmp_path / "runs").exists()


def test_a_run_is_found_from_inside_the_project(tmp_path, monkeypatch):
    project = toy_project(tmp_path / "project")
    monkeypatch.delenv("RADBOOK_HOME", raising=False)
    monkeypatch.chdir(project / "notebooks")
    assert open_run("x").path == project / "runs" / "x"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RadbookError, match="not inside a radbook project"):
        project_root()
    monkeypatch.setenv("RADBOOK_HOME", str(tmp_path))
    with pytest.raises(RadbookError, match=r"which holds no _toc\.yml"):
        open_run("x")


@pytest.mark.parametrize("table", ["report", "labels", "reports/x"])
def test_an_unknown_table_is_refused(tmp_path, table):
    with pytest.raises(RadbookError, match="there is no table"):
        Run("x", tmp_path).read(table)


def test_library_files_follow_imports(tmp_path):
    nbformat.write(notebook("a", "seed: int = 1", "from radbook.core.schema import LABELS"), tmp_path / "a.ipynb")
    names = {p.name for p in library_files(tmp_path / "a.ipynb")}
    assert {"schema.py", "errors.py", "__init__.py", "findings.csv"} <= names
    assert "chapters.py" not in names


# The chain


@pytest.mark.notebook
def test_one_chapter_alone_leaves_the_parameters_of_the_others(tmp_path):
    project = toy_project(tmp_path / "project")
    chain(project, parameters=[("rate", "0.75")])
    run, _, _ = chain(project, only=2, force=True)
    assert run.manifest()["parameters"]["rate"] == 0.75
    _, lines, _ = chain(project, parameters=[("rate", "0.75")])
    assert [line.rsplit("  ")[-1] for line in lines] == ["unchanged", "unchanged"]


def test_chapters_run_once_then_only_where_something_changed(tmp_path):
    project = toy_project(tmp_path / "project")
    run, lines, live = chain(project)
    assert [line.split("  ")[0] for line in lines[::2]] == ["chapter 1 of 2", "chapter 2 of 2"]
    assert live == ["rate 0.5"]
    assert len(run.read("reports")) == 3
    manifest = run.manifest()
    assert manifest["parameters"] == {"n_reports": 3, "rate": 0.5, "strict": False, "corpus_path": ""}
    assert manifest["chapters"]["02_second"]["reads"].keys() == {"reports.parquet"}
    assert stale_chapters(run, CHAPTERS) == {}

    before = run.table_path("labels/rules").stat().st_mtime_ns
    _, lines, _ = chain(project)
    assert [line.rsplit("  ")[-1] for line in lines] == ["unchanged", "unchanged"]

    # The rate changes chapter 1 but not the table it writes, so chapter 2 stays.
    _, lines, _ = chain(project, parameters=[("rate", "0.75")])
    assert "done in" in lines[1] and lines[2].endswith("02_second  unchanged")
    assert run.table_path("labels/rules").stat().st_mtime_ns == before

    with pytest.raises(RadbookError, match=r"-p rate: 02_second does not declare it \(but 01_first\)"):
        chain(project, only=2, parameters=[("rate", "1")])
    _, lines, _ = chain(project, only=2, force=True, parameters=[("rate", "0.75")][:0])
    assert len(lines) == 2 and "02_second" in lines[0]


@pytest.mark.notebook
def test_a_chapter_executed_with_other_values_than_the_run_names_now_is_stale(tmp_path):
    project = toy_project(tmp_path / "project")
    second = notebook("Second", 'run: str = "default"\nrate: float = 0.5\nstrict: bool = False\ncorpus_path: str = ""', SECOND)
    nbformat.write(second, project / "notebooks" / "02_second.ipynb")
    chain(project)
    run, _, _ = chain(project, only=1, parameters=[("rate", "0.9")])
    reason = "was executed with rate 0.5, but the run now has 0.9"
    assert stale_chapters(run, CHAPTERS) == {"02_second": reason}
    chain(project, parameters=[("rate", "0.9")])
    assert stale_chapters(run, CHAPTERS) == {}


@pytest.mark.notebook
def test_a_chapter_whose_notebook_was_edited_since_is_stale(tmp_path):
    project = toy_project(tmp_path / "project")
    run, _, _ = chain(project)
    with (project / "notebooks" / "02_second.ipynb").open("a") as stream:
        stream.write("\n")
    assert stale_chapters(run, CHAPTERS) == {"02_second": "notebooks/02_second.ipynb has changed since"}


def test_parameters_are_written_beside_the_old_ones_and_replace_them_whole(tmp_path):
    project = toy_project(tmp_path)
    run, _, _ = chain(project, names=[])
    old = tmp_path / "old.yaml"
    os.link(run.path / "profile.yaml", old)
    chain(project, names=[], parameters=[("rate", "0.75")])
    assert "rate: 0.5" in old.read_text() and "rate: 0.75" in (run.path / "profile.yaml").read_text()
    assert sorted(p.name for p in run.path.glob("*profile*")) == ["profile.yaml"]


@pytest.mark.notebook
@pytest.mark.parametrize("left", ['{"run": "default", "chap', '{"chapters": []}'])
def test_a_manifest_that_cannot_vouch_for_anything_is_named_and_made_anew(tmp_path, left):
    project = toy_project(tmp_path / "project")
    run, _, _ = chain(project)
    run.manifest_path.write_text(left)
    for refused in (lambda: require_up_to_date(run, CHAPTERS), lambda: chain(project), lambda: chain(project, only=2)):
        with pytest.raises(RadbookError, match=r"is damaged: delete it, and radbook run runs/default/profile\.yaml"):
            refused()
    run.manifest_path.unlink()
    assert outcomes(chain(project)) == ["done", "done"]
    assert outcomes(chain(project)) == ["unchanged", "unchanged"]


@pytest.mark.notebook
@pytest.mark.parametrize("place", ["library", "parameters", "reads"])
def test_a_record_of_another_form_vouches_for_nothing(tmp_path, place):
    project = toy_project(tmp_path / "project")
    run, _, _ = chain(project)
    manifest = run.manifest()
    del manifest["chapters"]["01_first"][place]
    write_json(manifest, run.manifest_path)
    assert stale_chapters(run, CHAPTERS) == {
        "01_first": "its record in manifest.json is damaged, or of another version of radbook"
    }
    assert outcomes(chain(project)) == ["done", "unchanged"]


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("file", "reasons", "again"),
    [
        ("labels/rules.parquet", {"02_second": "labels/rules.parquet"}, ["unchanged", "done"]),
        ("notebooks/01_first.ipynb", {"01_first": "its executed notebook"}, ["done", "unchanged"]),
        ("reports.parquet", {"01_first": "reports.parquet", "02_second": "reports.parquet"}, ["done", "unchanged"]),
    ],
)
def test_what_a_chapter_wrote_and_was_edited_by_hand_is_noticed_and_made_again(tmp_path, file, reasons, again):
    project = toy_project(tmp_path / "project")
    run, _, _ = chain(project)
    with (run.path / file).open("ab") as stream:
        stream.write(b"\n")
    reasons = {name: f"{what} has changed since" for name, what in reasons.items()}
    assert stale_chapters(run, CHAPTERS) == reasons
    first, why = next(iter(reasons.items()))
    refused = re.escape(f"run default, {first}: {why}; bring it up to date with radbook run default --run default")
    with pytest.raises(RadbookError, match=refused):
        build_book("default", project=project, chapters=CHAPTERS)
    with pytest.raises(RadbookError, match=refused):
        require_up_to_date(run, CHAPTERS)  # as publishing asks
    chained = chain(project)
    assert outcomes(chained) == again and any(line.endswith(f"{first}  again: {why}") for line in chained[1])
    assert stale_chapters(run, CHAPTERS) == {}


@pytest.mark.notebook
def test_a_chapter_whose_library_code_was_edited_since_is_stale(tmp_path, monkeypatch):
    project = toy_project(tmp_path / "project")
    run, _, _ = chain(project)
    own = {"01_first": "a", "02_second": "b"}
    monkeypatch.setattr("radbook.pipeline.chapters.library_digest", lambda notebook: own[notebook.stem])
    assert stale_chapters(run, CHAPTERS) == dict.fromkeys(own, "the code of radbook that it imports has changed since")
    assert outcomes(chain(project)) == ["done", "done"] and stale_chapters(run, CHAPTERS) == {}
    own["02_second"] = "c"
    assert list(stale_chapters(run, CHAPTERS)) == ["02_second"]


@pytest.mark.notebook
def test_a_chapter_executed_alone_by_papermill_marks_what_is_stale(tmp_path, monkeypatch):
    project = toy_project(tmp_path / "project")
    run, _, _ = chain(project)
    monkeypatch.setenv("RADBOOK_HOME", str(project))
    source = str(project / "notebooks" / "01_first.ipynb")
    for n_reports, stale in ((3, []), (2, ["01_first", "02_second"])):
        papermill.execute_notebook(source, str(tmp_path / "out.ipynb"), {"n_reports": n_reports}, progress_bar=False)
        assert list(stale_chapters(run, CHAPTERS)) == stale


@pytest.mark.notebook
def test_a_failing_chapter_says_where_and_why_and_leaves_the_earlier_ones(tmp_path):
    broken = SECOND.replace(
        "reports.head(2)", "from radbook.core.errors import RadbookError\nraise RadbookError('bad row 7')"
    )
    project = toy_project(tmp_path / "project", second=broken)
    with pytest.raises(
        ChapterError, match=r"^02_second: cell 4 \(from radbook.*\) stopped: bad row 7\n  log .*\n"
    ) as caught:
        chain(project)
    run = open_run("default", project=project)
    assert Path(str(caught.value).split("notebook")[-1].strip()).is_file()
    assert stale_chapters(run, CHAPTERS) == {"02_second": "not finished"}
    toy = notebook("Second", 'run: str = "default"\nstrict: bool = False\ncorpus_path: str = ""', SECOND)
    nbformat.write(toy, project / "notebooks" / "02_second.ipynb")
    _, lines, _ = chain(project)
    assert lines[0].endswith("unchanged") and "done" in lines[-1]


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "the kernel died without an error of its own",
        ),
        ("1 / 0", r"cell 4 \(1 / 0\) stopped: ZeroDivisionError: division by zero"),
        ("pass", r"finished without writing reports\.parquet"),
    ],
)
def test_other_ways_to_fail(tmp_path, first, message):
    with pytest.raises(ChapterError, match=message):
        chain(toy_project(tmp_path, first=first))
    log = (tmp_path / "runs" / "default" / "logs" / "01_first.log").read_text()
    assert re.search(message, log) and ("Traceback" in log) == (first == "1 / 0") and "\x1b" not in log
    assert (tmp_path / "runs" / "default").stat().st_mode & 0o777 == 0o700


@pytest.mark.notebook
def test_the_kernel_is_this_python_whatever_is_installed(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    project = toy_project(tmp_path / "project", first=FIRST + "\nimport sys\nprint(sys.executable)")
    _, _, live = chain(project)
    assert live[-1] == sys.executable


def test_a_run_in_use_is_refused_and_nothing_is_checked_too_late(tmp_path):
    project = toy_project(tmp_path)
    run = open_run("default", project=project)
    with (
        hold(run),
        pytest.raises(RadbookError, match=rf"run default is in use by process {os.getpid()} since"),
    ):
        chain(project)
    with pytest.raises(RadbookError, match="--only 3: chapters are numbered 1 to 2"):
        chain(project, only=3)
    with pytest.raises(RadbookError, match="no chapter declares"):
        chain(project, parameters=[("colour", "red")])
    assert not (run.path / "notebooks").exists()


@pytest.mark.notebook
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")
def test_after_kill_9_the_same_command_goes_on(tmp_path):
    waiting = SECOND + "\nimport os, time\nwhile os.environ.get('TOY_WAIT'):\n    time.sleep(0.1)"
    project = toy_project(tmp_path / "project", second=waiting)
    program = (
        "from pathlib import Path; from toyproject import CHAPTERS; from radbook.pipeline.runner import run_chapters; "
        f"run_chapters(project=Path({str(project)!r}), chapters=CHAPTERS, echo=lambda line: print(line, flush=True))"
    )
    environment = {**os.environ, "TOY_WAIT": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )
    run = open_run("default", project=project)
    deadline = time.monotonic() + 60
    while not run.has("labels/rules") and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (run.path / "notebooks" / "02_second.ipynb").exists()
    first = (run.path / "reports.parquet").stat().st_mtime_ns
    _, lines, _ = chain(project)
    assert lines[0].endswith("01_first  unchanged") and "02_second  done" in lines[-1]
    assert (run.path / "reports.parquet").stat().st_mtime_ns == first


def test_a_chapter_edited_while_it_ran_is_executed_again(tmp_path):
    edit = "from pathlib import Path\nPath('notebooks/01_first.ipynb').open('a').write('\\n')\n"
    project, lines = toy_project(tmp_path, first=FIRST + edit), []
    for _ in range(2):
        run_chapters(project=project, chapters=CHAPTERS[:1], echo=lines.append)
    edited = "notebooks/01_first.ipynb has changed since: the next run executes the chapter again"
    assert sum(edited in line for line in lines) == 2
    assert not any("unchanged" in line for line in lines)


def test_a_table_that_changes_while_a_chapter_runs_is_not_what_the_chapter_read(tmp_path):
    project = toy_project(tmp_path, second=f"{SECOND}open_run(run).write('reports', reports.head(1))\n")
    run, lines, _ = chain(project)
    assert "reports.parquet has changed since: the next run executes the chapter again" in lines[-1]
    assert stale_chapters(run, CHAPTERS) == dict.fromkeys(("01_first", "02_second"), "reports.parquet has changed since")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([("llm_teacher", "chat")], "add -p chat_model ... -p chat_url ..."),
        ([("open_source", "chat")], "open_source chat needs labels of a language model: add -p llm_teacher chat"),
    ],
)
def test_a_language_model_that_cannot_be_asked_stops_before_any_kernel(values, message):
    chapters = (Path(__file__).parents[2] / "notebooks" / f"{name}.ipynb" for name in ("03_llm_labels", "05_instructions"))
    with pytest.raises(RadbookError, match=re.escape(message)):
        resolve_parameters(declared_parameters(chapters), {}, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "choice_source indexer: only records of Open-i have terms of the indexer, not the corpus table: add -p"),
        (
            [("choice_source", "rules"), ("open_source", "simulated")],
            "open_source simulated needs curated labels of the open task, which a table cannot hold: add -p open_source rules",
        ),
        (
            [("choice_source", "rules"), ("open_source", "curated"), ("label_column", "x")],
            "open_source curated needs curated labels of the open task",
        ),
        (
            [("open_source", "rules"), ("choice_source", "simulated")],
            "choice_source simulated needs curated labels: name their column with -p label_column ...",
        ),
    ],
)
def test_a_table_that_lacks_the_labels_to_learn_from_stops_before_any_kernel(tmp_path, values, message):
    project = book_project(tmp_path)
    table = [("corpus", "table"), ("corpus_path", str(project / "_toc.yml"))]
    with pytest.raises(RadbookError, match=re.escape(message)):
        run_chapters(project=project, parameters=table + values, names=["01_reports", "05_instructions"])
    run_chapters(project=project, parameters=table + values, names=[])
    labeled = [("open_source", "rules"), ("choice_source", "simulated"), ("label_column", "labels")]
    check_sources(dict(table + labeled))


def book_project(folder: Path) -> Path:
    """Write a project with the notebooks of the book."""
    shutil.copytree(Path(__file__).parents[2] / "notebooks", folder / "notebooks")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    return folder
