"""Publish the figures of finished runs: small tables without report text in `results/`, and the README's table from them.

`python -m radbook.compare.publish default openi` copies what those runs measured and rewrites the README's results block, so that
no figure in it is typed by hand.
Of corpora that anyone may read it also publishes the answers on the test reports, as codes alone, so that another run can
be compared with them report by report (`radbook compare results/default mine`).
A sweep's name copies its table, which the chapter on ablations reads.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from radbook.compare.published import write_answers
from radbook.compare.record import record_of
from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json, write_text
from radbook.evaluation import paired_difference
from radbook.evaluation.unlabeled import has_reference
from radbook.instructions import taught_by
from radbook.pipeline.parameters import UNPUBLISHED, public_parameters, public_value
from radbook.pipeline.run import Run, open_run, project_root
from radbook.reporting.text import interval, plain

__all__ = ["publish", "publish_sweep", "readme_block", "update_readme"]

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
_FLOATS = "%.6f"  # what is shown has three places; with four here it would be rounded twice
_MANIFEST = ("run", "profile", "parameters", "radbook", "code", "python", "packages", "hardware")
_HEAD = (
    "| corpus | task | source | micro-F1 (95% interval) | macro-F1 "
    "| difference to the rules (95% interval) | test reports | run |\n|---|---|---|---|---|---|---|---|\n"
)
_COMPARED = "| corpus | task | source | compared with | difference (95% interval) | run |\n|---|---|---|---|---|---|\n"


def publish(run: Run) -> Path:
    """Write scores, paired differences, answers and the manifest of a finished run to `results/RUN/`; or a sweep.

    `differences.csv` holds `source` minus `reference`: everybody against the rules, and the student against whoever taught
    it the task and against the untuned base.
    Each row is a question of its own and its `p` is not corrected: no row belongs to a family of `holm`.

    Answers of a corpus that not everyone may read are not written; the manifest says so.

    Raises
    ------
    RadbookError
        If the run has not scored its student yet, or a sweep wrote to the folder of a run.
    """
    if (run.path / "sweep.json").is_file():
        if run.manifest():
            raise RadbookError(
                f"runs/{run.name} holds a run and a sweep: take sweep.json and sweep.csv out of it to publish the run"
            )
        return publish_sweep(run)
    scores, manifest, record = run.read("scores"), run.manifest(), record_of(run)
    differences = _differences(run, manifest["parameters"])
    kept = {k: manifest[k] for k in _MANIFEST if k in manifest}
    kept["parameters"] = public_parameters(kept["parameters"])
    kept |= {k: v for k, v in (read_json(run.student / "settings.json") or {}).items() if k == "backend_used"}
    kept["seconds"] = {name: chapter["seconds"] for name, chapter in manifest["chapters"].items()}
    folder = run.project / "results" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    why = write_answers(record, folder)
    added = ("files", "notebooks", "instructions") + (() if why else ("texts", "vocabulary"))
    kept |= {k: record.manifest[k] for k in added if k in record.manifest} | ({"answers": why} if why else {})
    write_json(kept, folder / "manifest.json")
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
        scores = pd.read_csv(folder / "scores.csv")
        gaps = pd.read_csv(folder / "differences.csv")
        differences = gaps[gaps["reference"] == "rules"].set_index(["task", "source"])
        parameters = pd.read_json(folder / "manifest.json", typ="series")["parameters"]
        corpus = parameters["corpus"]
        for _, row in gaps[gaps["reference"] != "rules"].iterrows():
            names = " | ".join(row[["task", "source", "reference"]])
            compared.append(f"| {corpus} | {names} | {interval(row, signed=True)} | {folder.name} |\n")
        scores = scores[scores["policy"] == parameters.get("policy", "certain")]
        f1 = scores[scores["metric"] == "f1"].set_index(["task", "source", "label"])
        for task, source in dict.fromkeys(zip(scores["task"], scores["source"], strict=True)):
            micro, macro = f1.loc[(task, source, "micro")], f1.loc[(task, source, "macro")]
            known = (task, source) in differences.index
            gap = interval(differences.loc[(task, source)], signed=True) if known else ""
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


def _differences(run: Run, parameters: dict) -> pd.DataFrame:
    reports, curated = run.read("reports"), run.read_labels("curated")
    test, taught = reports[reports["split"] == "test"], taught_by(run.read("instructions"))
    tables = [run.read("predictions").drop(columns="reply"), run.read_labels("rules")]
    tables += [run.read_labels(kind) for kind in ("chat", "simulated") if run.has(f"labels/{kind}")]
    said = dict(list(pd.concat(tables).groupby(["source", "task"])))
    rows = []
    for (source, task), labels in said.items():
        references = ["rules"]
        if source.startswith("student:"):
            references += [taught.get(task), *(s for s, t in said if t == task and s.startswith("base:"))]
        for reference in dict.fromkeys(references):
            if reference == source or (reference, task) not in said or not has_reference(curated, task, reports=test):
                continue
            rows.append(
                paired_difference(
                    curated, labels, said[reference, task], task=task, policy=parameters["policy"], reports=test,
                    n_bootstrap=parameters["n_bootstrap"], seed=parameters["seed"],
                ) | {"source": source, "reference": reference}
            )  # fmt: skip
    columns = ["task", "source", "reference", "policy", "value", "low", "high", "p", "n_reports", "n_patients"]
    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    try:
        for name in sys.argv[1:]:
            publish(open_run(name))
        update_readme(project_root())
    except RadbookError as error:
        sys.exit(str(error))
