"""Executing the chapters that are out of date into a run folder, in order.

Each chapter is executed to a temporary path, moved into place when it is complete and recorded in `manifest.json`
(`radbook.pipeline.chapters`), so that whatever stops the command, the same command goes on where it stopped.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from radbook.core.errors import ChapterError, RadbookError, need
from radbook.core.files import PACKAGED_BASES, replacing, shown_path, write_json, write_text
from radbook.pipeline.chapters import CHAPTERS, Chapter, inputs, outputs, why_stale
from radbook.pipeline.fingerprints import describe_machine
from radbook.pipeline.parameters import declared_parameters, load_profile, resolve_parameters
from radbook.pipeline.run import Run, hold, open_run, project_root
from radbook.pipeline.validation import check_sources

__all__ = ["copy_chapters", "run_chapters"]

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
    need("book", "papermill", "ipykernel")
    project = project or project_root()
    chosen = _chosen(chapters, only, names)
    declared = declared_parameters(project / chapter.notebook for chapter in chapters)
    profile_name, values = load_profile(profile, project)
    run = open_run(profile_name if name is None else name, project=project)
    if only is not None:  # what the one chapter does not declare stays as the run has it
        kept = run.manifest().get("parameters", {})
        values |= {n: v for n, v in kept.items() if n in declared and chosen[0].name not in declared[n].chapters}
    values = resolve_parameters(declared, values, parameters, source=f"profile {profile_name}:")
    for key, _ in parameters if only is not None else ():
        if chosen[0].name not in declared[key].chapters:
            others = ", ".join(declared[key].chapters)
            raise RadbookError(f"-p {key}: {chosen[0].name} does not declare it (but {others}): leave out --only")
    if any(c.name in declared[n].chapters for c in chosen for n in ("choice_source", "open_source") if n in declared):
        check_sources(values)
    with hold(run):
        run.manifest()  # refused before anything is executed if it is damaged
        write_text(yaml.safe_dump(values, sort_keys=False), run.path / "profile.yaml")
        head = {"run": run.name, "profile": profile_name, "parameters": values, **describe_machine()}
        for number, chapter in enumerate(chapters, start=1):
            if chapter in chosen:
                title = f"chapter {number} of {len(chapters)}  {chapter.name}"
                why = why_stale(run, chapter, values)
                if not (why or force):
                    echo(f"{title}  unchanged")
                    continue
                echo(title if why in ("", "not finished") else f"{title}  again: {why}")
                own = {n: v for n, v in values.items() if chapter.name in declared[n].chapters}
                _bring_up_to_date(run, chapter, own, head, title=title, echo=echo, live=live)
    return run


def copy_chapters(donor: Run, run: Run, chapters: Sequence[Chapter], values: Mapping[str, object]) -> None:
    """Take over finished chapters of another run of the project where `run`, with its parameters `values`, lacks them.

    What is copied keeps its record: whether it fits is decided there, by digests, as for any other chapter.
    """
    with hold(run):
        theirs = donor.manifest()
        for chapter in chapters:
            if donor != run and why_stale(run, chapter, values):
                for file in (chapter.notebook, *chapter.writes):
                    with replacing(run.path / file) as partial:
                        shutil.copy(donor.path / file, partial)
                head = {**theirs, **run.manifest(), "run": run.name, "parameters": dict(values)}
                _record(run, chapter, {**theirs["chapters"][chapter.name], "copied_from": donor.name}, head)


def _chosen(chapters: Sequence[Chapter], only: int | None, names: Sequence[str] | None) -> Sequence[Chapter]:
    if only is None:
        return [c for c in chapters if names is None or c.name in names]
    if not 1 <= only <= len(chapters):
        raise RadbookError(f"--only {only}: chapters are numbered 1 to {len(chapters)}")
    return chapters[only - 1 : only]


def _bring_up_to_date(
    run: Run, chapter: Chapter, own: dict[str, object], head: dict[str, object], *, title: str, echo: Echo, live: Echo
) -> None:
    """Execute one chapter and record it in the manifest."""
    made_from = inputs(run, chapter, own)  # before: what is edited while the chapter runs is not what it read
    started = time.perf_counter()
    _execute(run, chapter, own, live)
    seconds = time.perf_counter() - started
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"finished": finished, "seconds": round(seconds, 1), "parameters": own, **made_from, **outputs(run, chapter)}
    _record(run, chapter, record, head)
    echo(f"{title}  done in {seconds:.0f} s")
    why = why_stale(run, chapter, own)
    if why:
        echo(f"{title}  {why}: the next run executes the chapter again")


def _record(run: Run, chapter: Chapter, record: Mapping[str, object], head: Mapping[str, object]) -> None:
    records = {n: r for n, r in run.manifest().get("chapters", {}).items() if n != chapter.name}
    write_json({**head, "chapters": {**records, chapter.name: record}}, run.manifest_path)


def _execute(run: Run, chapter: Chapter, own: Mapping[str, object], live: Echo) -> None:
    # Imported here because papermill and jupyter_client take a second that an unchanged run need not spend.
    from radbook.pipeline.kernel import execute

    log, partial = (run.path / "logs" / f"{chapter.name}.{ending}" for ending in ("log", "partial.ipynb"))
    log.unlink(missing_ok=True)
    files = f"\n  log       {shown_path(log)}\n  notebook  {shown_path(partial)}"
    environment = {
        "RADBOOK_HOME": str(run.project),
        "UNSLOTH_COMPILE_LOCATION": str(run.path / "logs" / "unsloth_compiled"),
    }
    base = str(own.get("base_model", "tiny"))
    if base in PACKAGED_BASES or Path(base).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    parameters = {"run": run.name, **own}
    source, target = run.project / chapter.notebook, run.path / chapter.notebook
    try:
        execute(source, partial, parameters=parameters, cwd=run.project, log=log, environment=environment, on_line=live)
        absent = [f for f in chapter.writes if not (run.path / f).is_file()]
        if absent:
            raise ChapterError(f"finished without writing {', '.join(absent)}")
    except ChapterError as error:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{chapter.name}: {error}\n")
        raise ChapterError(f"{chapter.name}: {error}{files}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(partial, target)
