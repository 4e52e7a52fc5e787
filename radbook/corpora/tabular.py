"""Read columns of a CSV or Parquet file, every cell as text; ids of reports and of patients.

A row is never shifted, cut or dropped to make it fit: where it cannot be read as it stands, its number is named.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radbook.core.errors import RadbookError, did_you_mean

__all__ = ["no_column", "patient_ids", "read_columns", "row_ids"]

_SHOWN = 5


def read_columns(path: Path, wanted: Iterable[str | None]) -> tuple[pd.DataFrame, list[str]]:
    """Read the wanted columns of a CSV (UTF-8) or Parquet file with every cell as text; missing values become "".

    A blank line of a CSV file is a row where there is one column only, unless nothing but blank lines follows.

    Parameters
    ----------
    path
        The file; its ending says which kind it is.
    wanted
        Names of columns; those that are not there, and None or "", are passed over.

    Returns
    -------
    frame
        The wanted columns that are there.
    there
        The names of all columns.

    Raises
    ------
    RadbookError
        Naming the file and the line and byte that are not UTF-8, the row that has more fields than the header, the name
        that the header gives twice, or the column that holds neither text nor numbers.
    """
    if not path.is_file():
        raise RadbookError(f"{path} is no file: give the path of a CSV or Parquet table")
    read = _read_parquet if path.suffix.lower() in (".parquet", ".pq") else _read_csv
    return read(path, {name for name in wanted if name})


def row_ids(path: Path, frame: pd.DataFrame, id_column: str | None) -> list[str]:
    """Return the ids of a column, which must be there for every row and differ, or the row numbers from 1."""
    if not id_column:
        return [str(i) for i in range(1, len(frame) + 1)]
    ids = [i.strip() for i in frame[id_column]]
    if "" in ids:
        raise RadbookError(f"{path}, row {ids.index('') + 1}: column {id_column} is empty; every report needs an id")
    twice = [i for i, n in Counter(ids).items() if n > 1]
    if twice:
        raise RadbookError(
            f"{path}: {len(twice)} ids of column {id_column} come more than once "
            f"({', '.join(twice[:_SHOWN])}{', ...' if len(twice) > _SHOWN else ''}); "
            "make them unique or leave id_column out to number the rows"
        )
    return ids


def patient_ids(frame: pd.DataFrame, patient_column: str | None, ids: list[str]) -> list[str]:
    """Return the patients of a column, blanks around them aside; without one, every report is a patient of its own.

    >>> patient_ids(pd.DataFrame({"who": ["p", "p ", " "]}), "who", ["1", "2", "3"])
    ['p', 'p', 'unknown-3']
    """
    if not patient_column:
        return ids
    # A report whose patient is not named is a patient of its own, not one patient with all the others.
    return [p.strip() or f"unknown-{i}" for p, i in zip(frame[patient_column], ids, strict=True)]


def no_column(path: Path, column: str, there: list[str], *, parameter: str = "") -> RadbookError:
    """Return the refusal of a column that is not there, with those that are."""
    known = ", ".join(there) or "none"
    named = f"{column!r} ({parameter})" if parameter else repr(column)
    return RadbookError(f"{path} has no column {named}; the columns are: {known}{did_you_mean(column, there)}")


def _read_csv(path: Path, wanted: set[str]) -> tuple[pd.DataFrame, list[str]]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RadbookError(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start} (line {line}). "
            "Save it as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv"
        ) from None
    # Python's own limit, 128 KiB a cell, is for guarding memory; the whole text is in memory already.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise RadbookError(
            f"{path}, row {len(rows)} cannot be read as CSV: {error}; double the quotes inside a quoted text, and close it"
        ) from None
    while rows and _blank(rows[-1]):
        rows.pop()
    first = next((n for n, row in enumerate(rows) if not _blank(row)), None)
    if first is None:
        raise RadbookError(f"{path} is empty: it needs a header line with the column names")
    header = [name or f"Unnamed: {n}" for n, name in enumerate(rows[first])]
    _refuse_twice(path, header)
    rows = [row for row in rows[first + 1 :] if len(header) == 1 or not _blank(row)]
    for n, row in enumerate(rows, start=1):
        if len(row) > len(header):
            raise RadbookError(
                f"{path}, row {n} has {len(row)} fields, the header {len(header)}: "
                "remove the trailing comma or quote the text"
            )
        row.extend([""] * (len(header) - len(row)))
    places = {name: place for place, name in enumerate(header) if name in wanted}
    frame = pd.DataFrame({name: [row[at] for row in rows] for name, at in places.items()}, dtype=object)
    return frame, header


def _blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and row[0].isspace())


def _read_parquet(path: Path, wanted: set[str]) -> tuple[pd.DataFrame, list[str]]:
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            _refuse_twice(path, there)
            nested = {f.name: f.type for f in file.schema_arrow if f.name in wanted and pa.types.is_nested(f.type)}
            if nested:
                name, kind = nested.popitem()
                raise RadbookError(f"{path}, column {name} holds {kind} in each cell: name a column of text or numbers")
            table = file.read(columns=[name for name in there if name in wanted])
    except (OSError, pa.ArrowException) as error:
        raise RadbookError(f"{path} cannot be read as Parquet: {_line(error)}") from None
    columns = {name: _texts(path, name, table[name]) for name in there if name in wanted}
    return pd.DataFrame(columns, dtype=object), there


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> list[str]:
    cells = []
    for row, value in enumerate(column, start=1):
        try:
            cells.append(_cell(value.as_py()))
        except UnicodeDecodeError as error:
            raise RadbookError(f"{path}, row {row}, column {name} is not UTF-8: {error.reason}") from None
    return cells


def _cell(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Other programs turn ids into floats where one is missing.
    return "" if value is None or value is pd.NaT or value != value else str(value)


def _refuse_twice(path: Path, names: list[str]) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise RadbookError(f"{path} names the column {twice[0]!r} twice: rename one of them")


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
