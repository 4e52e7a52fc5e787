"""Grids of runs on a Dask cluster: a local one by default, any scheduler by its address.

Every point is a run folder that `radbook.pipeline.runner.run_chapters` executes, up to the predictions, and that can be gone on
with like any other run.
Finished points are reused, a point whose worker died is repeated, one that fails is named and the others are kept.
The scores of all points go to `sweep.csv`, and how they came about to `sweep.json`, in the folder of the sweep.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.files import replacing, write_json
from radbook.pipeline.chapters import CHAPTERS, Chapter
from radbook.pipeline.fingerprints import describe_machine
from radbook.pipeline.parameters import declared_parameters, load_profile
from radbook.pipeline.run import Run, hold, open_run, project_root
from radbook.pipeline.runner import run_chapters
from radbook.pipeline.sweep.cluster import THREADS, limit_threads, open_cluster, why_failed
from radbook.pipeline.sweep.grids import Grid, Point, make_points
from radbook.pipeline.sweep.scoring import chapters_for_scores, score_run, scores_table
from radbook.pipeline.sweep.shared import copy_chapters, shared_parts
from radbook.reporting.text import duration

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Sweep", "run_sweep"]

_SCORING = ("policy", "n_bootstrap")  # parameters of chapters that a sweep does not execute, but scores like
Echo = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: its folder, its table, the points that failed with their errors, and how many ran now."""

    run: Run
    table: pd.DataFrame
    failed: Mapping[str, str]
    executed: int


def run_sweep(
    profile: str | Path = "default",
    *,
    curves: Mapping[str, Sequence[Grid]],
    name: str | None = None,
    parameters: Sequence[tuple[str, str]] = (),
    scheduler: str | None = None,
    workers: int | None = None,
    echo: Echo = lambda line: None,
    live: Echo = lambda line: None,
    project: Path | None = None,
    chapters: Sequence[Chapter] = CHAPTERS,
) -> Sweep:
    """Run every point of the curves and return the table of their scores.

    Parameters
    ----------
    profile
        Name of a profile, or the path of a YAML file.
    curves
        Lists of grids by the name of the curve; a grid maps parameters to lists of values and stands for all combinations.
    name
        Name of the sweep; made from the profile and the first grid's keys if None.
    parameters
        Pairs of name and text that override the profile in every point.
    scheduler
        Address of a Dask scheduler whose workers see the project under the same path; a local cluster if None.
    workers
        Processes of the local cluster; one per core, and per 3 GiB of memory, if None.
    echo, live
        Called with lines that stay, and with the line of progress.
    project
        The project folder; the one around the current folder if None.
    chapters
        The chain, in order.

    Raises
    ------
    RadbookError
        Before anything starts, for a bad name, value, path or combination, or a scheduler that cannot be used.
    """
    project = project or project_root()
    declared = declared_parameters(project / "notebooks" / f"{c.name}.ipynb" for c in chapters)
    profile_name, settings = load_profile(profile, project)
    profile = str(Path(profile).resolve()) if Path(profile).suffix else str(profile)
    names = chapters_for_scores(chapters)
    used = [n for n, p in declared.items() if n in _SCORING or set(p.chapters) & set(names)]
    keys = list(dict.fromkeys(key for grids in curves.values() for grid in grids for key in grid))
    folder = open_run(name or f"{profile_name}-by-{'-'.join(keys)}", project=project)
    if folder.manifest():
        raise RadbookError(f"runs/{folder.name} holds a run: give the sweep another name with --name")
    points = make_points(
        folder.name, curves, declared, settings, parameters, used=used, source=f"profile {profile_name}:"
    )
    started = time.perf_counter()
    with hold(folder), open_cluster(scheduler, workers, len(points), project) as (client, places):
        live(f"{len(points)} runs on {places} worker{'s' * (places > 1)}")
        futures = _submit(client, folder.name, points, names, declared, project, profile, chapters)
        waiting = {point.name: futures[point.name] for point in points}
        results, failed = _gather(client, waiting, places, echo=echo, live=live)
        # A part that failed has taken every run that copies it along.
        parts = {n: f.result() for n, f in futures.items() if n not in waiting and f.status == "finished"}
    executed = sum(result["executed"] for result in results.values())
    table = scores_table(points, results, keys)
    told = {
        "sweep": folder.name,
        "profile": profile_name,
        "curves": {curve: [dict(grid) for grid in grids] for curve, grids in curves.items()},
        "parameters": {n: v for n, v in points[0].values.items() if n not in keys},
        **_finished(points, results, parts),
        "failed": failed,
        "threads_per_run": THREADS,
        "workers": places,
        # Of this call alone: what earlier ones had finished was reused.
        "last_call": {"executed": executed, "wall_seconds": round(time.perf_counter() - started, 1)},
        **describe_machine(),
    }
    _save(folder, table, told)
    return Sweep(folder, table, failed, executed)


def _bring(
    project: Path, profile: str, name: str, values: Mapping[str, object], names: Sequence[str],
    chapters: Sequence[Chapter], copies: tuple[str, ...], parent: str | None, *, after: object, scored: bool,
) -> dict[str, object]:  # fmt: skip
    """Bring one run up to date, on a worker; `after` only says that what it copies is there."""
    limit_threads()
    started = time.perf_counter()
    run = open_run(name, project=project)
    if parent:
        copy_chapters(open_run(parent, project=project), run, copies, values=values)
    before = run.manifest().get("chapters", {})
    pairs = [(key, str(value)) for key, value in values.items()]
    run_chapters(profile, name=name, parameters=pairs, names=names, project=project, chapters=chapters)
    manifest = run.manifest()
    records = manifest["chapters"]
    return {
        "executed": any(records[n] != before.get(n) for n in names),
        "took": time.perf_counter() - started,
        "seconds": sum(records[n]["seconds"] for n in names if "copied_from" not in records[n]),
        "code": manifest["code"],
        "rows": score_run(run, values) if scored else [],
    }


def _submit(
    client: "Client", sweep: str, points: Sequence[Point], names: Sequence[str], declared: Mapping,
    project: Path, profile: str, chapters: Sequence[Chapter],
) -> "dict[str, Future]":  # fmt: skip
    parts, parents = shared_parts(sweep, points, names, declared)
    futures: dict[str, Future] = {}
    copies = {part.name: part.chapters for part in parts}
    todo = [(part.name, part.values, part.chapters, part.parent, False) for part in parts]
    todo += [(point.name, point.values, tuple(names), parents[point.name], True) for point in points]
    for name, values, own, parent, scored in todo:
        futures[name] = client.submit(
            _bring, project, profile, name, dict(values), own, tuple(chapters), copies.get(parent, ()), parent,
            after=futures.get(parent), scored=scored, key=f"{name}-{time.time_ns()}",
        )  # fmt: skip
    return futures


def _gather(
    client: "Client", futures: dict, places: int, *, echo: Echo, live: Echo
) -> tuple[dict[str, dict], dict[str, str]]:
    """Wait for the points, telling how far it is; return results and errors by name."""
    waiting, results, failed = dict(futures), {}, {}
    told = time.monotonic()
    while waiting:
        for name, future in [(n, f) for n, f in waiting.items() if f.done()]:
            del waiting[name]
            if future.status == "finished":
                results[name] = future.result()
            else:
                failed[name] = why_failed(future)
                echo(f"failed: {name}: {failed[name]}")
        if waiting:
            if time.monotonic() - told >= 2:
                told = time.monotonic()
                live(
                    _progress(
                        len(futures), len(waiting), failed, results.values(), len(client.nthreads()), places
                    )
                )
            time.sleep(0.5)
    return results, failed


def _progress(
    n: int, waiting: int, failed: Mapping, results: Iterable[Mapping], alive: int, places: int
) -> str:
    """Say how many runs are done and when the rest may be; reused ones say nothing about that.

    >>> _progress(8, 6, {}, [{"executed": True, "took": 60.0}], 2, 2)
    '2 of 8 runs, about 3.0 minutes left'
    """
    took = [result["took"] for result in results if result["executed"]]
    left = (
        f"about {duration(waiting * sum(took) / len(took) / places)} left"
        if took
        else "time left not yet known"
    )
    wrong = f", {len(failed)} failed" if failed else ""
    return f"{n - waiting} of {n} runs{wrong}, {left if alive else 'waiting for a worker'}"


def _finished(points: Sequence[Point], results: Mapping[str, Mapping], parts: Mapping[str, Mapping]) -> dict[str, object]:
    """Return the seconds of each run and of what several share, and the versions of the code that they ran with."""
    return {
        "runs": {p.name: round(results[p.name]["seconds"], 1) for p in points if p.name in results},
        "shared": {name: round(part["seconds"], 1) for name, part in parts.items()},
        "codes": sorted({result["code"] for result in results.values()}),
    }


def _save(folder: Run, table: pd.DataFrame, told: Mapping[str, object]) -> None:
    with replacing(folder.path / "sweep.csv") as partial:
        table.to_csv(partial, index=False)
    write_json(told, folder.path / "sweep.json")
