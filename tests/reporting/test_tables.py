"""Tables for a page: rare labels told apart, everything escaped, the same bytes every time."""

import pandas as pd
import pytest

from radbook.book.sanitize import unsafe_html
from radbook.core.errors import RadbookError
from radbook.reporting.tables import gray_few

TABLE = pd.DataFrame(
    {"f1": [0.91234, 0.5, None], "gap": ["+0.1", "<b>", "?"], "positives": [2000, 9, 10]},
    index=["Edema", "Fracture", "<i>"],
)


def test_rare_labels_are_grey_starred_and_explained():
    html = gray_few(TABLE).to_html()
    assert "Fracture *" in html and "Edema *" not in html and "* gray: fewer than 10 positives" in html
    uuid = html.split("#T_")[1].split(" ")[0]
    assert (
        f"#T_{uuid}_row1_col0" in html and f"#T_{uuid}_row0_col0," not in html
    )  # the second row alone is styled
    assert "0.912" in html and "2,000" in html and "\u2013" in html


def test_a_table_without_rare_labels_says_nothing_of_them():
    html = gray_few(TABLE.assign(positives=50)).to_html()
    assert "gray" not in html and "*" not in html.split("<table")[1]


def test_everything_is_escaped_and_the_same_each_time():
    html = gray_few(TABLE).to_html()
    assert "<b>" not in html and "<i>" not in html and unsafe_html(html) == ""
    assert html == gray_few(TABLE.copy()).to_html()
    assert html.split("#T_")[1][:8] != gray_few(TABLE.assign(positives=3)).to_html().split("#T_")[1][:8]


def test_the_column_of_counts_must_be_there():
    with pytest.raises(RadbookError, match="no column 'n_positive'; it has f1"):
        gray_few(TABLE, positives="n_positive")


def test_a_table_of_nothing_is_shown_as_nothing():
    html = gray_few(TABLE.iloc[:0].astype(object)).to_html()
    assert "positives" in html and "gray" not in html
