"""Read columns of a table, every cell as text: CSV with any separator, Parquet, Excel; ids of reports and of patients.

A row is never shifted, cut or dropped to make it fit: where it cannot be read as it stands, its number is named.
No message repeats what stands in a cell.
"""

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radbook.core.errors import RadbookError, did_you_mean, need

__all__ = ["no_value", "patient_ids", "read_columns", "row_ids"]

_LARGEST = 2 << 30  # bytes that a packed file may unpack to
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MARKS = {"utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)}
_STRANGE = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook", b"%PDF": "a PDF document", b"{\\rtf": "an RTF document", b"PK": "a ZIP archive",
    b"SQLite": "an SQLite database", b"ARROW1": "an Arrow file", b"BZh": "packed with bzip2", b"\xfd7zXZ": "packed with xz",
    b"7z\xbc\xaf": "packed with 7-Zip", b"\x28\xb5\x2f\xfd": "packed with zstd", b"{": "JSON", b"<": "XML or HTML",
}  # fmt: skip
# Controls, soft hyphens, blanks without width and marks of direction, also of the byte order: nobody sees them inside a word.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_NO_VALUE = re.compile(r"\W*(?:n\W?a|nan|nat|none|null)?\W*", re.I)
_NAME = re.compile(r"[^\W\d](?:[\w.:-]*\w)?")


def no_value(cell: str) -> bool:
    """Say whether a cell stands for nothing: no word in it, or what programs write where nothing is.

    >>> [no_value(cell) for cell in ("", "N/A", "<NA>", "None", "nan", "null", "-", "None seen.", "Clear.")]
    [True, True, True, True, True, True, True, False, False]
    """
    return _NO_VALUE.fullmatch(cell) is not None


def read_columns(path: Path, wanted: Mapping[str, str | None]) -> pd.DataFrame:
    """Read some columns of a CSV, Parquet or Excel (.xlsx) file with every cell as text; missing values become "".

    `wanted` says what a column is for, and its name; None and "" are passed over.
    A CSV file may be packed with gzip, and is UTF-8, or UTF-16 or UTF-32 by its byte order mark. Its cells stand between
    commas, semicolons, tabs or bars, whichever give a header with the columns wanted, or what a line `sep=;` above it says.
    Characters that nobody sees, such as a NUL inside a word, are taken out.
    A blank line of a CSV file is a row where there is one column only, unless nothing but blank lines follows.
    Refused by name are other kinds of files, bytes that are not UTF-8, a row with more or fewer fields than the header, a
    name that the header gives twice, a column that is not there or holds neither text nor numbers, and a table without rows.
    """
    if not path.is_file():
        raise RadbookError(f"{path} is no file: give the path of a CSV, Parquet or Excel table")
    wanted = {use: column for use, column in wanted.items() if column}
    raw = b"PAR1" if path.suffix.lower() in (".parquet", ".pq") else _unpacked(path)
    if raw.startswith(b"PAR1"):
        frame = _read_parquet(path, wanted)
    else:
        read = _read_excel if raw.startswith(b"PK") and b"xl/workbook.xml" in raw else _read_csv
        frame = read(path, raw, wanted)
    if frame.empty:
        raise RadbookError(f"{path} holds no rows below its header: there is nothing to read")
    return frame


def row_ids(path: Path, frame: pd.DataFrame, id_column: str | None) -> list[str]:
    """Return the ids of a column, which must be there for every row and differ, or the row numbers from 1."""
    if not id_column:
        return [str(i) for i in range(1, len(frame) + 1)]
    ids = [i.strip() for i in frame[id_column]]
    rows: dict[str, int] = {}
    for row, name in enumerate(ids, start=1):
        if no_value(name):
            raise RadbookError(f"{path}, row {row}: column {id_column} is empty; every report needs an id")
        if rows.setdefault(name, row) != row:
            twice = sum(n > 1 for n in Counter(ids).values())
            raise RadbookError(
                f"{path}: {twice} ids of column {id_column} come more than once (row {row} has that of row {rows[name]}); "
                "every report needs an id of its own"
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
    return [f"unknown-{i}" if no_value(p) else p.strip() for p, i in zip(frame[patient_column], ids, strict=True)]


def _unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        with gzip.open(io.BytesIO(raw)) as file:
            raw = file.read(_LARGEST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise RadbookError(f"{path} is no intact gzip file: {error}") from None
    if len(raw) > _LARGEST:
        raise RadbookError(f"{path} unpacks to more than {_LARGEST:,} bytes: give it in parts")
    return raw


def _decoded(path: Path, raw: bytes) -> str:
    encoding = next((name for name, marks in _MARKS.items() if raw.startswith(marks)), "utf-8")
    if b"\0" in raw[:2] and encoding == "utf-8":  # as Excel writes "Unicode text", without its mark
        encoding = "utf-16-be" if raw[:1] == b"\0" else "utf-16-le"
    try:
        return _UNSEEN.sub("", raw.decode(encoding))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RadbookError(
            f"{path} is not {encoding.upper()}: byte 0x{raw[error.start]:02x} at offset {error.start} (line {line}). "
            "Save it as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv"
        ) from None


def _read_csv(path: Path, raw: bytes, wanted: Mapping[str, str]) -> pd.DataFrame:
    for mark, kind in _STRANGE.items():
        if raw.startswith(mark):
            raise RadbookError(f"{path} is {kind}, not a table that is read here: save it as CSV (UTF-8)")
    text = re.sub(r"\A(?:[^\S\n]*\n)+", "", _decoded(path, raw))
    # Python's own limit, 128 KiB a cell, is for guarding memory; the whole text is in memory already.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    said = re.match(r'"?sep=(.)"?[^\S\n]*\n', text, re.I)
    if said:
        separator, text = said[1], text[said.end() :]
    else:
        heads = {s: next(csv.reader(io.StringIO(text, newline=""), delimiter=s), []) for s in _SEPARATORS}
        fitting = [s for s, head in heads.items() if {*wanted.values()} <= {*head}]
        separator = fitting[0] if fitting else max(heads, key=lambda s: len(heads[s]))
    rows: list[list[str]] = []
    try:
        # pyarrow.csv would drop a quote inside a quoted text, and take the rest of the file for one that is not closed.
        rows.extend(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise RadbookError(
            f"{path}, row {len(rows)} cannot be read as CSV: {error}; double the quotes inside a quoted text, and close it"
        ) from None
    return _with_header(path, rows, wanted, _SEPARATORS.get(separator, "separator"))


def _read_excel(path: Path, raw: bytes, wanted: Mapping[str, str]) -> pd.DataFrame:
    need("excel", "openpyxl")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as parts:
            if sum(part.file_size for part in parts.infolist()) > _LARGEST:
                raise RadbookError(f"{path} unpacks to more than {_LARGEST:,} bytes: give it in parts")
        sheets = pd.read_excel(io.BytesIO(raw), sheet_name=None, header=None, dtype=object, na_filter=False, engine="openpyxl")
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, SyntaxError) as error:
        raise error if isinstance(error, RadbookError) else RadbookError(
            f"{path} cannot be read as an Excel workbook ({type(error).__name__}): save the sheet as CSV (UTF-8)"
        ) from None
    full = [[list(map(_text, row)) for row in sheet.itertuples(index=False)] for sheet in sheets.values() if not sheet.empty]
    if len(full) > 1:
        raise RadbookError(f"{path} has {len(full)} sheets with cells: save the one with the reports as a file of its own")
    return _with_header(path, [row if any(row) else [] for rows in full for row in rows], wanted, "cell")


def _with_header(path: Path, rows: list[list[str]], wanted: Mapping[str, str], boundary: str) -> pd.DataFrame:
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
            remedy = f"remove the trailing {boundary}" if len(row) > len(names) else f"give each empty cell its {boundary}"
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
            cells.append(_text(value.decode("utf-8") if isinstance(value, bytes) else value))
        except UnicodeDecodeError as error:
            raise RadbookError(f"{path}, row {row}, column {name} is not UTF-8: {error.reason}") from None
    return cells


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Other programs turn ids into floats where one is missing.
    return "" if pd.isna(value) else _UNSEEN.sub("", str(value))


def _check_names(path: Path, names: list[str], wanted: Mapping[str, str]) -> None:
    for n, name in enumerate(names):
        if name in names[:n]:
            which = f"column {name!r}" if name in wanted.values() else f"column in places {names.index(name) + 1} and {n + 1}"
            raise RadbookError(f"{path} names the {which} twice: rename one of them")
    for use, column in wanted.items():
        if column not in names:
            given = [name for name in names if not name.startswith("Unnamed: ")]
            # A first line that is no header may be a report: it is shown where each cell is a name and nothing else.
            shown = len(names) > 1 and all(map(_NAME.fullmatch, given))
            there = f"the columns are: {', '.join(given)}{did_you_mean(column, given)}" if shown else (
                f"its first line has {len(names)} cell{'s' * (len(names) > 1)}, not shown here since they may be a report. "
                "Write a line with the names of the columns above the reports, or name the column as the first line does"
            )  # fmt: skip
            raise RadbookError(f"{path} has no column {column!r} ({use}); {there}")
