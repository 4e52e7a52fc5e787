"""From an executed notebook to one that may be published: cleaned, checked, and free of the machine it ran on.

Nothing here trusts an output: HTML that could run code is refused, a notebook with an error or a cell that never ran is
refused, and paths of this machine are cut down to what lies inside the project.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path

import nbformat

from radbook.core.errors import RadbookError

__all__ = ["clean_notebook", "machine_paths", "scrub", "unsafe_html"]

KEPT_METADATA = ("kernelspec", "language_info")
WIDGETS = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")
REFUSED_TAGS = {"script", "iframe", "object", "embed", "base", "meta", "link", "form", "frame", "portal"}
URL_ATTRIBUTES = {"href", "src", "action", "formaction", "xlink:href", "data", "poster", "srcset", "srcdoc", "background"}


def clean_notebook(notebook: nbformat.NotebookNode, name: str, *, hidden: Mapping[str, str]) -> nbformat.NotebookNode:
    """Return an executed notebook as the book shows it, without the paths in `hidden`; messages call it `name`.

    One that holds an error, a cell that did not run, or HTML that could run code is refused.
    """
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in KEPT_METADATA}
    for number, cell in enumerate(notebook.cells, start=1):
        tags = cell.metadata.get("tags", [])
        cell.metadata = {k: v for k, v in cell.metadata.items() if k not in ("papermill", "execution", "widgets")}
        if cell.cell_type != "code":
            continue
        if cell.source.strip() and cell.execution_count is None:
            raise RadbookError(f"{name}, cell {number}: did not run; execute the chapter again")
        cell.outputs = _clean_outputs(cell.outputs, f"{name}, cell {number}")
        for output in cell.outputs:
            _map_text(output, lambda text: scrub(text, hidden))
        if "parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
        if "injected-parameters" in tags:
            cell.id = "parameters-of-this-run"
            cell.source = scrub(cell.source.removeprefix("# Parameters\n"), hidden)
            cell.metadata["tags"] = [*tags, "hide-input"]
            cell.metadata["mystnb"] = {
                "code_prompt_show": "Parameters of this run",
                "code_prompt_hide": "Parameters of this run",
            }
    return notebook


def machine_paths(parameters: Mapping[str, object], project: Path) -> dict[str, str]:
    """Return the absolute paths that must not be shown, with what stands for each, longest first.

    Of a parameter that is a path its last name stays, of the project and of the installed packages nothing, of the home
    folder "~".

    >>> machine_paths({"corpus_path": "/data/me/reports.csv", "seed": 3}, Path("/data/radbook"))["/data/me/reports.csv"]
    'reports.csv'
    """
    paths = {str(Path(v)): Path(v).name for v in parameters.values() if isinstance(v, str) and Path(v).is_absolute()}
    paths |= {str(project): "", sys.prefix: "", str(Path.home()): "~"}
    paths.pop(project.anchor, None)  # the root is part of every path
    return dict(sorted(paths.items(), key=lambda pair: -len(pair[0])))


def scrub(text: str, hidden: Mapping[str, str]) -> str:
    """Replace paths of this machine in `text`; a path that only begins like one of them is another path.

    >>> scrub("read /data/llama-3/x with /data/llama/x", {"/data/llama": "llama"})
    'read /data/llama-3/x with llama/x'
    >>> scrub("read /srv/radbook/results/x", {"/srv/radbook": ""})
    'read results/x'
    """
    for path, shown in hidden.items():
        # What stands before is not asked: it may be the end of a color code.
        text = re.sub(rf"{re.escape(path)}(?![\w-]|\.\w){'' if shown else '/?'}", lambda _, shown=shown: shown, text)
    return text


def unsafe_html(html: str) -> str:
    """Return what in `html` could run code or load something from outside, or "" if nothing can.

    >>> unsafe_html("<b>3 &lt;script&gt; one=2</b>")
    ''
    >>> unsafe_html("<img src=x onerror=alert(1)>")
    'attribute onerror of <img>'
    """
    finder = _Finder()
    finder.feed(html)
    finder.close()
    return finder.found


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in REFUSED_TAGS:
            self.found = self.found or f"<{tag}>"
        for name, value in attrs:
            scheme = re.sub(r"[\s\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or name == "srcdoc":
                self.found = self.found or f"attribute {name} of <{tag}>"
            elif name in URL_ATTRIBUTES and scheme.startswith(("javascript:", "vbscript:", "data:text", "data:image/svg")):
                self.found = self.found or f"{scheme.split(':')[0]}: in {name} of <{tag}>"
            elif tag not in ("a", "area") and name in URL_ATTRIBUTES and re.match(r"(https?:)?//", scheme):
                self.found = self.found or f"an address outside the book in {name} of <{tag}>"

    handle_startendtag = handle_starttag


def _clean_outputs(outputs: Iterable, where: str) -> list:
    kept: list = []
    for output in outputs:
        if output.output_type == "error":
            raise RadbookError(f"{where}: ended with {output.ename}; a notebook with an error is not published")
        if output.output_type == "stream":
            if output.name == "stdout" and kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            elif output.name == "stdout":
                kept.append(output)
            continue
        output.metadata = {k: v for k, v in output.metadata.items() if k == "scrapbook"}  # values for the prose
        output.data = {kind: data for kind, data in output.data.items() if kind not in WIDGETS}
        for kind, data in output.data.items():
            text = data if isinstance(data, str) else ""
            bad = "JavaScript" if "javascript" in kind else ""
            if kind.endswith(("text/html", "text/markdown", "image/svg+xml")):
                bad = unsafe_html(text)
            if bad:
                raise RadbookError(f"{where}: its output holds {bad}; escape the text")
        if output.data:
            kept.append(output)
    return kept


def _map_text(output: nbformat.NotebookNode, change) -> None:
    if output.output_type == "stream":
        output.text = change(output.text)
    for kind, data in output.get("data", {}).items():
        if isinstance(data, str) and re.search(r"(^|/)text/|xml$", kind):
            output.data[kind] = change(data)
