"""The command line: light to start, and one line for what a user can mend."""

import errno
import os
import subprocess
import sys
import time

import pytest
from toyproject import toy_project

from radbook import cli
from radbook.core.errors import ChapterError, RadbookError


def radbook(*arguments: str, cwd=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from radbook.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_help_is_quick_and_loads_nothing_heavy():
    program = (
        "import sys, contextlib\nfrom radbook.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "heavy = {'torch', 'pandas', 'papermill', 'spacy', 'transformers'} & set(sys.modules)\nprint('heavy', heavy)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "heavy set()" in done.stdout
    assert all(word in done.stdout for word in ("run", "book", "sweep", "doctor"))
    # One second on an idle machine; the test leaves room for a busy one.
    assert time.perf_counter() - started < 5


def test_a_mistake_is_one_line_and_exit_2(tmp_path, monkeypatch):
    monkeypatch.delenv("RADBOOK_HOME", raising=False)
    done = radbook("book", "nothing", cwd=toy_project(tmp_path / "project"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("radbook: run nothing does not exist") and done.stderr.count("\n") == 1
    done = radbook("run", cwd=tmp_path)
    assert done.returncode == 2 and "not inside a radbook project" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"), [(RadbookError("x"), 2), (ChapterError("x"), 1), (KeyboardInterrupt(), 130)]
)
def test_exit_codes(error, code, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("radbook.pipeline.runner.run_chapters", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main(["run"])
    assert caught.value.code == code
    assert capsys.readouterr().err.lstrip().startswith("radbook: ")  # after ^C a new line begins


def test_a_full_disk_is_one_line_and_a_mistake_of_ours_is_none(monkeypatch, capsys):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number), "/there/manifest.json")

    monkeypatch.setattr("radbook.pipeline.runner.run_chapters", fail)
    for number in (errno.ENOSPC, errno.EROFS, errno.EACCES):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["run"])
        said = capsys.readouterr().err
        assert said.startswith(f"radbook: {os.strerror(number)} (/there/manifest.json): ") and said.count("\n") == 1
    number = errno.EBADF
    with pytest.raises(OSError, match="Bad file"):
        cli.main(["run"])


def test_parameters_reach_the_chain(monkeypatch, tmp_path, capsys):
    seen = {}

    def chain(profile, **options):
        seen.update(options, profile=profile)
        return type("Run", (), {"name": "mine", "path": tmp_path})

    monkeypatch.setattr("radbook.pipeline.runner.run_chapters", chain)
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "smoke", "--run", "mine", "--only", "2", "--force", "-p", "seed", "3", "-p", "rate", "-1"])
    assert caught.value.code == 0
    assert seen["parameters"] == (("seed", "3"), ("rate", "-1"))
    assert (seen["profile"], seen["name"], seen["only"], seen["force"]) == ("smoke", "mine", 2, True)
    assert "run mine is up to date" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["run"], ["sweep", "--grid", "seed=1,2"]])
@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["-p", "seed"], "Option '-p' requires 2 arguments."),
        (["-p", "seed=3", "-p", "rate=-1"], "Invalid value for '-p': write -p seed 3"),
        (["--only", "x"], "--only"),
        (["too", "many"], "Got unexpected extra argument (many)"),
    ],
)
def test_what_cannot_be_parsed_is_one_line_and_exit_2(command, typed, message, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, *typed])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("radbook: ") and message in told and told.count("\n") == 1


@pytest.mark.slow
def test_doctor_names_what_matters(capsys):
    done = radbook("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("Python", "torch", "backend", "memory", "disk", "browser", "AGPL-3.0"):
        assert word in done.stdout
