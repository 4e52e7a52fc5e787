"""The chain: executing the chapters that are out of date into a run folder, in order.

A chapter is skipped while its notebook, its own parameters, the tables it reads and the library code it imports are
unchanged (doit keeps the book of that, in `.state.json` of the run folder).
Each chapter is executed to a temporary path and moved into place when it is complete, so that whatever stops the
command, the same command goes on where it stopped.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from doit.dependency import Dependency, JsonDB
from doit.task import Task
from doit.tools import config_changed

from radbook.core.errors import ChapterError, RadbookError
from radbook.core.files import read_json, shown_path, write_json, write_text
from radbook.pipeline.chapters import CHAPTERS, Chapter, executed_notebook
from radbook.pipeline.fingerprints import (
    describe_machine,
    file_digest,
    library_files,
    path_digest,
    sweep_digest,
)
from radbook.pipeline.parameters import Parameter, declared_parameters, load_profile, resolve_parameters
from radbook.pipeline.run import Run, hold, open_run, project_root
from radbook.pipeline.validation import check_sources

__all__ = ["run_chapters"]

Echo = Callable[[str], None]


def run_chapters(
    profile: str | Path = "default",
    *,
    name: str | None = None,
    parameters: Sequence[tuple[str, str]] = (),
    only: int | None = None,
    names: Sequence[str] | None = None,
    force: bool = False,
    echo: Echo = lambda line: None,
    live: Echo = lambda line: None,
    project: Path | None = None,
    chapters: Sequence[Chapter] = CHAPTERS,
) -> Run:
    """Execute every chapter that is out of date, in order, and return the run.

    Parameters
    ----------
    profile
        Name of a profile, or the path of a YAML file.
    name
        Name of the run; the profile's if None.
    parameters
        Pairs of name and text that override the profile.
    only
        Number of the one chapter to execute, from 1; its inputs must exist.
    names
        Names of the chapters to execute, where the others are not wanted; all if None.
    force
        Execute also what is up to date.
    echo, live
        Called with a line for each chapter begun or ended, and with each line that a running chapter prints.
    project
        The project folder; the one around the current folder if None.
    chapters
        The chain, in order.

    Raises
    ------
    RadbookError
        Before any kernel starts, for a bad name, type, path or chapter number.
    ChapterError
        If a chapter stops.
    """
    project = project or project_root()
    chosen = _chosen(chapters, only, names)
    declared = declared_parameters(project / "notebooks" / f"{c.name}.ipynb" for c in chapters)
    profile_name, values = load_profile(profile, project)
    run = open_run(name or profile_name, project=project)
    if only is not None:
        values = {**values, **_kept_for_others(run, chosen[0], declared)}
    values = resolve_parameters(declared, values, parameters, source=f"profile {profile_name}:")
    if only is not None:
        _check_only(run, chapters, chosen[0], declared, parameters)
    if any(c.name in declared[n].chapters for c in chosen for n in ("choice_source", "open_source") if n in declared):
        check_sources(values)
    with hold(run):
        run.path.mkdir(parents=True, exist_ok=True)
        write_text(yaml.safe_dump(values, sort_keys=False), run.path / "profile.yaml")
        _drop_broken_state(run, echo)
        head = {"run": run.name, "profile": profile_name, "parameters": values, **describe_machine()}
        for number, chapter in enumerate(chapters, start=1):
            if chapter in chosen:
                own = {n: v for n, v in values.items() if chapter.name in declared[n].chapters}
                title = f"chapter {number} of {len(chapters)}  {chapter.name}"
                _bring_up_to_date(run, chapter, own, head, title=title, force=force, echo=echo, live=live)
    return run


def _chosen(chapters: Sequence[Chapter], only: int | None, names: Sequence[str] | None) -> Sequence[Chapter]:
    if only is None:
        return [c for c in chapters if names is None or c.name in names]
    if not 1 <= only <= len(chapters):
        raise RadbookError(f"--only {only}: chapters are numbered 1 to {len(chapters)}")
    return chapters[only - 1 : only]


def _kept_for_others(run: Run, chapter: Chapter, declared: Mapping[str, Parameter]) -> dict[str, object]:
    """Return the run's own values of what `chapter` does not declare: executing one chapter alone leaves them alone."""
    file = run.path / "profile.yaml"
    try:
        kept = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (yaml.YAMLError, ValueError):
        kept = None
    if not isinstance(kept, dict):
        raise RadbookError(
            f"runs/{run.name}/profile.yaml does not hold the run's parameters: leave out --only, which writes it anew"
        )
    return {n: v for n, v in kept.items() if n in declared and chapter.name not in declared[n].chapters}


def _check_only(
    run: Run,
    chapters: Sequence[Chapter],
    chapter: Chapter,
    declared: Mapping[str, Parameter],
    parameters: Sequence[tuple[str, str]],
) -> None:
    for name, _ in parameters:
        if chapter.name not in declared[name].chapters:
            raise RadbookError(
                f"-p {name}: {chapter.name} does not declare it (but {', '.join(declared[name].chapters)}): leave out --only"
            )
    for file in chapter.reads:
        if not (run.path / file).is_file():
            writer = next((c.name for c in chapters if file in c.writes), "an earlier chapter")
            raise RadbookError(f"{chapter.name} reads {file}, which {writer} writes: run the chapters up to it first")


def _drop_broken_state(run: Run, echo: Echo) -> None:
    """Delete doit's record if a kill cut it short; what it cannot tell to be up to date is executed again."""
    file = run.path / ".state.json"
    if file.is_file() and not isinstance(read_json(file), dict):
        file.unlink()
        echo(f"{shown_path(file)} was broken and is deleted: the chapters are executed again")


def _bring_up_to_date(
    run: Run,
    chapter: Chapter,
    own: dict[str, object],
    head: dict[str, object],
    *,
    title: str,
    force: bool,
    echo: Echo,
    live: Echo,
) -> None:
    """Execute one chapter unless doit finds it unchanged; record it in the manifest."""
    source = run.project / "notebooks" / f"{chapter.name}.ipynb"
    # Published ones, which may be published again.
    sweeps = [f"results/{v}" for n, v in own.items() if n == "sweep" or n.endswith("_sweep")]
    sweeps = {folder: sweep_digest(run.project / folder) for folder in sweeps}
    task = _doit_task(run, chapter, source, own, sweeps)
    state = Dependency(JsonDB, str(run.path / ".state.json"))
    status = state.get_status(task, {})
    if status.status == "error":
        raise RadbookError(f"{chapter.name}: {status.error_reason}")
    if status.status == "up-to-date" and not force:
        echo(f"{title}  unchanged")
        return
    echo(title)
    digests = {f: file_digest(Path(f)) for f in task.file_dep}
    started = time.perf_counter()
    _execute(run, chapter, source, own, live)
    seconds = time.perf_counter() - started
    manifest = run.manifest()
    records = {n: r for n, r in manifest.get("chapters", {}).items() if n != chapter.name}
    records[chapter.name] = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "parameters": own,
        "notebook": digests[str(source)],
        "sweeps": sweeps,
        "reads": {f: digests[str(run.path / f)] for f in chapter.reads},
        "writes": {f: file_digest(run.path / f) for f in chapter.writes},
    }
    write_json({**head, "chapters": records}, run.path / "manifest.json")
    echo(f"{title}  done in {seconds:.0f} s")
    edited = [f for f, digest in digests.items() if file_digest(Path(f)) != digest]
    if edited:
        # doit would take the files of now for those that were executed.
        echo(f"{title}  {shown_path(Path(edited[0]))} was edited meanwhile: the next run executes the chapter again")
    else:
        # Saved chapter by chapter: a later kill must not forget this one.
        task.save_extra_values()
        state.save_success(task)
    state.close()


def _doit_task(
    run: Run, chapter: Chapter, source: Path, own: Mapping[str, object], sweeps: Mapping[str, str]
) -> Task:
    """Return the chapter as doit knows it: what it is made from, and what it makes."""
    contents = {n: path_digest(v) for n, v in own.items() if n.endswith("_path") or n == "base_model"}
    return Task(
        chapter.name,
        None,
        file_dep=[str(f) for f in (source, *library_files(source), *(run.path / f for f in chapter.reads))],
        targets=[str(f) for f in (executed_notebook(run, chapter), *(run.path / f for f in chapter.writes))],
        uptodate=[config_changed({**own, "contents": {**contents, **sweeps}})],
    )


def _execute(run: Run, chapter: Chapter, source: Path, own: Mapping[str, object], live: Echo) -> None:
    # Imported here because papermill and jupyter_client take a second that an unchanged run need not spend.
    from radbook.pipeline.kernel import execute

    log = run.path / "logs" / f"{chapter.name}.log"
    partial = run.path / "logs" / f"{chapter.name}.partial.ipynb"
    log.unlink(missing_ok=True)
    files = f"\n  log       {shown_path(log)}\n  notebook  {shown_path(partial)}"
    environment = {
        "RADBOOK_HOME": str(run.project),
        "UNSLOTH_COMPILE_LOCATION": str(run.path / "logs" / "unsloth_compiled"),
    }
    base = str(own.get("base_model", "tiny"))
    if base == "tiny" or Path(base).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    try:
        execute(
            source,
            partial,
            parameters={"run": run.name, **own},
            cwd=run.project,
            log=log,
            environment=environment,
            on_line=live,
        )
    except ChapterError as error:
        raise ChapterError(f"{chapter.name}: {error}{files}") from None
    absent = [f for f in chapter.writes if not (run.path / f).is_file()]
    if absent:
        raise ChapterError(f"{chapter.name}: finished without writing {', '.join(absent)}{files}")
    target = executed_notebook(run, chapter)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(partial, target)
