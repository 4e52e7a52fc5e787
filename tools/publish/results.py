"""What a run or a sweep publishes: its tables in `results/NAME/`, and its answers where everyone may read the corpus."""

import json
from pathlib import Path

import pandas as pd

from radbook.compare.published import ANSWERS_FILE, ASKED_FILE
from radbook.compare.record import ANSWERS, Record, as_answers, record_of
from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json
from radbook.core.schema import write_table
from radbook.corpora import SHARING
from radbook.evaluation import has_reference, paired_difference
from radbook.instructions import taught_by
from radbook.pipeline.parameters import UNPUBLISHED, public_parameters, public_value
from radbook.pipeline.run import Run

__all__ = ["publish", "publish_sweep"]

_FLOATS = "%.6f"  # what is shown has three places; with four here it would be rounded twice
_WORTH_A_SCORE = 100  # answers; fewer were asked to be read
_MANIFEST = (
    *("run", "profile", "parameters", "radbook", "code", "python", "packages", "hardware"),
    *("seconds", "files", "notebooks", "instructions", "backend_used"),
)


def publish(run: Run) -> Path:
    """Write scores, paired differences, answers and the manifest of a finished run to `results/RUN/`; or a sweep.

    `differences.csv` holds `source` minus `reference`: everybody against the rules, and the student against whoever taught
    it the task and against the untuned base.
    Each row is a question of its own and its `p` is not corrected: no row belongs to a family of `holm`.

    Answers of a corpus that not everyone may read are not written; the manifest says so.

    Raises
    ------
    RadbookError
        If a chapter of the run is not up to date, or a sweep wrote to the folder of a run.
    """
    if (run.path / "sweep.json").is_file():
        if run.manifest():
            raise RadbookError(
                f"runs/{run.name} holds a run and a sweep: take sweep.json and sweep.csv out of it to publish the run"
            )
        return publish_sweep(run)
    run.read("predictions")  # or it says which chapter has to write them
    scores, record = run.read("scores"), record_of(run)
    differences = _differences(record, taught_by(run.read("instructions")))
    manifest = dict(record.manifest)
    manifest["parameters"] = public_parameters(record.parameters)
    manifest |= {k: v for k, v in (read_json(run.student / "settings.json") or {}).items() if k == "backend_used"}
    manifest["seconds"] = {name: chapter["seconds"] for name, chapter in manifest["chapters"].items()}
    folder = run.project / "results" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    why = _write_answers(record, folder)
    _write_asked(run, folder, closed=bool(why))
    kept = {k: manifest[k] for k in (*_MANIFEST, *(() if why else ("texts", "vocabulary"))) if k in manifest}
    write_json(kept | ({"answers": why} if why else {}), folder / "manifest.json")
    differences.to_csv(folder / "differences.csv", index=False, float_format=_FLOATS)
    scores.to_csv(folder / "scores.csv", index=False, float_format=_FLOATS)  # last: a published run is known by it
    return folder


def publish_sweep(run: Run) -> Path:
    """Copy the table of a sweep to `results/NAME/`, with its manifest; of runs that failed only the names.

    Raises
    ------
    RadbookError
        If it varies a parameter that is not published.
    """
    told = json.loads((run.path / "sweep.json").read_text(encoding="utf-8"))
    table = pd.read_csv(run.path / "sweep.csv", dtype=str, keep_default_na=False)
    for key in UNPUBLISHED:
        if key in table:
            raise RadbookError(f"sweep {run.name} varies {key}, which is not published: leave that grid out of the sweep")
    told["parameters"] = public_parameters(told["parameters"])
    told["curves"] = {
        curve: [{key: [public_value(v) for v in values] for key, values in grid.items()} for grid in grids]
        for curve, grids in told["curves"].items()
    }
    folder = run.project / "results" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    table.map(public_value).to_csv(folder / "sweep.csv", index=False)
    # Messages name files of this machine, and might quote a report.
    write_json({**told, "failed": sorted(told["failed"])}, folder / "sweep.json")
    return folder


def _write_answers(record: Record, folder: Path) -> str:
    """Write the answers of a record to a folder if everyone may read its corpus; return why not, or "".

    An older file there is taken away: it would belong to other figures.
    """
    (folder / ANSWERS_FILE).unlink(missing_ok=True)
    why = record.missing
    # What the parameters say is asked, and what the reports themselves say.
    for corpus in (record.parameters.get("corpus"), *record.manifest.get("corpora", [])):
        if SHARING.get(corpus) != "open":
            why = f"answers of the corpus {corpus} are not published: it is {SHARING.get(corpus, 'not known to be open')}"
    if not why:
        write_table(record.answers, folder / ANSWERS_FILE, ANSWERS)
    return why


def _write_asked(run: Run, folder: Path, *, closed: bool) -> None:
    """Write what a small language model answered in chapter 3, as codes, if it was asked enough to be scored."""
    (folder / ASKED_FILE).unlink(missing_ok=True)
    asked = run.read("predictions_asked") if run.has("predictions_asked") else ()
    if closed or len(asked) < _WORTH_A_SCORE:
        return
    truth = run.read_labels("curated")
    truth = truth[truth["report_id"].isin(asked["report_id"]) & truth["task"].isin(asked["task"])]
    labels = pd.concat([truth, asked.drop(columns="reply")])
    write_table(as_answers(run.read("reports"), labels), folder / ASKED_FILE, ANSWERS)


def _differences(record: Record, taught: dict[str, str]) -> pd.DataFrame:
    p, rows = record.parameters, []
    options = {"policy": p["policy"], "n_bootstrap": p["n_bootstrap"], "seed": p["seed"], "reports": record.reports}
    answered = sorted(set(zip(record.answers["source"], record.answers["task"], strict=True)))
    for source, task in answered:
        references = ["rules"] if source != "curated" else []
        if source.startswith("student:"):
            references += [taught.get(task), *(s for s, t in answered if t == task and s.startswith("base:"))]
        curated = record.labels("curated", task)
        for reference in dict.fromkeys(references):
            known = (reference, task) in answered and has_reference(curated, task, reports=record.reports)
            if reference != source and known:
                pair = (record.labels(name, task) for name in (source, reference))
                rows.append(paired_difference(curated, *pair, task=task, **options) | {"source": source, "reference": reference})
    columns = ["task", "source", "reference", "policy", "value", "low", "high", "p", "n_reports", "n_patients"]
    return pd.DataFrame(rows, columns=columns)
