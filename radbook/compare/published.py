"""What `results/` holds of published runs, read as records, and any run found by its name.

Only corpora that anyone may read have their answers there.
"""

import json
from pathlib import Path

import pandas as pd

from radbook.compare.record import ANSWERS, Record, record_of
from radbook.core.errors import RadbookError, did_you_mean
from radbook.core.schema import SCORES, read_table
from radbook.pipeline.run import open_run, project_root

__all__ = ["ANSWERS_FILE", "ASKED_FILE", "PUBLISHED_RUNS", "asked_record", "open_record", "published_record", "read_record"]

PUBLISHED_RUNS = {"synthetic": "synthetic", "openi": "default"}
"""The published run of each corpus that has one, in `results/`."""

ANSWERS_FILE = "answers.parquet"
ASKED_FILE = "asked.parquet"
_AGAIN = "publish it again with python -m tools.publish"


def read_record(folder: Path) -> Record:
    """Read what `python -m tools.publish` wrote to `results/NAME`."""
    name = f"results/{folder.name}"
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        scores = pd.read_csv(folder / "scores.csv")[list(SCORES.columns)]
    except (OSError, ValueError, KeyError) as error:
        raise RadbookError(f"{name} is not a published run ({error}): {_AGAIN}") from None
    if not (folder / ANSWERS_FILE).is_file():
        why = manifest.get("answers", f"{name} holds no answers: {_AGAIN}")
        return Record(name, manifest, scores, missing=why)
    return Record(name, manifest, scores, _read_answers(folder / ANSWERS_FILE))


def _read_answers(path: Path) -> pd.DataFrame:
    answers = read_table(path, ANSWERS)
    return answers.assign(**{c: answers[c].map(list) for c in ("present", "uncertain")})


def asked_record(project: Path) -> Record | None:
    """Return what a small language model answered on development reports in chapter 3 of a published run, if one asked.

    >>> asked_record(Path())
    """
    path = next(iter(sorted((project / "results").glob(f"*/{ASKED_FILE}"))), None)
    return path and Record(f"results/{path.parent.name}", {}, pd.DataFrame(columns=list(SCORES.columns)), _read_answers(path))


def published_record(corpus: str, *, project: Path) -> Record | None:
    """Return the published run of a corpus, or None if there is none.

    >>> published_record("table", project=Path())
    """
    folder = project / "results" / PUBLISHED_RUNS.get(corpus, "")
    return read_record(folder) if (folder / "scores.csv").is_file() else None


def open_record(name: str, *, project: Path | None = None) -> Record:
    """Return a run by name: `NAME` or `runs/NAME` for a run folder, `results/NAME` for a published run.

    Raises
    ------
    RadbookError
        If there is none of that name; the message names the nearest that there is.
    """
    project = project or project_root()
    published = {f"results/{p.parent.name}": p.parent for p in sorted((project / "results").glob("*/scores.csv"))}
    own = [p.parent.name for p in sorted((project / "runs").glob("*/manifest.json"))]
    short = name.rstrip("/").removeprefix("runs/")
    if short in published:
        return read_record(published[short])
    if short in own:
        return record_of(open_run(short, project=project))
    known = [*own, *published]
    near = f"; did you mean results/{short}?" if f"results/{short}" in published else did_you_mean(short, known)
    raise RadbookError(f"there is no run {name}{near}; there are: {', '.join(known) or 'none yet'}")
