"""Every page of a rendered book in headless Chromium, everything outside blocked.

The toy book is built for the test; the books of finished runs in this checkout are opened too.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from toyproject import CHAPTERS, ROOT, SECOND, toy_book_project

from radbook.book import build_book
from radbook.pipeline.runner import run_chapters

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


# Twelve reports, each with one error of a student: a linked table, its cases, and every error to sort.
ERRORS = """
from radbook.reporting.error_report.tables import sortable
from radbook.reporting.error_report import case_list, confusion_table, examine
from radbook.core.findings import finding

ids = [f"r{i:02}" for i in range(12)]
reports = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": "Wet <b>lungs</b>."})
there, codes = [finding("Edema", start=0, end=3)], ["Fracture" if i % 3 else "Pneumonia" for i in range(12)]
truth = pd.DataFrame([label_row(i, "curated", "choice", there) for i in ids])
said = [label_row(i, "student:toy", "choice", [*there, finding(code)]) for i, code in zip(ids, codes)]
student = pd.DataFrame(said)
given = {"curated": truth, "student": student, "teacher": truth.assign(source="rules"), "readers": {"student": student}}
found = examine("choice", **given, reports=reports, train=reports, policy="certain")
shown = confusion_table(found), case_list(found, shown="always", limit=2)
display(*shown, sortable([found], shown="always"))
"""


@pytest.fixture(scope="module")
def error_page(tmp_path_factory) -> Path:
    project = toy_book_project(tmp_path_factory.mktemp("errors") / "project", second=SECOND + ERRORS)
    run_chapters(project=project, chapters=CHAPTERS)
    return build_book(project=project, chapters=CHAPTERS).parent / "notebooks" / "02_second.html"


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


def test_a_count_leads_to_its_visible_reports(browser, error_page):
    for scripts, width in [(True, 1280), (False, 1280), (True, 390)]:
        page, troubles = watched(browser, java_script_enabled=scripts, viewport={"width": width, "height": 900})
        page.goto(error_page.as_uri())
        cases = page.locator("details .radbook-case")
        assert cases.count() == 6 and not any(case.is_visible() for case in cases.all())
        page.get_by_label("8 reports: Fracture, curated not mentioned, predicted present").click()
        page.wait_for_url("**#cases-choice-fracture-not-mentioned-present")
        cell = page.locator("#cases-choice-fracture-not-mentioned-present")
        first = cell.locator(".radbook-case").first
        assert first.is_visible() and 0 <= first.bounding_box()["y"] < 900
        assert "Wet <b>lungs</b>" in first.inner_text() and "6 more, not shown in full" in cell.inner_text()
        assert sum(case.is_visible() for case in cases.all()) == 2
        cell.get_by_text("Back to the table").click()
        assert 0 <= page.locator("#table-choice").bounding_box()["y"] < 900
        assert troubles == []
        page.context.close()


def test_the_table_of_errors_sorts_and_filters_with_the_keyboard(browser, error_page):
    page, troubles = watched(browser)
    page.goto(error_page.as_uri())
    rows = page.locator("#errors-to-sort tbody tr:visible")
    assert rows.count() == 12 and page.get_by_role("status").inner_text() == "12 of 12 rows"
    page.get_by_label("filter by label").press_sequentially("PNEU")
    assert rows.count() == 4 and page.get_by_role("status").inner_text() == "4 of 12 rows"
    heading = page.get_by_role("columnheader", name="report")
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").focus()
    for direction, reports in (("ascending", ["r00", "r03", "r06", "r09"]), ("descending", ["r09", "r06", "r03", "r00"])):
        page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == direction
        assert rows.locator("td:first-child").all_inner_texts() == reports
    page.get_by_role("columnheader", name="label").get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "none", "one column sorts at a time"
    rows.first.locator("a").click()
    assert page.locator("#cases-choice-pneumonia-not-mentioned-present .radbook-case").first.is_visible()
    assert troubles == []
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    scripts = re.search("script-src ([^;]*);", policy)[1].split()
    assert all(s in ("'self'", "'unsafe-hashes'") or s.startswith("'sha256-") for s in scripts)
    page.context.close()


def test_without_scripts_every_error_is_there_to_read(browser, error_page):
    page, _ = watched(browser, java_script_enabled=False)
    page.goto(error_page.as_uri())
    assert page.locator("#errors-to-sort tbody tr:visible").count() == 12
    page.context.close()
