"""What a point of a sweep comes to: the chapters without which it has no score, its scores, and the table of all points."""

from collections.abc import Mapping, Sequence

import pandas as pd

from radbook.evaluation import paired_difference, score
from radbook.instructions import taught_by
from radbook.pipeline.chapters import CHAPTERS, Chapter
from radbook.pipeline.run import Run
from radbook.pipeline.sweep.grids import Point
from radbook.pipeline.sweep.table import INTERVALS, MEASURED
from radbook.tasks import TASKS

__all__ = ["chapters_for_scores", "score_run", "scores_table"]

_NEEDED = {"reports.parquet", "labels/curated.parquet", "instructions.parquet", "predictions.parquet"}


def chapters_for_scores(chapters: Sequence[Chapter] = CHAPTERS) -> list[Chapter]:
    """Return the chapters without which a student cannot be scored, in order.

    >>> [chapter.name for chapter in chapters_for_scores()][-2:]
    ['05_instructions', '06_lora_finetuning']
    """
    wanted, needed = set(_NEEDED), []
    for chapter in reversed(chapters):
        if wanted & set(chapter.writes):
            wanted |= set(chapter.reads)
            needed.append(chapter)
    return needed[::-1]


def score_run(run: Run, values: Mapping[str, object]) -> list[dict[str, object]]:
    """Score student, base and teacher of a run on its test split, and the first two against the teacher.

    Parameters
    ----------
    run
        A run with predictions.
    values
        Its parameters; `policy`, `n_bootstrap` and `seed` are used.

    Returns
    -------
    One row per task and source: micro-F1 (`f1`, `low`, `high`), the paired `difference` to the teacher of the task with its
    interval and `p`, unknown where nobody taught the task, and `n_train`, rows of the task in the training set.
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
    """Return the table of a sweep: the rows of `score_run` for every curve that a point stands in.

    Parameters
    ----------
    points
        What was run.
    rows
        By the name of the point; none of one that failed.
    keys
        The parameters that some curve varies.

    Examples
    --------
    >>> found = scores_table([Point("s.rank-4", ("rank",), {"rank": 4})], {}, ["rank"])
    >>> len(found), list(found)[:3]
    (0, ['curve', 'run', 'rank'])
    """
    found = []
    for point in points:
        known = {key: point.values[key] for key in dict.fromkeys([*keys, "seed"]) if key in point.values}
        for curve in point.curves:
            found += [{"curve": curve, "run": point.name, **known, **row} for row in rows.get(point.name, [])]
    if not found:
        return pd.DataFrame(columns=list(dict.fromkeys(["curve", "run", *keys, *MEASURED])))
    return pd.DataFrame(found).convert_dtypes().round(dict.fromkeys(INTERVALS, 4))
