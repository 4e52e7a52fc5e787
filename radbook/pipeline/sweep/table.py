"""The table of a sweep: the scores of a run, the table of all runs, and what its curves and seeds say when it is read back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.evaluation import paired_difference, score
from radbook.instructions import taught_by
from radbook.pipeline.chapters import CHAPTERS, Chapter
from radbook.pipeline.run import Run
from radbook.pipeline.sweep.grids import Point
from radbook.tasks import TASKS

__all__ = [
    "MEASURED",
    "chapters_for_scores",
    "curve_of",
    "read_sweep",
    "score_run",
    "scores_table",
    "seeds_text",
    "spread",
]

INTERVALS = ("f1", "low", "high", "difference", "difference_low", "difference_high", "p")
_FIGURES = (*INTERVALS, "n_train", "n_test", "seconds")
# Columns of a sweep's table that no grid sets.
MEASURED = ("curve", "run", "seed", "task", "source", "teacher", *_FIGURES)


def chapters_for_scores(chapters: Sequence[Chapter] = CHAPTERS) -> list[Chapter]:
    """Return the chapters without which a student cannot be scored, in order.

    >>> [chapter.name for chapter in chapters_for_scores()][-2:]
    ['05_instructions', '06_lora_finetuning']
    """
    wanted, needed = {"reports.parquet", "labels/curated.parquet", "instructions.parquet", "predictions.parquet"}, []
    for chapter in reversed(chapters):
        if wanted & set(chapter.writes):
            wanted |= set(chapter.reads)
            needed.append(chapter)
    return needed[::-1]


def score_run(run: Run, values: Mapping[str, object]) -> list[dict[str, object]]:
    """Score student, base and teacher of a run on its test split, and the first two against the teacher.

    Each task and source has a row: micro-F1 (`f1`, `low`, `high`), the paired `difference` to the teacher of the task with
    its interval and `p`, unknown where nobody taught the task, and `n_train`, rows of the task in the training set.
    """
    reports, curated = run.read("reports"), run.read_labels("curated")
    instructions, predictions = run.read("instructions"), run.read("predictions").drop(columns="reply")
    test = reports[reports["split"] == "test"]
    options = {name: values[name] for name in ("policy", "n_bootstrap", "seed") if name in values} | {"reports": test}
    teachers, rows = taught_by(instructions), []
    for task in TASKS:
        mine = predictions[predictions["task"] == task]
        said = {source.split(":")[0]: part for source, part in mine.groupby("source")}
        if task in teachers:
            labels = run.read_labels(teachers[task].split(":")[0])
            said["teacher"] = labels[labels["report_id"].isin(test["report_id"]) & (labels["task"] == task)]
        for source, labels in said.items():
            scores = score(curated, labels, task=task, **options)
            f1 = scores[(scores["label"] == "micro") & (scores["metric"] == "f1")].iloc[0]
            gap = {}
            if source != "teacher" and task in teachers:
                gap = paired_difference(curated, labels, said["teacher"], task=task, **options)
            rows.append({
                "task": task, "source": source, "teacher": teachers.get(task, "nobody"),
                "f1": f1["value"], "low": f1["low"], "high": f1["high"],
                "difference": gap.get("value"), "difference_low": gap.get("low"), "difference_high": gap.get("high"),
                "p": gap.get("p"),
                "n_train": int((instructions["task"] == task).sum()), "n_test": len(test),
            })  # fmt: skip
    return rows


def scores_table(points: Sequence[Point], rows: Mapping[str, Sequence[Mapping]], keys: Sequence[str]) -> pd.DataFrame:
    """Return the table of a sweep: the rows of `score_run`, by the name of the point, for every curve that it stands in.

    `keys` are the parameters that some curve varies; a point that failed has no rows.

    >>> found = scores_table([Point("s.rank-4", ("rank",), {"rank": 4})], {}, ["rank"])
    >>> len(found), list(found)[:3]
    (0, ['curve', 'run', 'rank'])
    """
    found = []
    for point in points:
        for curve in point.curves:
            found += [{**point.values, "curve": curve, "run": point.name, **row} for row in rows.get(point.name, [])]
    columns = dict.fromkeys(["curve", "run", *keys, *MEASURED])
    return pd.DataFrame(found, columns=[*columns]).convert_dtypes().round(dict.fromkeys(INTERVALS, 4))


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


def seeds_text(mean: float, low: float, high: float, seeds: int, *, signed: bool = False) -> str:
    """Write a mean over seeds with its range and their number.

    >>> seeds_text(0.6, 0.5, 0.7, 2), seeds_text(0.25, 0.25, 0.25, 1, signed=True)
    ('0.600 (0.500 to 0.700, 2 seeds)', '+0.250 (1 seed)')
    """
    form = "{:+.3f}" if signed else "{:.3f}"
    span = "1 seed" if seeds == 1 else f"{form.format(low)} to {form.format(high)}, {seeds:.0f} seeds"
    return f"{form.format(mean)} ({span})"
