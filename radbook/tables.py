"""Tables as a page shows them: what rests on a handful of reports is told apart, in the table as in the figures."""

from hashlib import blake2b

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from radbook.errors import RadbookError
from radbook.evaluation import FEW_POSITIVES

__all__ = ["gray_few"]

# The theme's muted text keeps its contrast on a light and on a dark page; elsewhere a gray stands in for it.
_GRAY = "color: var(--pst-color-text-muted, #6b6b6b); font-style: italic"
_NOTE = {"selector": "caption", "props": "caption-side: bottom; text-align: left; font-size: 0.9em"}


def gray_few(table: pd.DataFrame, *, positives: str = "positives") -> Styler:
    """Show a table with a row per label; labels with fewer than 10 positives are gray, marked by a star, and explained below.

    Parameters
    ----------
    table
        One row per label, named by the index.
    positives
        The column that counts the positives of each label.

    Returns
    -------
    A Styler, which a notebook shows as HTML; everything in it is escaped.

    Examples
    --------
    >>> shown = gray_few(pd.DataFrame({"f1": [0.9, 0.5], "positives": [40, 3]}, index=["Edema", "Fracture"]))
    >>> "Fracture *" in shown.to_html(), "Edema *" in shown.to_html(), "fewer than 10 positives" in shown.to_html()
    (True, False, True)
    """
    if positives not in table:
        raise RadbookError(
            f"gray_few: the table has no column {positives!r}; it has {', '.join(map(str, table.columns))}"
        )
    few = (table[positives] < FEW_POSITIVES).to_numpy(dtype=bool)
    shown = table.set_axis(
        [f"{name} *" if rare else name for name, rare in zip(table.index, few, strict=True)]
    )
    # Two tables of one page need different ids, and the same table the same one each time.
    styler = Styler(shown, uuid=blake2b(shown.to_csv().encode(), digest_size=4).hexdigest())
    styler = styler.format(escape="html", precision=3, na_rep="\u2013", thousands=",")
    for axis in ("index", "columns"):
        styler = styler.format_index(escape="html", axis=axis)
    styler = styler.set_table_attributes('class="dataframe"')
    if not few.any():
        return styler
    gray = np.where(few, _GRAY, "")
    styler = styler.apply(lambda column: gray).apply_index(lambda names: gray)
    return styler.set_caption(f"* gray: fewer than {FEW_POSITIVES} positives").set_table_styles([_NOTE])
