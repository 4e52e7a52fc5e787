"""Executing grids of runs on a Dask cluster: a local one by default, any scheduler by its address.

Every point is a run folder that `radbook.pipeline.runner.run_chapters` executes, up to the predictions, and that can be gone on
with like any other run.
Finished points are reused, a point whose worker died is repeated, one that fails is named and the others are kept.
The scores of all points go to `sweep.csv`, and how they came about to `sweep.json`, in the folder of the sweep.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.files import replacing, write_json
from radbook.pipeline.chapters import CHAPTERS, Chapter
from radbook.pipeline.fingerprints import describe_machine
from radbook.pipeline.parameters import Parameter, declared_parameters, load_profile
from radbook.pipeline.run import Run, hold, open_run, project_root
from radbook.pipeline.runner import Echo, copy_chapters, run_chapters
from radbook.pipeline.sweep.cluster import open_cluster, why_failed
from radbook.pipeline.sweep.grids import Grid, Point, make_points
from radbook.pipeline.sweep.table import chapters_for_scores, score_run, scores_table

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Sweep", "run_sweep"]

_SCORING = ("policy", "n_bootstrap")  # parameters of chapters that a sweep does not execute, but scores like
# Threads per run, whatever the machine: sums in another order would give other tables with two workers than with one.
THREADS = 1


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
    profile, project, chapters
        As `radbook.pipeline.runner.run_chapters` takes them.
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

    Raises
    ------
    RadbookError
        Before anything starts, for a bad name, value, path or combination, or a scheduler that cannot be used.
    """
    project = project or project_root()
    declared = declared_parameters(project / chapter.notebook for chapter in chapters)
    profile_name, settings = load_profile(profile, project)
    profile = str(Path(profile).resolve()) if Path(profile).suffix else str(profile)
    chain = chapters_for_scores(chapters)
    used = [n for n, p in declared.items() if n in _SCORING or set(p.chapters) & {c.name for c in chain}]
    keys = list(dict.fromkeys(key for grids in curves.values() for grid in grids for key in grid))
    folder = open_run(name or f"{profile_name}-by-{'-'.join(keys)}", project=project)
    if folder.manifest():
        raise RadbookError(f"runs/{folder.name} holds a run: give the sweep another name with --name")
    points = make_points(
        folder.name, curves, declared, settings, parameters, used=used, source=f"profile {profile_name}:"
    )
    with hold(folder), open_cluster(scheduler, workers, len(points), project) as (client, places):
        live(f"{len(points)} runs on {places} worker{'s' * (places > 1)}")
        job = {"project": project, "profile": profile, "chapters": tuple(chapters), "chain": tuple(chain)}
        scored, steps, needed = _submit(client, points, declared, job)
        results, failed = _gather(client, scored, echo=echo, live=live)
        took = {name: future.result()["seconds"] for name, future in steps.items() if future.status == "finished"}
    users = Counter(step for name in results for step in needed[name])
    seconds = {name: round(sum(took[step] for step in needed[name] if users[step] == 1), 1) for name in results}
    table = scores_table(points, {name: result["rows"] for name, result in results.items()}, keys)
    table["seconds"] = table["run"].map(seconds)
    told = {
        "sweep": folder.name,
        "profile": profile_name,
        "curves": {curve: [dict(grid) for grid in grids] for curve, grids in curves.items()},
        "parameters": {n: v for n, v in points[0].values.items() if n not in keys},
        "runs": seconds,
        "shared": {step: took[step] for step, n in users.items() if n > 1},
        "codes": sorted({result["code"] for result in results.values()}),
        "failed": failed,
        "threads_per_run": THREADS,
        "workers": places,
        **describe_machine(),
    }
    with replacing(folder.path / "sweep.csv") as partial:
        table.to_csv(partial, index=False)
    write_json(told, folder.path / "sweep.json")
    return Sweep(folder, table, failed, executed=sum(result["executed"] for result in results.values()))


def _submit(
    client: "Client", points: Sequence[Point], declared: Mapping[str, Parameter], job: Mapping[str, object]
) -> "tuple[dict[str, Future], dict[str, Future], dict[str, list[str]]]":
    """Hand out the chapters, and for every point the scoring.

    Chapters are executed in order, so points that agree on what the first few are set to agree on their tables: such a
    chapter is executed once, in the first of these points, and the others copy it.
    The scoring of every point is returned by its name, the chapters by NAME of RUN, and which of these each point needs.
    """
    chain, scored, steps, needed = job["chain"], {}, {}, {}
    known: dict[str, str] = {}  # the step that executes a chapter, by what it and those before it are set to
    for point in points:
        own, donor, after, needed[point.name] = [], point.name, None, []
        for number, chapter in enumerate(chain):
            own.append({n: v for n, v in point.values.items() if chapter.name in declared[n].chapters})
            step = known.setdefault(json.dumps(own, sort_keys=True), f"{chapter.name} of {point.name}")
            if step not in steps:
                steps[step] = client.submit(_bring, job, point, number, donor, after, key=f"{step}-{time.time_ns()}")
            donor, after = step.removeprefix(f"{chapter.name} of "), steps[step]
            needed[point.name].append(step)
        scored[point.name] = client.submit(_score, job, point, donor, after, key=f"{point.name}-{time.time_ns()}")
    return scored, steps, needed


def _bring(job: Mapping, point: Point, number: int, donor: str, after: object) -> dict[str, object]:
    """Bring one chapter of a run up to date, on a worker; `after` only says that those before it are there, in `donor`."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS)))
    run, other = (open_run(name, project=job["project"]) for name in (point.name, donor))
    copy_chapters(other, run, job["chain"][:number], point.values)
    chapter = job["chain"][number].name
    before = run.manifest().get("chapters", {}).get(chapter)
    options = {"project": job["project"], "chapters": job["chapters"], "names": [chapter]}
    pairs = [(key, str(value)) for key, value in point.values.items()]
    run_chapters(job["profile"], name=run.name, parameters=pairs, **options)
    record = run.manifest()["chapters"][chapter]
    return {"executed": record != before, "seconds": record["seconds"]}


def _score(job: Mapping, point: Point, donor: str, trained: Mapping) -> dict[str, object]:
    """Score a point; it was executed now if its student was trained now."""
    run, other = (open_run(name, project=job["project"]) for name in (point.name, donor))
    copy_chapters(other, run, job["chain"], point.values)
    executed = trained["executed"] and donor == point.name
    return {"executed": executed, "code": run.manifest()["code"], "rows": score_run(run, point.values)}


def _gather(
    client: "Client", futures: "Mapping[str, Future]", *, echo: Echo, live: Echo
) -> tuple[dict[str, dict], dict[str, str]]:
    """Wait for the points, telling how many are done; return results and errors by name."""
    from distributed import as_completed

    names, results, failed = {future: name for name, future in futures.items()}, {}, {}
    for future in as_completed(names, loop=client.loop):
        name = names[future]
        if future.status == "finished":
            results[name] = future.result()
        else:
            failed[name] = why_failed(future)
            echo(f"failed: {name}: {failed[name]}")
        live(f"{len(results) + len(failed)} of {len(names)} runs, {len(failed)} failed")
    return results, failed
