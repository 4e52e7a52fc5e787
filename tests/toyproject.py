"""A project of two tiny chapters in the real layout, for tests of the chain and of the book."""

import shutil
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from radbook.pipeline.chapters import Chapter

ROOT = Path(__file__).parents[1]
CHAPTERS = (
    Chapter("01_first", (), ("reports.parquet",)),
    Chapter("02_second", ("reports.parquet",), ("labels/rules.parquet",)),
)

FIRST = """\
import pandas as pd

from radbook.pipeline.run import open_run

texts = ["Normal <b>chest</b>."] * n_reports
columns = {c: texts for c in ("text", "findings", "impression")}
ids = [f"r{i}" for i in range(n_reports)]
frame = pd.DataFrame({"report_id": ids, "patient_id": ids, **columns, "split": "train", "corpus": "toy"})
open_run(run).write("reports", frame)
print(f"rate {rate}")
"""
SECOND = """\
from radbook.pipeline.run import open_run
from radbook.core.findings import label_row
import pandas as pd

reports = open_run(run).read("reports")
rows = [label_row(i, "rules", "choice", []) for i in reports.report_id]
open_run(run).write_labels("rules", pd.DataFrame(rows))
reports.head(2)
"""
TOC = """\
format: jb-book
root: intro
chapters:
  - file: notebooks/01_first
  - file: notebooks/02_second
"""


def notebook(title: str, parameters: str, *cells: str) -> nbformat.NotebookNode:
    """Return a chapter: a title, the parameters cell, then one code cell per further argument."""
    declared = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    head = [new_markdown_cell(f"# {title}\n\nA question."), declared]
    made = new_notebook(cells=[*head, *(new_code_cell(c) for c in cells)])
    made.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    return made


def toy_project(folder: Path, *, first: str = FIRST, second: str = SECOND) -> Path:
    """Write the toy project into `folder` and return it."""
    (folder / "notebooks" / "profiles").mkdir(parents=True)
    (folder / "_toc.yml").write_text(TOC)
    (folder / "intro.md").write_text("# A toy book\n\nHello.\n")
    (folder / "notebooks" / "profiles" / "default.yaml").write_text("n_reports: 3\n")
    declared = 'run: str = "default"  # name of the run\nn_reports: int = 5  # reports\nrate: float = 0.5  # a rate\n'
    nbformat.write(notebook("First", declared, first), folder / "notebooks" / "01_first.ipynb")
    declared = 'run: str = "default"  # name of the run\nstrict: bool = False  # be strict\ncorpus_path: str = ""  # a file\n'
    nbformat.write(notebook("Second", declared, second), folder / "notebooks" / "02_second.ipynb")
    return folder


def toy_book_project(folder: Path, **cells: str) -> Path:
    """Return a toy project with the real configuration and assets."""
    project = toy_project(folder, **cells)
    shutil.copy(ROOT / "_config.yml", project)
    shutil.copytree(ROOT / "pages" / "_static", project / "pages" / "_static")
    (project / "pages" / "references.bib").write_text("")
    toc = yaml.safe_load((project / "_toc.yml").read_text())
    toc["chapters"] += [{"file": "pages/run"}, {"file": "pages/changes"}]
    (project / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    return project
