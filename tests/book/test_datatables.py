"""The library of sortable tables: out of the notebook, into one file of the book, without loosening any page."""

import pytest
from itables.javascript import generate_init_offline_itables_html
from itables.options import dt_bundle

from radbook.book import datatables
from radbook.book.datatables import add_library, refer_to_library
from radbook.core.errors import RadbookError

LOADER = generate_init_offline_itables_html(dt_bundle)


def test_the_loader_becomes_a_reference_and_the_rest_stays():
    html = refer_to_library(f"<p>before</p>{LOADER}<p>after</p>")
    assert len(LOADER) > 500_000 > 500 > len(html)
    assert html.startswith("<p>before</p>") and html.endswith("<p>after</p>")
    assert '<script src="../_static/datatables/dt_bundle.js"></script>' in html and "blob" not in html.lower()


def test_a_table_of_another_version_is_refused():
    with pytest.raises(RadbookError, match=r"made by another itables than .*: execute its chapter again"):
        refer_to_library(LOADER.replace("window._itables_", "window._itables_9_"))


def test_only_a_book_with_a_table_gets_the_library(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_x.html").write_text("<p>no table</p>")
    add_library(tmp_path)
    assert not (tmp_path / "_static").exists()
    (tmp_path / "notebooks" / "01_x.html").write_text(refer_to_library(LOADER))
    add_library(tmp_path)
    script = (tmp_path / "_static" / "datatables" / "dt_bundle.js").read_text()
    # A plain script: nothing is exported or imported, and the tables' promise is set at once.
    assert script.startswith(f"window.{datatables._name()} = (async () => ") and "export{" not in script
    assert (tmp_path / "_static" / "datatables" / "dt_bundle.css").stat().st_size > 10_000


def test_a_library_of_another_form_is_refused():
    with pytest.raises(RadbookError, match="brings a library of another form"):
        datatables._plain_script("var a = 1;")
