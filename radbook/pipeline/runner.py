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
from radbook.core.files import replacing, shown_path, write_json, write_text
from radbook.pipeline.chapters import CHAPTERS, Chapter, inputs, outputs, why_stale
from radbook.pipeline.fingerprints import describe_machine
from radbook.pipeline.parameters import Parameter, declared_parameters, load_profile, resolve_parameters
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
    run = open_run(name or profile_name, project=project)
    if only is not None:
        values = {**values, **_kept_for_others(run, chosen[0], declared)}
    values = resolve_parameters(declared, values, parameters, source=f"profile {profile_name}:")
    if only is not None:
        _check_only(run, chapters, chosen[0], declared, parameters)
    if any(c.name in declared[n].chapters for c in chosen for n in ("choice_source", "open_source") if n in declared):
        check_sources(values)
    with hold(run):
        _check_manifest(run, echo)
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
        _check_manifest(run, lambda line: None)
        theirs = donor.manifest()
        for chapter in chapters:
            if why_stale(run, chapter, values):
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


def _check_manifest(run: Run, echo: Echo) -> None:
    """Delete a manifest that cannot be read; say where nothing vouches for the chapters that a run holds."""
    try:
        lost = "" if run.manifest() or not any(run.path.glob("notebooks/*.ipynb")) else "missing"
    except RadbookError:
        lost = "damaged"
        run.manifest_path.unlink()
    if lost:
        echo(f"{shown_path(run.manifest_path)} is {lost}: nothing vouches for the chapters, so they are executed again")


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
    if base == "tiny" or Path(base).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    parameters = {"run": run.name, **own}
    source, target = run.project / chapter.notebook, run.path / chapter.notebook
    try:
        execute(source, partial, parameters=parameters, cwd=run.project, log=log, environment=environment, on_line=live)
    except ChapterError as error:
        raise ChapterError(f"{chapter.name}: {error}{files}") from None
    absent = [f for f in chapter.writes if not (run.path / f).is_file()]
    if absent:
        raise ChapterError(f"{chapter.name}: finished without writing {', '.join(absent)}{files}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(partial, target)
