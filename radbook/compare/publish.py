"""Publish the figures of finished runs: small tables without report text in `results/`, and whatever quotes them.

`python -m radbook.compare.publish default openi` copies what those runs measured, rewrites the README's results block, and
measures the paper's claims anew (`radbook.compare.claims`), so that no figure in them is typed by hand.
Of corpora that anyone may read it also publishes the answers on the test reports, as codes alone, so that another run can
be compared with them report by report (`radbook compare results/default mine`).
A sweep's name copies its table, which the chapter on ablations reads.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from radbook.compare.claims import write_claims
from radbook.compare.published import write_answers
from radbook.compare.record import Record, record_of
from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json, write_text
from radbook.evaluation import has_reference, paired_difference
from radbook.instructions import taught_by
from radbook.pipeline.chapters import require_up_to_date
from radbook.pipeline.parameters import UNPUBLISHED, public_parameters, public_value
from radbook.pipeline.run import Run, open_run, project_root
from radbook.reporting.text import interval, plain

__all__ = ["main", "publish", "publish_sweep", "readme_block", "update_readme"]

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
_FLOATS = "%.6f"  # what is shown has three places; with four here it would be rounded twice
_MANIFEST = (
    *("run", "profile", "parameters", "radbook", "code", "python", "packages", "hardware"),
    *("seconds", "files", "notebooks", "instructions", "backend_used"),
)
_HEAD = (
    "| corpus | task | source | micro-F1 (95% interval) | macro-F1 "
    "| difference to the rules (95% interval) | test reports | run |\n|---|---|---|---|---|---|---|---|\n"
)
_COMPARED = "| corpus | task | source | compared with | difference (95% interval) | run |\n|---|---|---|---|---|---|\n"


def main(names: list[str]) -> None:
    """Publish runs and sweeps of the project around the current folder, then rewrite what quotes `results/`.

    Raises
    ------
    RadbookError
        If a run is not up to date; then nothing is written.
    """
    runs = [open_run(name) for name in names]
    for run in runs:
        if not (run.path / "sweep.json").is_file():
            require_up_to_date(run)
    for run in runs:
        publish(run)
    update_readme(project_root())
    write_claims(project_root())


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
    why = write_answers(record, folder)
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


def readme_block(project: Path) -> str:
    """Return the README's results from the tables in `results/`: a row per run, task and source, then the other comparisons."""
    rows, compared = [], []
    for folder in sorted(p.parent for p in (project / "results").glob("*/scores.csv")):
        parameters = read_json(folder / "manifest.json")["parameters"]
        corpus, scores, gaps = parameters["corpus"], *(pd.read_csv(folder / f"{n}.csv") for n in ("scores", "differences"))
        rules = gaps["reference"] == "rules"
        to_rules = gaps[rules].set_index(["task", "source"])
        for _, row in gaps[~rules].iterrows():
            names = " | ".join(row[["task", "source", "reference"]])
            compared.append(f"| {corpus} | {names} | {interval(row, signed=True)} | {folder.name} |\n")
        f1 = scores[(scores["policy"] == parameters["policy"]) & (scores["metric"] == "f1")]
        f1 = f1.set_index(["task", "source", "label"])
        for task, source in dict.fromkeys(key[:2] for key in f1.index):
            micro, macro = f1.loc[(task, source, "micro")], f1.loc[(task, source, "macro")]
            gap = interval(to_rules.loc[(task, source)], signed=True) if (task, source) in to_rules.index else ""
            rows.append(
                f"| {corpus} | {task} | {source} | {interval(micro)} | {plain(macro['value'])} "
                f"| {gap} | {micro['n_reports']:.0f} | {folder.name} |\n"
            )
    more = f"\n{_COMPARED}{''.join(compared)}" if compared else ""
    return f"{BEGIN}\n\n{_HEAD}{''.join(rows)}{more}\n{END}"


def update_readme(project: Path) -> None:
    """Replace the results block of the README by what `results/` holds."""
    path = project / "README.md"
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise RadbookError(f"README.md holds no {BEGIN} ... {END} block to fill")
    head, _, rest = text.partition(BEGIN)
    write_text(head + readme_block(project) + rest.partition(END)[2], path)


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


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RadbookError as error:
        sys.exit(str(error))
