"""The README's block of results, from the tables in `results/`."""

from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_text
from radbook.reporting.text import interval, plain

__all__ = ["BEGIN", "END", "readme_block", "update_readme"]

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
_HEAD = (
    "| corpus | task | source | micro-F1 (95% interval) | macro-F1 "
    "| difference to the rules (95% interval) | test reports | run |\n|---|---|---|---|---|---|---|---|\n"
)
_COMPARED = "| corpus | task | source | compared with | difference (95% interval) | run |\n|---|---|---|---|---|---|\n"


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
