"""Read labels as studies publish them: a table with a row per report and, per source, a column of category names.

Such tables are written by hand or put together from several tools, so names are misspelled; what is repaired is listed,
and what fits no category is refused.
Only the columns that are asked for are looked at: a text column in the same file goes nowhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rapidfuzz import fuzz, process

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import LABELS, check
from radbook.corpora.label_names import named_row, read_names
from radbook.corpora.tabular import patient_ids, read_columns, row_ids

__all__ = ["LabelColumns", "read_label_columns"]

_SHOWN = 40  # characters of a misread name that a message repeats


class LabelColumns(NamedTuple):
    """What a published label table says.

    `tables` gives the `labels` table of task "choice" of each source; `reports` has report_id and patient_id, as `score`
    and `paired_table` take them; `repairs` has one row per name that was repaired or hedged: row (from 1, below the
    header), column, read, taken_for.
    """

    tables: Mapping[str, pd.DataFrame]
    reports: pd.DataFrame
    repairs: pd.DataFrame


def read_label_columns(
    path: str | Path,
    columns: Mapping[str, str],
    *,
    id_column: str | None = None,
    patient_column: str | None = None,
) -> LabelColumns:
    """Read a CSV or Parquet file with a column of category names per source.

    Parameters
    ----------
    path
        The file; its ending says which kind it is.
    columns
        Source -> the column that holds its labels, such as {"reader 1": "human_label1"}.
        A cell names categories between commas, semicolons or bars, in any case; "Normal", "No Finding" or nothing means none.
        A hedged name ("Pneumonia?") is uncertain.
    id_column
        Column with a unique id; without one, the row number (from 1) is the id.
    patient_column
        Column with the patient's id; without one, or where it is blank, a report counts as a patient of its own.

    Returns
    -------
    LabelColumns
        A row with a repaired name has the status "repaired", and its note says what was read.

    Raises
    ------
    RadbookError
        For a column that is not there, an id that comes twice, or a name that fits no category or denies one ("no edema");
        the message names the row, the column and the nearest category.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "published.csv"
    ...     _ = file.write_text('id,first,second\\n7,"edema, ateletasis",Edema\\n8,,Normal\\n')
    ...     read = read_label_columns(file, {"reader 1": "first", "reader 2": "second"}, id_column="id")
    >>> [f["code"] for f in read.tables["reader 1"]["findings"][0]]
    ['Atelectasis', 'Edema']
    >>> read.repairs.values.tolist()
    [[1, 'first', 'ateletasis', 'Atelectasis']]
    """
    path = Path(path)
    if not columns:
        raise RadbookError(f"{path}: name at least one column of labels, as {{source: column}}")
    frame = read_columns(path, {**columns, "id_column": id_column, "patient_column": patient_column})
    ids = row_ids(path, frame, id_column)
    tables, repairs = {}, []
    for source, column in columns.items():
        rows = []
        for row, (report_id, cell) in enumerate(zip(ids, frame[column], strict=True), start=1):
            names = read_names(cell)
            rows.append(named_row(report_id, source, names))
            for name in names:
                if name.category is None:
                    raise _no_category(name.written, f"{path}, row {row}, column {column}")
                if name.repair:
                    repairs.append((row, column, name.written, name.repair))
        tables[source] = check(pd.DataFrame(rows), LABELS)
    reports = pd.DataFrame({"report_id": ids, "patient_id": patient_ids(frame, patient_column, ids)})
    return LabelColumns(tables, reports, pd.DataFrame(repairs, columns=["row", "column", "read", "taken_for"]))


def _no_category(written: str, where: str) -> RadbookError:
    shown = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
    nearest = process.extractOne(written.lower(), CATEGORIES, processor=str.lower, scorer=fuzz.ratio)[0]
    return RadbookError(
        f"{where}: {shown!r} is no category and none is near enough to repair it (the nearest is {nearest}); "
        "correct the cell, or read another column"
    )
