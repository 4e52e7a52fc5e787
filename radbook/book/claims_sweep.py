"""What the published sweep says to the page "The paper's claims, and ours", beside the figures of single runs.

A highest mean is no finding where the seeds of other settings reach as high, so those settings are named with it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.pipeline.sweep.table import read_sweep, seeds_text, spread
from radbook.reporting.text import plain
from radbook.tasks import TASKS

__all__ = ["NOT_MEASURED", "base_name", "sweep_figures"]

NOT_MEASURED = "not measured"
_SWEEP = "ablations"
_SWEPT = {"curve", "seed", "warmup", "learning_rate", "n_choice", "n_train", "choice_source", "open_source"}
_NOTHING = {
    "sweep_on": "no sweep is published",
    **dict.fromkeys(("sweep_sure", "sweep_together", "sweep_rate", "sweep_size"), NOT_MEASURED),
}


def sweep_figures(project: Path) -> dict[str, str]:
    """Return what the published sweep tells of joint training, learning rate and sample size: means over seeds, with ranges.

    >>> sweep_figures(Path("nowhere"))["sweep_rate"]
    'not measured'
    """
    try:
        table, told = read_sweep(project / "results" / _SWEEP)
    except RadbookError:  # of another version; the chapter that shows the sweep names what it lacks
        return dict(_NOTHING)
    if table.empty or not set(table) >= _SWEPT:
        return dict(_NOTHING)
    fixed = told.get("parameters", {})
    known = {"corpus", "base_model"} <= fixed.keys()
    own = table[table["source"] == "student"]
    # A student that was taught one task alone tells nothing of the other.
    taught = pd.concat([own[(own["task"] == task) & (own[f"{task}_source"] != "none")] for task in TASKS])
    alone = taught[[f"{task}_source" for task in TASKS]].eq("none").any(axis=1)
    how = alone.map({True: "alone", False: "together"})
    together, rate = (taught["curve"] == name for name in ("tasks", "learning_rate"))
    # The fixed warm-up would show the learning rate as well.
    sizes = taught[(taught["curve"] == "size") & (taught["warmup"] < 1)]
    # "All rows" are a few more or fewer with each seed, and still one size.
    sizes = sizes.assign(rows=sizes.groupby(["task", "n_choice"])["n_train"].transform("mean").round())
    # The untuned base learned from no example, and is the same in every run of a seed.
    base = table[(table["curve"] == "size") & (table["source"] == "base")].drop_duplicates(["task", "seed"])
    sizes = pd.concat([sizes, base[base["task"].isin(sizes["task"])].assign(rows=0.0)])
    return {
        "sweep_on": f"a sweep on {fixed['corpus']} reports, {base_name(fixed)}" if known else NOT_MEASURED,
        "sweep_sure": "means over seeds, with their range",
        "sweep_together": _means(taught[together].assign(how=how), "how"),
        "sweep_rate": _highest(taught[rate], "learning_rate", "{:g}"),
        "sweep_size": _highest(sizes, "rows", "{:,.0f} examples"),
    }


def _means(rows: pd.DataFrame, key: str) -> str:
    """Say the mean F1 over seeds for each value of `key`, task by task.

    >>> rows = pd.DataFrame({"task": "choice", "how": "alone", "f1": [0.5, 0.7]})
    >>> _means(rows.assign(source="student", seed=[1, 2], n_train=9), "how")
    'choice: alone 0.600 (0.500 to 0.700, 2 seeds)'
    """
    said = []
    for task, means in _over_seeds(rows, key):
        said.append(f"{task}: " + ", ".join(f"{value} {_mean(f1)}" for value, f1 in means.iterrows()))
    return "; ".join(said) or NOT_MEASURED


def _highest(rows: pd.DataFrame, key: str, form: str) -> str:
    """Say for which value of `key` the mean F1 over seeds is highest, and whose seeds reach its range; task by task.

    >>> rows = pd.DataFrame({"task": "choice", "rate": [1, 1, 2, 2], "f1": [0.5, 0.7, 0.6, 0.8]})
    >>> _highest(rows.assign(source="student", seed=[1, 2, 1, 2], n_train=9), "rate", "{:g}")
    'choice: highest of 2 means at 2, micro-F1 0.700 (0.600 to 0.800, 2 seeds), a range that overlaps with that of 1'
    """
    said = []
    for task, f1 in _over_seeds(rows, key):
        top, rest = f1.iloc[0], f1.iloc[1:]
        near = [form.format(value) for value in sorted(rest.index[rest["high"] >= top["low"]])]
        reach = f"overlaps with {'those' if len(near) > 1 else 'that'} of {plain(near)}" if near else "overlaps with no other"
        told = f", a range that {reach}" if top["seeds"] > 1 else ""
        said.append(f"{task}: highest of {len(f1)} means at {form.format(f1.index[0])}, micro-F1 {_mean(top)}{told}")
    return "; ".join(said) or NOT_MEASURED


def _over_seeds(rows: pd.DataFrame, key: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each task with its means over seeds by `key`, the highest first."""
    for task, means in spread(rows, [key]).groupby("task"):
        yield task, means.set_index(key)[["value", "low", "high", "seeds"]].sort_values("value", ascending=False)


def _mean(f1: pd.Series) -> str:
    return seeds_text(*f1[["value", "low", "high", "seeds"]])


def base_name(parameters: Mapping) -> str:
    """Name the base model of a run or a sweep.

    >>> base_name({"base_model": "tiny"}), base_name({"base_model": "/models/mine"})
    ('the tiny base', 'mine')
    """
    base = str(parameters["base_model"])
    return "the tiny base" if base == "tiny" else Path(base).name
