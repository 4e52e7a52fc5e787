"""What `results/` holds of published runs: their records written and read back, and any run found by its name.

Only corpora that anyone may read have their answers there.
"""

import json
from pathlib import Path

import pandas as pd

from radbook.compare.record import ANSWERS, Record, no_answers, record_of
from radbook.core.errors import RadbookError, did_you_mean
from radbook.core.schema import SCORES, read_table, write_table
from radbook.corpora import SHARING
from radbook.pipeline.run import open_run, project_root

__all__ = ["PUBLISHED_RUNS", "open_record", "published_record", "read_record", "write_answers"]

PUBLISHED_RUNS = {"synthetic": "default", "openi": "openi"}
"""The published run of each corpus that has one, in `results/`."""

FILE = "answers.parquet"
_AGAIN = "publish it again with python -m radbook.compare.publish"


def read_record(folder: Path) -> Record:
    """Read what `write_answers` and `radbook.compare.publish` wrote to `results/NAME`."""
    name = f"results/{folder.name}"
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        scores = pd.read_csv(folder / "scores.csv")[list(SCORES.columns)]
    except (OSError, ValueError, KeyError) as error:
        raise RadbookError(f"{name} is not a published run ({error}): {_AGAIN}") from None
    if not (folder / FILE).is_file():
        why = manifest.get("answers", f"{name} holds no answers: {_AGAIN}")
        return Record(name, manifest, scores, no_answers(), why)
    answers = read_table(folder / FILE, ANSWERS)
    answers = answers.assign(**{c: answers[c].map(list) for c in ("present", "uncertain")})
    return Record(name, manifest, scores, answers)


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


def write_answers(record: Record, folder: Path) -> str:
    """Write the answers of a record to a folder if everyone may read its corpus; return why not, or "".

    An older file there is taken away: it would belong to other figures.
    """
    (folder / FILE).unlink(missing_ok=True)
    why = record.missing
    # What the parameters say is asked, and what the reports themselves say.
    for corpus in (record.parameters.get("corpus"), *record.manifest.get("corpora", [])):
        if SHARING.get(corpus) != "open":
            why = f"answers of the corpus {corpus} are not published: it is {SHARING.get(corpus, 'not known to be open')}"
    if not why:
        write_table(record.answers, folder / FILE, ANSWERS)
    return why
