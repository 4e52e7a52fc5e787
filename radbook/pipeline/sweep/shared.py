"""What several runs have in common: executed once, in a run of its own, and copied into each of them.

Chapters are executed in order, so runs that agree on the parameters of the first few chapters agree on their tables.
What is copied keeps doit's record of it: whether it still fits is decided there, by digests, as for any other run.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from radbook.core.files import read_json, replacing, write_json
from radbook.pipeline.parameters import Parameter
from radbook.pipeline.run import Run, hold
from radbook.pipeline.sweep.grids import Point

__all__ = ["Part", "copy_chapters", "shared_parts"]


@dataclass(frozen=True)
class Part:
    """A run that holds only the first chapters, for others to copy: its name, that of the part it copies, and what it is."""

    name: str
    parent: str | None
    chapters: tuple[str, ...]
    values: Mapping[str, object]


def shared_parts(
    sweep: str, points: Sequence[Point], chapters: Sequence[str], declared: Mapping[str, Parameter]
) -> tuple[list[Part], dict[str, str | None]]:
    """Return the parts that at least two points share, parents first, and the part that each point copies.

    Parameters
    ----------
    sweep
        Name of the sweep: that of every part begins with it.
    points
        What is to be run.
    chapters
        Names of the chapters that will be executed, in order.
    declared
        Which chapter uses which parameter.

    Examples
    --------
    >>> declared = {n: Parameter(n, "int", 0, "", (c,)) for n, c in (("seed", "01_a"), ("rank", "02_b"))}
    >>> points = [Point(f"s.{r}", (), {"seed": 1, "rank": r}) for r in (4, 8)]
    >>> parts, parents = shared_parts("s", points, ["01_a", "02_b"], declared)
    >>> parts[0].chapters, set(parents.values()) == {parts[0].name}
    (('01_a',), True)
    """
    parts: list[Part] = []
    parents: dict[str, str | None] = {}

    def own(point: Point, depth: int) -> str:
        mine = {n: v for n, v in point.values.items() if chapters[depth] in declared[n].chapters}
        return json.dumps(mine, sort_keys=True)

    def grow(points: Sequence[Point], depth: int, parent: str | None) -> None:
        start = depth
        while depth < len(chapters) and len({own(point, depth) for point in points}) == 1:
            depth += 1
        if len(points) > 1 and depth > start:
            said = "".join(own(points[0], k) for k in range(depth))
            name = f"{sweep}.shared-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
            parts.append(Part(name, parent, tuple(chapters[:depth]), points[0].values))
            parent = name
        if len(points) == 1 or depth == len(chapters):
            parents.update(dict.fromkeys([point.name for point in points], parent))
            return
        for _, group in groupby(sorted(points, key=lambda p: own(p, depth)), key=lambda p: own(p, depth)):
            grow(list(group), depth, parent)

    grow(points, 0, None)
    return parts, parents


def copy_chapters(donor: Run, run: Run, names: Sequence[str], *, values: Mapping[str, object]) -> list[str]:
    """Copy finished chapters of `donor` into `run` and return the names of those that were not there already.

    Parameters
    ----------
    donor, run
        Two runs of one project; nobody may be changing the first.
    names
        Chapters to copy.
    values
        Parameters of `run`.
    """
    with hold(run):
        theirs, mine = donor.manifest(), run.manifest()
        known, records, state = _state(donor), mine.get("chapters", {}), _state(run)
        copied = []
        for name in names:
            record = {**theirs["chapters"][name], "copied_from": donor.name}
            # A chapter that was edited while it ran has no entry, and nothing to say that it fits.
            if name not in known or (record == records.get(name) and name in state):
                continue
            for file in (f"notebooks/{name}.ipynb", *record["writes"]):
                with replacing(run.path / file) as partial:
                    shutil.copy2(donor.path / file, partial)  # with its time, which spares doit the digest
            records[name] = record
            state[name] = _moved(known[name], f"{donor.path}/", f"{run.path}/")
            copied.append(name)
        if copied:
            head = {**theirs, **mine, "run": run.name, "parameters": dict(values)}
            write_json({**head, "chapters": records}, run.path / "manifest.json")
            write_json(state, run.path / ".state.json")
    return copied


def _state(run: Run) -> dict:
    """Return what doit remembers of a run."""
    return read_json(run.path / ".state.json") or {}


def _moved(entry: object, old: str, new: str) -> object:
    """Return an entry of doit's record with the files of one run named as those of another.

    >>> _moved({"deps": ["/runs/a/reports.parquet", "/lib.py"]}, "/runs/a/", "/runs/b/")
    {'deps': ['/runs/b/reports.parquet', '/lib.py']}
    """
    if isinstance(entry, dict):
        return {_moved(key, old, new): _moved(value, old, new) for key, value in entry.items()}
    if isinstance(entry, list):
        return [_moved(item, old, new) for item in entry]
    return new + entry.removeprefix(old) if isinstance(entry, str) and entry.startswith(old) else entry
