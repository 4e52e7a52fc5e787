"""What a sweep runs: grids of parameter values, checked before anything starts, one named run per combination.

A grid is a mapping of parameters to lists of values and stands for every combination of them.
Several grids under a name are a curve; a YAML file holds the curves of one sweep, see `load_curves`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sklearn.model_selection import ParameterGrid

from radbook.core.errors import RadbookError
from radbook.core.yaml12 import read_yaml
from radbook.pipeline.parameters import Parameter, public_value, resolve_parameters
from radbook.pipeline.validation import check_sources

__all__ = ["Point", "load_curves", "make_points", "parse_grid"]

LONGEST = 120  # characters of a folder name; the longest that common file systems take is 255 bytes

Grid = Mapping[str, Sequence[object]]


@dataclass(frozen=True)
class Point:
    """One run of a sweep: its name, the curves it belongs to, and the value of every parameter."""

    name: str
    curves: tuple[str, ...]
    values: Mapping[str, object]


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read what was typed as `--grid KEY=V1,V2`, once per parameter.

    >>> parse_grid(["learning_rate=1e-4,1e-3", "seed=1,2"])
    {'learning_rate': ['1e-4', '1e-3'], 'seed': ['1', '2']}
    >>> parse_grid(["seed"])
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: --grid seed: write --grid KEY=VALUE,VALUE, once for each KEY
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or key.strip() in grid:
            raise RadbookError(f"--grid {text}: write --grid KEY=VALUE,VALUE, once for each KEY")
        grid[key.strip()] = [value.strip() for value in values.split(",")]
    return grid


def load_curves(path: str | Path) -> dict[str, list[Grid]]:
    """Read the curves of a sweep from a YAML file.

    The file holds `curves`, a mapping of names to a grid or a list of grids, and, if wanted, `each`, a grid with
    which all of them are crossed; a value that is not a list stands for a list of one.

    Raises
    ------
    RadbookError
        For a file that is not of this form.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "two.yaml")
    >>> _ = file.write_text("each: {seed: [1, 2]}\\ncurves: {rank: {lora_rank: [4, 8]}, rate: {learning_rate: 1e-3}}")
    >>> load_curves(file)["rank"]
    [{'lora_rank': [4, 8], 'seed': [1, 2]}]
    """
    path = Path(path)
    data = read_yaml(path, f"the curves {path} cannot be read")
    named = data.get("curves") if isinstance(data, dict) else None
    if not named or not isinstance(named, dict) or not data.keys() <= {"each", "curves"}:
        raise RadbookError(f"{path.name}: write `curves`, a mapping of names to grids, and nothing beside it but `each`")
    each = _as_grid(data.get("each") or {}, f"{path.name}, each")
    curves: dict[str, list[Grid]] = {}
    for name, grids in named.items():
        where = f"{path.name}, {name}"
        grids = [_as_grid(grid, where) for grid in (grids if isinstance(grids, list) else [grids])]
        twice = next((key for grid in grids for key in grid if key in each), None)
        if twice is not None or not grids:
            raise RadbookError(f"{where}: {f'{twice} is under `each` already' if twice else 'holds no grid'}")
        curves[str(name)] = [{**grid, **each} for grid in grids]
    return curves


def make_points(
    sweep: str,
    curves: Mapping[str, Sequence[Grid]],
    declared: Mapping[str, Parameter],
    profile: Mapping[str, object],
    overrides: Sequence[tuple[str, str]] = (),
    *,
    used: Sequence[str],
    source: str = "the profile",
) -> list[Point]:
    """Return one point for each combination of values; what stands in several curves is one point.

    Values are resolved as `radbook.pipeline.parameters.resolve_parameters` does, those of the grids last; `used` names the
    parameters that can make a difference to a sweep.

    >>> rank = Parameter("lora_rank", "int", 16, "", ("06_lora_finetuning",))
    >>> points = make_points("s", {"rank": [{"lora_rank": ["4", "16"]}]}, {"lora_rank": rank}, {}, used=["lora_rank"])
    >>> [(point.name, dict(point.values)) for point in points]
    [('s.lora_rank-4', {'lora_rank': 4}), ('s.lora_rank-16', {'lora_rank': 16})]
    """
    resolve_parameters(declared, profile, overrides, source=source)
    found: dict[str, Point] = {}
    for curve, grids in curves.items():
        for grid in grids:
            for key in grid:
                if key in dict(overrides):
                    raise RadbookError(f"grid {curve}, {key}: is set with -p as well; leave one of the two out")
                if key in declared and key not in used:
                    others = ", ".join(declared[key].chapters)
                    raise RadbookError(f"grid {curve}, {key}: only {others} uses it, which a sweep does not execute")
        for chosen in ParameterGrid(list(grids)):
            pairs = [(key, str(value)) for key, value in chosen.items()]
            try:
                values = resolve_parameters(declared, profile, [*overrides, *pairs], source=source)
                check_sources(values)
            except RadbookError as error:
                raise RadbookError(f"grid {curve}: {str(error).removeprefix('-p ')}") from None
            identity = json.dumps(values, sort_keys=True)
            point = found.get(identity) or Point(_folder(sweep, {key: values[key] for key in chosen}), (), values)
            if curve in point.curves:
                raise RadbookError(f"grid {curve}: {point.name} is there twice")
            found[identity] = replace(point, curves=(*point.curves, curve))
    return list(found.values())


def _as_grid(grid: object, where: str) -> Grid:
    if not isinstance(grid, dict):
        raise RadbookError(f"{where}: write a grid, a mapping of parameters to lists of values")
    lists = {str(key): value if isinstance(value, list) else [value] for key, value in grid.items()}
    bad = next((k for k, values in lists.items() if not values or any(isinstance(v, (dict, list)) for v in values)), None)
    if bad is not None:
        raise RadbookError(f"{where}, {bad}: write a list of plain values")
    return lists


def _folder(sweep: str, chosen: Mapping[str, object]) -> str:
    """Return a folder name that says the values; what a name cannot hold, or is too long, is told apart by a hash.

    >>> _folder("s", {"learning_rate": 0.001, "lora_targets": "q_proj,v_proj"})
    's.learning_rate-0.001.lora_targets-q_proj_v_proj-1e64f779'
    >>> _folder("s", {})  # a grid of nothing but the profile must not take the folder of the sweep
    's.default'
    """
    if not chosen:
        return f"{sweep}.default"
    said = ".".join([sweep, *(f"{key}-{_plain(value)}" for key, value in chosen.items())])
    # The name is published: of a path only the last part.
    shown = ".".join([sweep, *(f"{key}-{_plain(public_value(value))}" for key, value in chosen.items())])
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", shown)
    if name != said or len(name) > LONGEST:
        name = f"{name[: LONGEST - 9]}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    return name


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
