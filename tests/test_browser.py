"""Every page of a rendered book in headless Chromium, everything outside blocked.

The toy book is built for the test; the books of finished runs in this checkout are opened too.
"""

import os
import shutil
from pathlib import Path

import pytest
from test_book import ROOT, toy_book_project
from toyproject import CHAPTERS

from radbook.book import build_book
from radbook.chapters import run_chapters

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM = CHROMIUM or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium found: install one, or set CHROMIUM to its path"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def toy_book(tmp_path_factory) -> Path:
    project = toy_book_project(tmp_path_factory.mktemp("browser") / "project")
    run_chapters(project=project, chapters=CHAPTERS)
    return build_book(project=project, chapters=CHAPTERS).parent


@pytest.fixture(params=["toy", *sorted(p.parent.parent.name for p in ROOT.glob("runs/*/book/index.html"))])
def site(request, toy_book) -> Path:
    return toy_book if request.param == "toy" else ROOT / "runs" / request.param / "book"


def watched(browser, **options):
    """Return a page and the list that fills with what it asks for outside or complains about."""
    context = browser.new_context(**options)
    troubles = []

    def gate(route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            troubles.append(f"asks for {route.request.url}")
            route.abort()

    context.route("**/*", gate)
    page = context.new_page()
    page.on("console", lambda m: troubles.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: troubles.append(f"error: {e}"))
    return page, troubles


def test_every_page_stands_alone_and_fits(browser, site):
    for scheme, width in [("light", 1280), ("dark", 390)]:
        page, troubles = watched(browser, color_scheme=scheme, viewport={"width": width, "height": 900})
        for path in sorted(site.rglob("*.html")):
            if path.name == "index.html":
                continue
            page.goto(path.as_uri())
            page.wait_for_load_state("load")
            name = path.relative_to(site).as_posix()
            assert troubles == [], f"{name}, {scheme}"
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, f"{name} is {over} px too wide at {width} px"
            nameless = page.evaluate("[...document.images].filter(i => !i.getAttribute('alt')).map(i => i.src)")
            assert [i for i in nameless if "logo" not in i] == [], name
            figures = page.evaluate("[...document.images].filter(i => /[.](png|jpe?g|svg)$/.test(i.alt)).map(i => i.alt)")
            assert figures == [], f"{name}: the alternative text is a file name"
            assert page.evaluate("document.documentElement.dataset.theme") in (scheme, None, ""), name
        page.context.close()


def test_search_finds_a_chapter(browser, toy_book):
    page, troubles = watched(browser)
    page.goto(f"{(toy_book / 'search.html').as_uri()}?q=question")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    assert "First" in page.inner_text("#search-results") and troubles == []
    page.context.close()


def test_a_script_in_a_page_does_not_run(browser, toy_book, tmp_path):
    copy = tmp_path / "book"
    shutil.copytree(toy_book, copy)
    intro = copy / "intro.html"
    intro.write_text(intro.read_text().replace("</article>", "<script>window.ran = 1</script></article>"))
    page, troubles = watched(browser)
    page.goto(intro.as_uri())
    assert page.evaluate("window.ran") is None and "Content Security Policy" in troubles[0]
    page.context.close()
