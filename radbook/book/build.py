"""The book of one run: stage cleaned notebooks and pages, build with warnings as errors, replace the old book.

The finished pages load nothing from elsewhere, and a content security policy in every page lets only the book's own script
files run, and the theme's inline scripts, each by its hash.
"""

import base64
import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pandas as pd
import yaml

from radbook.book.about_page import describe_run, run_line
from radbook.book.changes_page import changes_page
from radbook.book.sanitize import clean_notebook, machine_paths
from radbook.core.errors import RadbookError
from radbook.pipeline.chapters import CHAPTERS, Chapter, require_up_to_date
from radbook.pipeline.fingerprints import library_digest, tree_digest
from radbook.pipeline.run import Run, hold, open_run

__all__ = ["build_book", "read_claims"]

_SCRIPT = re.compile(r"<script\b(?P<attributes>[^>]*)>(?P<body>.*?)</script>", re.DOTALL | re.IGNORECASE)
_OUTSIDE = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^\"']*", re.IGNORECASE)
_PAGE_NAME = re.compile(r"DOCUMENTATION_OPTIONS\.pagename = '[\w/.-]*';")
# What the two buttons of the theme run when they are clicked: print, and full screen.
_HANDLERS = ("window.print()", "toggleFullScreen()")
# Addresses that tell a search engine about the page; a browser does not fetch them.
_UNFETCHED = re.compile(r"rel=[\"'](?:canonical|next|prev|author|license)")


def build_book(
    run: str = "default",
    *,
    project: Path | None = None,
    chapters: tuple[Chapter, ...] = CHAPTERS,
    echo: Callable[[str], None] = lambda line: None,
) -> Path:
    """Render the executed notebooks of a run and return the path of the page to open; quick if nothing changed.

    Parameters
    ----------
    run
        Name of the run.
    project
        The project folder; the one around the current folder if None.
    chapters
        The chain; all of them must be finished and fit together.
    echo
        Called with a line per step.

    Raises
    ------
    RadbookError
        If the run is incomplete, an output must not be published, or the build gives a warning.
    """
    opened = open_run(run, project=project)
    require_up_to_date(opened, chapters)
    with hold(opened):
        return _build(opened, chapters, echo)


def _build(run: Run, chapters: tuple[Chapter, ...], echo: Callable[[str], None]) -> Path:
    final, work, previous = (run.path / name for name in ("book", ".book", ".book.old"))
    shutil.rmtree(work, ignore_errors=True)
    echo("staging the pages")
    _stage(run, chapters, work)
    digest = f"{tree_digest(work)} {library_digest()}"  # the API page is made from the library's docstrings
    if (final / ".inputs").is_file() and (final / ".inputs").read_text() == digest:
        shutil.rmtree(work)
        return final / "index.html"
    echo("building the book")
    _sphinx(run, work)
    made = work / "_build" / "html"
    echo("sealing the pages")
    _seal(made)
    (made / ".inputs").write_text(digest)
    shutil.rmtree(previous, ignore_errors=True)
    if final.exists():
        final.rename(previous)
    made.rename(final)
    shutil.rmtree(previous, ignore_errors=True)
    shutil.rmtree(work)
    return final / "index.html"


def _stage(run: Run, chapters: tuple[Chapter, ...], work: Path) -> None:
    """Fill `work` with everything that jupyter-book reads: configuration, pages, cleaned notebooks, assets."""
    work.mkdir(parents=True)
    manifest = run.manifest()
    for name in ("pages", "results"):
        if (run.project / name).is_dir():
            shutil.copytree(run.project / name, work / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.move(work / "pages" / "_static", work / "_static")
    shutil.copy(run.project / "intro.md", work)
    shutil.copy(run.project / "_toc.yml", work)
    config = yaml.safe_load((run.project / "_config.yml").read_text(encoding="utf-8"))
    config.setdefault("html", {})["extra_footer"] = f"<p>{html.escape(run_line(manifest))}</p>"
    config.setdefault("parse", {})["myst_substitutions"] = read_claims(run.project)
    (work / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (work / "notebooks").mkdir()
    hidden = machine_paths(manifest["parameters"], run.project)
    for chapter in chapters:
        executed = nbformat.read(run.path / chapter.notebook, as_version=4)
        cleaned = clean_notebook(executed, chapter.name, hidden=hidden)
        nbformat.write(cleaned, work / "notebooks" / f"{chapter.name}.ipynb")
    (work / "pages" / "run.md").write_text(describe_run(manifest, chapters, hidden=hidden), encoding="utf-8")
    (work / "pages" / "changes.md").write_text(changes_page(run, hidden=hidden), encoding="utf-8")


def read_claims(project: Path) -> dict[str, str]:
    """Return what stands for each name in braces of `pages/paper.md`; a project that published nothing has no such table."""
    path = project / "results" / "claims.csv"
    return pd.read_csv(path, dtype=str).set_index("name")["text"].to_dict() if path.is_file() else {}


def _sphinx(run: Run, work: Path) -> None:
    log = run.path / "logs" / "book.log"
    log.parent.mkdir(exist_ok=True)
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(work), "-W", "--keep-going"]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    with log.open("w", encoding="utf-8") as stream:
        code = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, cwd=run.project, env=environment, check=False
        ).returncode
    if code:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8")).replace(f"{work}/", "")
        told = [line.strip() for line in text.splitlines() if re.search(r"WARNING|ERROR|Exception|Error:", line)]
        shown = "\n  ".join(list(dict.fromkeys(told))[:6] or text.splitlines()[-3:])
        raise RadbookError(f"the book of run {run.name} did not build (the old one stays); log {log}\n  {shown}")


def _seal(site: Path) -> None:
    """Give every page its policy; refuse a page that asks for something outside."""
    for template in (site / "_static").rglob("*.html"):  # the theme leaves one there
        template.unlink()
    texts = {page: page.read_text(encoding="utf-8") for page in sorted(site.rglob("*.html"))}
    # No cell of a notebook reaches these two pages.
    theme = set(_inline_scripts(texts[site / "search.html"])) | set(_inline_scripts(texts[site / "genindex.html"]))
    for page, text in texts.items():
        outside = [m[0] for m in _OUTSIDE.finditer(text) if not _UNFETCHED.search(m[0])]
        if outside:
            raise RadbookError(f"page {page.relative_to(site)} would load something from outside: {outside[0]}")
        if "<head>" not in text:  # index.html, which only leads to the first page
            text = f'<!DOCTYPE html>\n<html lang="en">\n  <head>\n    <title>radbook</title>{text}  </head>\n</html>\n'
        own = {script for script in _inline_scripts(text) if _PAGE_NAME.fullmatch(script)}
        page.write_text(text.replace("<head>", f"<head>\n    {_policy(theme | own)}", 1), encoding="utf-8")


def _inline_scripts(text: str) -> list[str]:
    return [m["body"] for m in _SCRIPT.finditer(text) if "src=" not in m["attributes"] and m["body"].strip()]


def _policy(scripts: set[str]) -> str:
    digests = " ".join(_hash_source(s) for s in [*sorted(scripts), *_HANDLERS])
    return (
        '<meta http-equiv="Content-Security-Policy" content="'
        f"default-src 'none'; script-src 'self' 'unsafe-hashes' {digests}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; media-src 'self' data:; "
        "form-action 'self'; base-uri 'none'\">"
    )


def _hash_source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
