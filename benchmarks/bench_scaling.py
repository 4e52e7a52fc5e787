"""How time and memory grow from 1,000 to 20,000 reports: rule labels, instruction table, training, student labels, scores.

Each step at each size is a process of its own with one thread, so that one peak of memory does not hide another.
An exponent is the slope of a straight line through the points, both axes logarithmic: 1 is linear growth.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from rounds import ONE_THREAD

from radbook.core.schema import LABELS, REPORTS, read_table, write_table
from radbook.corpora import load_corpus

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000)
STEPS = {
    "rules": "rule labels",
    "instructions": "instruction table",
    "training": "training, choice task, one epoch",
    "scores": "scores of the choice task",
    "student": "student labels, choice task",
}


def measure(
    *, sizes: Sequence[int] = SIZES, steps: Sequence[str] = tuple(STEPS)
) -> list[tuple[str, float, str]]:
    """Run every step at every size; memory is what a step takes beyond its libraries, its input and a first report."""
    reports, curated = load_corpus("synthetic", n_reports=max(sizes), seed=1)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for size in sizes:
            part = reports.head(size)
            write_table(part, Path(home) / str(size) / "reports.parquet", REPORTS)
            known = curated[curated["report_id"].isin(part["report_id"])]
            write_table(known, Path(home) / str(size) / "curated.parquet", LABELS)
        for step in steps:
            taken = [_run(step, Path(home) / str(size)) for size in sizes]
            for size, found in zip(sizes, taken, strict=True):
                rows.append((f"{STEPS[step]}, {size:,} reports", found["cpu"], "CPU s"))
                rows.append((f"{STEPS[step]}, {size:,} reports, memory", found["mib"], "MiB"))
            for name, key in (("time", "cpu"), ("memory", "mib")):
                exponent = growth(sizes, [found[key] for found in taken])
                rows.append((f"{STEPS[step]}: {name} grows with reports to the power of", exponent, ""))
    return rows


def growth(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the slope of log(values) over log(sizes).

    >>> round(growth([1, 2, 4], [3, 12, 48]), 3)
    2.0
    """
    # What is below a tenth of a MiB, or of a second, is noise.
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 0.1)), 1)[0])


def _run(step: str, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, step, str(folder)],
        env={**os.environ, **ONE_THREAD},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _work(step: str, reports: pd.DataFrame, curated: pd.DataFrame) -> Callable[[pd.DataFrame], object]:
    if step == "rules":
        from radbook.teachers.rules import RuleTeacher

        return RuleTeacher().label
    if step == "instructions":
        from radbook.instructions import build_instructions
        from radbook.student.base import load_tokenizer

        tokenizer = load_tokenizer("tiny-taught")
        train = reports[reports["split"] == "train"]
        first = set(train["report_id"].head(1))
        few = curated[curated["report_id"].isin(first)]
        return lambda part: build_instructions(
            reports, dict.fromkeys(("choice", "open"), few if len(part) == 1 else curated), tokenizer=tokenizer
        )
    if step == "training":
        from radbook.instructions import build_instructions
        from radbook.student.base import load_tokenizer, prepare_training
        from radbook.student.training.config import Settings
        from radbook.student.training.finetune import finetune

        prepare_training("tiny-taught", "auto")  # Unsloth wants to be imported before the tokenizer's library
        rows, _ = build_instructions(reports, {"choice": curated}, tokenizer=load_tokenizer("tiny-taught"))

        def train(part: pd.DataFrame) -> None:
            own = rows.head(2) if len(part) == 1 else rows[rows["report_id"].isin(part["report_id"])]
            with tempfile.TemporaryDirectory() as folder:
                finetune(own, folder, Settings(epochs=1.0))

        return train
    if step == "scores":
        from radbook.evaluation import score

        answers = curated.assign(source="rules")
        return lambda part: score(curated, answers, task="choice", reports=part)
    from radbook.student import Student

    student = Student.untuned()
    return lambda part: student.label(part, ["choice"])


def _child(step: str, folder: Path) -> dict[str, float]:
    reports = read_table(folder / "reports.parquet", REPORTS)
    curated = read_table(folder / "curated.parquet", LABELS)
    work = _work(step, reports, curated)
    work(reports.head(1))
    process, peak, done = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    result = work(reports)
    cpu = time.process_time() - start
    done.set()
    watcher.join()
    peak = max(peak, process.memory_info().rss)
    del result
    return {"cpu": cpu, "mib": (peak - before) / 2**20}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(_child(sys.argv[1], Path(sys.argv[2]))))
    else:
        for row in measure():
            print(*row, sep=" | ", flush=True)
