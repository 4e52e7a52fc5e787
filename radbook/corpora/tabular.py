"""Read columns of a CSV or Parquet file, every cell as text; ids of reports and of patients.

A row is never shifted, cut or dropped to make it fit: where it cannot be read as it stands, its number is named.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radbook.core.errors import RadbookError, did_you_mean

__all__ = ["patient_ids", "read_columns", "row_ids"]

_SHOWN = 5


def read_columns(path: Path, wanted: Mapping[str, str | None]) -> pd.DataFrame:
    """Read some columns of a CSV (UTF-8) or Parquet file with every cell as text; missing values become "".

    `wanted` says what a column is for, and its name; None and "" are passed over.
    A blank line of a CSV file is a row where there is one column only, unless nothing but blank lines follows.
    Refused by name are bytes that are not UTF-8, a row with more or fewer fields than the header, a name that the header
    gives twice, a column that is not there or holds neither text nor numbers, and a table without rows.
    """
    if not path.is_file():
        raise RadbookError(f"{path} is no file: give the path of a CSV or Parquet table")
    read = _read_parquet if path.suffix.lower() in (".parquet", ".pq") else _read_csv
    frame = read(path, {use: column for use, column in wanted.items() if column})
    if frame.empty:
        raise RadbookError(f"{path} holds no rows below its header: there is nothing to read")
    return frame


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
            f"({', '.join(twice[:_SHOWN])}{', ...' if len(twice) > _SHOWN else ''}); every report needs an id of its own"
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


def _read_csv(path: Path, wanted: Mapping[str, str]) -> pd.DataFrame:
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
        # pyarrow.csv would drop a quote inside a quoted text, and take the rest of the file for one that is not closed.
        rows.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise RadbookError(
            f"{path}, row {len(rows)} cannot be read as CSV: {error}; double the quotes inside a quoted text, and close it"
        ) from None
    while rows and _blank(rows[-1]):
        rows.pop()
    while rows and _blank(rows[0]):
        rows.pop(0)
    if not rows:
        raise RadbookError(f"{path} is empty: it needs a header line with the column names")
    names = [name or f"Unnamed: {n}" for n, name in enumerate(rows[0])]
    _check_names(path, names, wanted)
    rows = [row or [""] for row in rows[1:] if len(names) == 1 or not _blank(row)]
    for n, row in enumerate(rows, start=1):
        if len(row) != len(names):
            remedy = "remove the trailing comma" if len(row) > len(names) else "give each empty cell its comma"
            raise RadbookError(
                f"{path}, row {n} has {len(row)} fields, the header {len(names)}: {remedy} or quote the text"
            )
    return pd.DataFrame(rows, columns=names, dtype=object)[list(dict.fromkeys(wanted.values()))]


def _blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and row[0].isspace())


def _read_parquet(path: Path, wanted: Mapping[str, str]) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_names(path, schema.names, wanted)
            for name in wanted.values():
                if pa.types.is_nested(kind := schema.field(name).type):
                    raise RadbookError(f"{path}, column {name} holds {kind} in each cell: name a column of text or numbers")
            table = file.read(columns=list(dict.fromkeys(wanted.values())))
    except (OSError, pa.ArrowException) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RadbookError(f"{path} cannot be read as Parquet: {reason}") from None
    return pd.DataFrame({name: _texts(path, name, table[name]) for name in table.column_names}, dtype=object)


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> list[str]:
    cells = []
    for row, cell in enumerate(column, start=1):
        try:
            value = cell.as_py()
            value = value.decode("utf-8") if isinstance(value, bytes) else value
        except UnicodeDecodeError as error:
            raise RadbookError(f"{path}, row {row}, column {name} is not UTF-8: {error.reason}") from None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # Other programs turn ids into floats where one is missing.
        cells.append("" if pd.isna(value) else str(value))
    return cells


def _check_names(path: Path, names: list[str], wanted: Mapping[str, str]) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise RadbookError(f"{path} names the column {twice[0]!r} twice: rename one of them")
    for use, column in wanted.items():
        if column not in names:
            raise RadbookError(
                f"{path} has no column {column!r} ({use}); the columns are: {', '.join(names)}{did_you_mean(column, names)}"
            )
