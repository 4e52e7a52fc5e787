"""The table of a sweep, read back: its curves, and what its seeds say together and each within itself."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError

__all__ = ["MEASURED", "ahead", "curve_of", "gains", "over_seeds", "overview", "read_sweep", "seeds_text", "spread"]

INTERVALS = ("f1", "low", "high", "difference", "difference_low", "difference_high", "p")
_FIGURES = (*INTERVALS, "n_train", "n_test", "seconds")
# Columns of a sweep's table that no grid sets.
MEASURED = ("curve", "run", "seed", "task", "source", "teacher", *_FIGURES)


def read_sweep(folder: Path) -> tuple[pd.DataFrame, dict]:
    """Return the table of a sweep and what is told of it; an empty table and nothing if the folder holds none.

    `attrs["grids"]` of the table holds the parameters that the grids of each curve name, as far as that is told.

    >>> table, told = read_sweep(Path("nowhere"))
    >>> len(table), "curve" in table, told
    (0, True, {})
    """
    if not (folder / "sweep.csv").is_file():
        return pd.DataFrame(columns=list(MEASURED)), {}
    # A curve may be called NA, and a parameter may be empty; only a figure can be unknown.
    plain = {"dtype": {"run": str, "curve": str}, "keep_default_na": False, "na_values": {name: [""] for name in _FIGURES}}
    try:
        table = pd.read_csv(folder / "sweep.csv", **plain)
        told = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RadbookError(f"the sweep in {folder} cannot be read: {error}") from None
    lacking = [name for name in MEASURED if name not in table and name != "seed"]
    if lacking:
        raise RadbookError(f"{folder.name}/sweep.csv lacks the column {lacking[0]}: publish the sweep again")
    curves = told.get("curves", {}).items()
    table.attrs["grids"] = {curve: sorted({key for grid in grids for key in grid}) for curve, grids in curves}
    return table, told


def curve_of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of one curve with the parameters of its grids, or those it varies; none if there is no such curve.

    >>> table = pd.DataFrame({"curve": ["a", "a", "b"], "lora_rank": [2, 4, 4], "warmup": [0.1, 0.1, 0.2]})
    >>> list(curve_of(table, "a"))
    ['curve', 'lora_rank']
    """
    part = table[table["curve"] == name].reset_index(drop=True)
    own = table.attrs.get("grids", {}).get(name, ())
    return part[[c for c in part if c in MEASURED or c in own or part[c].nunique() > 1]]


def overview(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per curve: the parameters it varies, how many values each has, runs, and seeds per point.

    >>> table = pd.DataFrame({"curve": "rank", "run": ["a", "b"], "seed": [1, 1], "lora_rank": [4, 8]})
    >>> overview(table).loc["rank"].to_dict()
    {'varied': 'lora_rank (2)', 'runs': 2, 'seeds per point': '1'}
    """
    rows = {}
    for name, part in table.groupby("curve", sort=False):
        varied = [c for c in curve_of(table, name) if c not in MEASURED and part[c].nunique() > 1]
        seeds = part.groupby(varied or "curve", dropna=False)["seed"].nunique()
        rows[name] = {
            "varied": ", ".join(f"{c} ({part[c].nunique()})" for c in varied),
            "runs": part["run"].nunique(),
            "seeds per point": " to ".join(map(str, sorted({seeds.min(), seeds.max()}))),
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
    points = part.dropna(subset=["f1"]).groupby(["task", "source", *by], sort=True, dropna=False)
    means = {name: ("f1", how) for name, how in (("value", "mean"), ("low", "min"), ("high", "max"))}
    return points.agg(**means, seeds=("seed", "nunique"), n_train=("n_train", "mean")).reset_index()


def ahead(part: pd.DataFrame, by: str, *, task: str) -> pd.DataFrame:
    """Say for each value of a parameter in how many seeds the student is above its teacher, and how surely.

    Returns
    -------
    Indexed by the parameter: mean, lowest and highest paired `difference` over the seeds, `seeds`, `above` (seeds with a
    difference above 0) and `surely` (seeds whose 95% interval lies above 0).

    Examples
    --------
    >>> rows = pd.DataFrame({"task": "open", "source": "student", "seed": [1, 2], "rank": 4, "difference": [0.5, 0.25]})
    >>> ahead(rows.assign(difference_low=[0.1, -0.1]), "rank", task="open").loc[4].tolist()
    [0.375, 0.25, 0.5, 2.0, 2.0, 1.0]
    """
    rows = part[(part["task"] == task) & (part["source"] == "student")].dropna(subset=["difference"])
    rows = rows.assign(above=rows["difference"] > 0, surely=rows["difference_low"] > 0)
    return rows.groupby(by, dropna=False).agg(
        difference=("difference", "mean"), low=("difference", "min"), high=("difference", "max"),
        seeds=("seed", "nunique"), above=("above", "sum"), surely=("surely", "sum"),
    )  # fmt: skip


def gains(part: pd.DataFrame, by: str, *, task: str, first: object, last: object) -> pd.Series:
    """Return by how much the student's F1 changes from one value of a parameter to another, for each seed that has both.

    >>> rows = pd.DataFrame({"task": "open", "source": "student", "seed": [1, 1, 2], "rank": [4, 8, 4], "f1": [0.5, 0.75, 0.5]})
    >>> gains(rows, "rank", task="open", first=4, last=8).to_dict()
    {1: 0.25}
    """
    if part.empty:  # of a curve that nobody published, without its parameter
        return pd.Series(dtype=float)
    rows = part[(part["task"] == task) & (part["source"] == "student")]
    before, after = (rows[rows[by] == value].groupby("seed")["f1"].mean() for value in (first, last))
    return (after - before).dropna()


def seeds_text(mean: float, low: float, high: float, seeds: int, *, signed: bool = False) -> str:
    """Write a mean over seeds with its range and their number.

    >>> seeds_text(0.6, 0.5, 0.7, 2), seeds_text(0.25, 0.25, 0.25, 1, signed=True)
    ('0.600 (0.500 to 0.700, 2 seeds)', '+0.250 (1 seed)')
    """
    form = "{:+.3f}" if signed else "{:.3f}"
    span = "1 seed" if seeds == 1 else f"{form.format(low)} to {form.format(high)}, {seeds:.0f} seeds"
    return f"{form.format(mean)} ({span})"


def over_seeds(differences: pd.Series) -> str:
    """Write the mean of differences within seeds, with the lowest and the highest and how many there are.

    >>> over_seeds(pd.Series([0.25, -0.125, 0.25])), over_seeds(pd.Series(dtype=float))
    ('+0.125 (-0.125 to +0.250, 3 seeds)', 'not known')
    """
    d = differences
    return seeds_text(d.mean(), d.min(), d.max(), len(d), signed=True) if len(d) else "not known"
