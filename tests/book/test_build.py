"""The book of the toy project: staged clean, built with warnings as errors, replaced only by a whole one."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from toyproject import CHAPTERS, ROOT, SECOND, toy_book_project

from radbook.book import build_book
from radbook.book.about_page import describe_run
from radbook.book.sanitize import clean_notebook, machine_paths, scrub, unsafe_html
from radbook.core.errors import RadbookError
from radbook.pipeline.run import open_run
from radbook.pipeline.runner import run_chapters


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    noise = f'import sys\nprint("read {ROOT}/radbook/x")\nprint("noi" + "se", file=sys.stderr)\n'
    second = noise + SECOND
    project = toy_book_project(tmp_path_factory.mktemp("book") / "project", second=second)
    (project / "here.csv").write_text("x")
    (project / "results").mkdir(exist_ok=True)
    (project / "results" / "claims.csv").write_text('name,text\ntoy_gap,"+0.010, measured"\n')
    with (project / "intro.md").open("a") as intro:
        intro.write("\nThe gap is {{ toy_gap }}.\n")
    run_chapters(
        project=project, chapters=CHAPTERS, name="mine", parameters=[("corpus_path", str(project / "here.csv"))]
    )
    build_book("mine", project=project, chapters=CHAPTERS)
    return project


def executed(*outputs, tags=(), source="1") -> nbformat.NotebookNode:
    cell = new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})
    return new_notebook(cells=[cell])


def html_output(text: str):
    return new_output("display_data", {"text/html": text})


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<SCRIPT src=x></SCRIPT>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<a href='java\nscript:alert(1)'>x</a>",
        "<a href=' JAVASCRIPT:alert(1)'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<iframe srcdoc='x'></iframe>",
        "<img src='https://example.org/x.png'>",
        "<img src='//example.org/x.png'>",
        "<meta http-equiv=refresh content='0'>",
        "<base href='/'>",
        "<form action=x></form>",
        "<object data=x></object>",
        "<details ontoggle=x open>",
    ],
)
def test_html_that_could_act_is_refused_whatever_the_tags_say(text):
    assert unsafe_html(text)
    with pytest.raises(RadbookError, match=r"01_x, cell 1: its output holds .*; escape the text"):
        clean_notebook(executed(html_output(text), tags=["trusted"]), "01_x", hidden={})


@pytest.mark.parametrize(
    "text",
    [
        "<p>one = 2; on = 3 and javascript: is a word</p>",
        "&lt;script&gt;",
        "<a href='https://example.org'>a link is followed by choice</a>",
        "<span class='x' style='color:red' title='onset=2'>x</span>",
        "<img alt='x' src='data:image/png;base64,AA=='>",
    ],
)
def test_html_that_only_shows_is_kept(text):
    assert unsafe_html(text) == ""


def test_outputs_of_other_kinds_that_could_act_are_refused():
    for kind, text in [("application/javascript", "1"), ("image/svg+xml", "<svg onload=x>"), ("text/markdown", "<script>")]:
        with pytest.raises(RadbookError, match="its output holds"):
            clean_notebook(executed(new_output("display_data", {kind: text})), "x", hidden={})


def test_errors_and_cells_that_never_ran_are_refused():
    with pytest.raises(RadbookError, match="cell 1: ended with KeyError"):
        clean_notebook(executed(new_output("error", ename="KeyError", evalue="", traceback=[])), "x", hidden={})
    with pytest.raises(RadbookError, match="x, cell 1: did not run"):
        clean_notebook(new_notebook(cells=[new_code_cell("1")]), "x", hidden={})


def test_cleaning_drops_noise_joins_prints_and_keeps_the_rest():
    outputs = [
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stderr", text="warning"),
        new_output("stream", name="stdout", text="b\n"),
        new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}),
        new_output("execute_result", {"text/plain": "3"}, execution_count=1),
    ]
    notebook = executed(*outputs)
    notebook.metadata = {"papermill": {"input_path": "/x"}, "widgets": {}, "kernelspec": {"name": "python3"}}
    notebook.cells[0].metadata["papermill"] = {"status": "completed"}
    cleaned = clean_notebook(notebook, "x", hidden={})
    assert [o.get("text", o.get("data")) for o in cleaned.cells[0].outputs] == ["a\nb\n", {"text/plain": "3"}]
    assert list(cleaned.metadata) == ["kernelspec"] and list(cleaned.cells[0].metadata) == ["tags"]


def test_paths_are_shown_as_file_names():
    hidden = machine_paths({"corpus_path": "/data/ward 7/reports.csv", "teacher": "rules"}, ROOT)
    assert hidden["/data/ward 7/reports.csv"] == "reports.csv"
    notebook = executed(new_output("stream", name="stdout", text="read /data/ward 7/reports.csv"))
    cleaned = clean_notebook(notebook, "x", hidden=hidden)
    assert cleaned.cells[0].outputs[0].text == "read reports.csv"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("read /srv/radbook/results/x", "read results/x"),
        ("/srv/radbook2/x and /srv/radbook.old/x", "/srv/radbook2/x and /srv/radbook.old/x"),
        ("load /data/llama/x, or /data/llama.", "load llama/x, or llama."),
        ("load /data/llama-3/x", "load /data/llama-3/x"),
        ("'/srv/radbook/mine.csv', \x1b[32m/srv/radbook/a", "'mine.csv', \x1b[32ma"),
        (f"{Path.home()}/.cache", "~/.cache"),
    ],
)
def test_paths_inside_the_project_stay_readable_and_others_whole(text, shown):
    parameters = {"base_model": "/data/llama", "corpus_path": "/srv/radbook/mine.csv"}
    assert scrub(text, machine_paths(parameters, Path("/srv/radbook"))) == shown


def test_a_root_folder_is_not_taken_out_of_every_path():
    assert scrub("a/b", machine_paths({"agreement": "/"}, Path("/srv/radbook"))) == "a/b"


def test_the_name_of_a_profile_file_is_text_in_the_page_of_the_run():
    machine = {"system": "x", "machine": "x", "cores": 1, "memory_gib": 1.0, "gpus": []}
    record = {"finished": "2026-05-04T10:00:00+00:00", "seconds": 1.0, "parameters": {}}
    known = {"run": "r", "profile": "<img src=x onerror=alert(1)>", "python": "3", "radbook": "0"}
    known |= {"parameters": {}, "packages": {}}
    page = describe_run({**known, "hardware": machine, "chapters": {"01_first": record}}, [CHAPTERS[0]], hidden={})
    assert "profile `<img src=x onerror=alert(1)>`, executed" in page


@pytest.mark.notebook
@pytest.mark.slow
def test_pages_name_the_run_and_no_machine(built):
    site = built / "runs" / "mine" / "book"
    texts = {p.relative_to(site).as_posix(): p.read_text() for p in site.rglob("*.html")}
    assert {"intro.html", "notebooks/01_first.html", "notebooks/02_second.html", "pages/run.html"} <= texts.keys()
    assert "of which no run is published" in texts["pages/changes.html"]
    assert "The gap is +0.010, measured." in re.sub(r"<[^>]*>", "", texts["intro.html"])
    for name, text in texts.items():
        assert "Content-Security-Policy" in text, name
        assert str(built) not in text and f"{Path.home()}/" not in text and "thebe" not in text, name
        assert "requestKernel" not in text and "kernelName" not in text, name
    assert "Run mine, profile default, executed on" in texts["notebooks/01_first.html"]
    second = texts["notebooks/02_second.html"]
    assert "Parameters of this run" in second and "here.csv" in second and "noise" not in second
    assert "&lt;b&gt;chest&lt;/b&gt;" in second
    assert "n_reports" in texts["pages/run.html"] and "transformers" in texts["pages/run.html"]
    sources = "".join(p.read_text() for p in (site / "_sources").rglob("*.*"))
    assert str(built) not in sources and "papermill" not in sources.split("About this run")[0]


@pytest.mark.notebook
@pytest.mark.slow
def test_a_second_build_does_nothing_and_a_failing_one_keeps_the_old(built):
    page = built / "runs" / "mine" / "book" / "intro.html"
    before = page.stat().st_mtime_ns
    assert build_book("mine", project=built, chapters=CHAPTERS) == page.with_name("index.html")
    assert page.stat().st_mtime_ns == before
    intro = built / "intro.md"
    good = intro.read_text()
    intro.write_text(good + "\nSee {ref}`nowhere`.\n")
    try:
        with pytest.raises(RadbookError, match=r"did not build \(the old one stays\)[^$]*intro\.md:7: WARNING.*nowhere"):
            build_book("mine", project=built, chapters=CHAPTERS)
    finally:
        intro.write_text(good)
    assert page.stat().st_mtime_ns == before and not re.search("nowhere", page.read_text())


@pytest.mark.notebook
def test_a_run_that_is_not_whole_is_refused(tmp_path):
    project = toy_book_project(tmp_path)
    with pytest.raises(RadbookError, match="run default does not exist"):
        build_book(project=project, chapters=CHAPTERS)
    run = run_chapters(project=project, chapters=CHAPTERS)
    (open_run("default", project=project).path / "notebooks" / "02_second.ipynb").unlink()
    with pytest.raises(RadbookError, match="02_second: not finished"):
        build_book(project=project, chapters=CHAPTERS)
    run.write("reports", run.read("reports").head(2))
    with pytest.raises(RadbookError, match=r"01_first: reports\.parquet has changed since; .*radbook run default --run default"):
        build_book(project=project, chapters=CHAPTERS)
