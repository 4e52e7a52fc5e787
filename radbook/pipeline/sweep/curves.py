"""Read the table of a sweep: what was varied, how far seeds lie apart, and how long it computed."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError

__all__ = [
    "computing_minutes",
    "curve_of",
    "missing",
    "overview",
    "read_sweep",
    "seeds_text",
    "spread",
    "trained_on",
]

_FIGURES = (
    *("f1", "low", "high", "difference", "difference_low", "difference_high", "p"),
    *("n_train", "n_test", "seconds"),
)
# Columns of a sweep's table that no grid sets.
MEASURED = ("curve", "run", "seed", "task", "source", "teacher", *_FIGURES)
_UNKNOWN = {name: [""] for name in _FIGURES}


def read_sweep(folder: Path) -> tuple[pd.DataFrame, dict]:
    """Return the table of a sweep and what is told of it; an empty table and nothing if the folder holds none.

    `attrs["grids"]` of the table holds the parameters that the grids of each curve name, as far as that is told.

    >>> table, told = read_sweep(Path("nowhere"))
    >>> len(table), "curve" in table, told
    (0, True, {})
    """
    if not (folder / "sweep.csv").is_file():
        return pd.DataFrame(columns=list(MEASURED)), {}
    try:
        # A curve may be called NA, and a parameter may be empty; only a figure can be unknown.
        table = pd.read_csv(
            folder / "sweep.csv", dtype={"run": str, "curve": str}, keep_default_na=False, na_values=_UNKNOWN
        )
        told = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RadbookError(f"the sweep in {folder} cannot be read: {error}") from None
    lacking = [name for name in MEASURED if name not in table and name != "seed"]
    if lacking:
        raise RadbookError(f"{folder.name}/sweep.csv lacks the column {lacking[0]}: publish the sweep again")
    curves = told.get("curves", {}).items()
    table.attrs["grids"] = {curve: sorted({key for grid in grids for key in grid}) for curve, grids in curves}
    return table, told


def computing_minutes(told: Mapping) -> float:
    """Return how long the chapters of all runs took together, shared parts once; NaN where that is not told.

    >>> computing_minutes({"runs": {"a": 60.0, "b": 30.0}, "shared": {"s": 30.0}})
    2.0
    >>> computing_minutes({"runs": {"a": 60.0, "b": 30.0}})  # of an older version, which counted shared parts in every run
    nan
    """
    if not {"runs", "shared"} <= told.keys():
        return math.nan
    return (sum(told["runs"].values()) + sum(told["shared"].values())) / 60


def curve_of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of one curve with the parameters of its grids, or those it varies; none if there is no such curve.

    >>> table = pd.DataFrame({"curve": ["a", "a", "b"], "lora_rank": [2, 4, 4], "warmup": [0.1, 0.1, 0.2]})
    >>> list(curve_of(table, "a"))
    ['curve', 'lora_rank']
    """
    part = table[table["curve"] == name].reset_index(drop=True)
    own = table.attrs.get("grids", {}).get(name, ())
    return part[[c for c in part if c in MEASURED or c in own or part[c].nunique() > 1]]


def missing(curve: str, sweep: str) -> str:
    """Return what stands where a figure would be.

    >>> missing("rank", "ablations")
    "nothing to draw: no published sweep 'ablations' holds the curve 'rank'"
    """
    return f"nothing to draw: no published sweep {sweep!r} holds the curve {curve!r}"


def overview(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per curve: the parameters it varies, how many values each has, runs, and seeds per point.

    >>> table = pd.DataFrame({"curve": "rank", "run": ["a", "b"], "seed": [1, 1], "lora_rank": [4, 8]})
    >>> overview(table).loc["rank"].to_dict()
    {'varied': 'lora_rank (2)', 'runs': 2, 'seeds per point': '1'}
    """
    rows = {}
    for name, part in table.groupby("curve", sort=False):
        varied = [c for c in curve_of(table, name) if c not in MEASURED and part[c].nunique() > 1]
        seeds = (
            part.groupby(varied, dropna=False)["seed"].nunique()
            if varied
            else pd.Series([part["seed"].nunique()])
        )
        rows[name] = {
            "varied": ", ".join(f"{c} ({part[c].nunique()})" for c in varied),
            "runs": part["run"].nunique(),
            "seeds per point": f"{seeds.min()}"
            if seeds.nunique() == 1
            else f"{seeds.min()} to {seeds.max()}",
        }
    return pd.DataFrame(rows, index=["varied", "runs", "seeds per point"]).T


def spread(part: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return mean, lowest and highest F1 over the seeds, for each task, source and combination of `by`.

    Parameters
    ----------
    part
        Rows of one curve.
    by
        Columns that tell the points apart.

    Returns
    -------
    Columns `task`, `source`, those of `by`, then `value`, `low`, `high`, `seeds`, and `n_train`, the mean rows of the task.

    Examples
    --------
    >>> rows = pd.DataFrame({"task": "open", "source": "student", "seed": [1, 2], "f1": [0.5, 0.75], "n_train": [9, 11]})
    >>> spread(rows).values.tolist()
    [['open', 'student', 0.625, 0.5, 0.75, 2, 10.0]]
    """
    if part.empty:
        return pd.DataFrame(columns=["task", "source", *by, "value", "low", "high", "seeds", "n_train"])
    groups = part.dropna(subset=["f1"]).groupby(["task", "source", *by], sort=True, dropna=False)
    found = groups.agg(
        value=("f1", "mean"),
        low=("f1", "min"),
        high=("f1", "max"),
        seeds=("seed", "nunique"),
        n_train=("n_train", "mean"),
    )
    return found.reset_index()


def seeds_text(mean: float, low: float, high: float, seeds: int, *, signed: bool = False) -> str:
    """Write a mean over seeds with its range and their number.

    >>> seeds_text(0.6, 0.5, 0.7, 2), seeds_text(0.25, 0.25, 0.25, 1, signed=True)
    ('0.600 (0.500 to 0.700, 2 seeds)', '+0.250 (1 seed)')
    """
    form = "{:+.3f}" if signed else "{:.3f}"
    span = "1 seed" if seeds == 1 else f"{form.format(low)} to {form.format(high)}, {seeds:.0f} seeds"
    return f"{form.format(mean)} ({span})"


def trained_on(table: pd.DataFrame) -> pd.Series:
    """Say of every row whether its student was trained on "both" tasks or on one, and which.

    >>> rows = pd.DataFrame({"run": ["a", "a", "b"], "task": ["choice", "open", "open"], "n_train": [9, 9, 9]})
    >>> trained_on(rows).tolist()
    ['both', 'both', 'open']
    """
    taught = (
        table[table["n_train"] > 0].groupby("run")["task"].agg(lambda tasks: " and ".join(sorted(set(tasks))))
    )
    return table["run"].map(taught).replace({"choice and open": "both"})
