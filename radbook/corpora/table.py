"""Read the user's own reports: a CSV or Parquet table with a column mapping."""

import io
from collections import Counter
from pathlib import Path

import pandas as pd
from rapidfuzz import fuzz, process

from radbook.corpora.names import is_repair, read_names
from radbook.corpora.sections import compose_text, split_sections
from radbook.corpora.splits import assign_splits
from radbook.errors import RadbookError
from radbook.ontology import CATEGORIES
from radbook.schema import LABELS, finding, label_row

__all__ = ["nearest", "read_columns", "read_table_corpus", "row_ids"]

_SHOWN = 5


def read_table_corpus(
    path: str | Path,
    *,
    text_column: str = "text",
    id_column: str | None = None,
    patient_column: str | None = None,
    findings_column: str | None = None,
    impression_column: str | None = None,
    label_column: str | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    dev_fraction: float = 0.1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read reports from a CSV (UTF-8) or Parquet file.

    Every row becomes a report, also one without text.
    An optional column that is None or "" is not used.

    Parameters
    ----------
    path
        The file; its ending says which kind it is.
    text_column
        Column with the report text.
        Where it is "" and `findings_column` or `impression_column` is given, the text is put together from these.
    id_column
        Column with a unique id; without one, the row number (from 1) is the id.
    patient_column
        Column with the patient's id; without one, every report counts as a patient of its own.
    findings_column, impression_column
        Columns with these sections; without them they are cut out of the text by its headers.
    label_column
        Column with the true categories, separated by commas or semicolons, brackets and quotes ignored; "Normal" or
        an empty cell means none of them.
        Near-misses ("ateletasis") are repaired: the row's status is then "repaired" and its note says what was read.
        Where a name fits no category, the row's status is "failed" and it stays out of the scoring.
    seed, test_fraction, dev_fraction
        See `assign_splits`.

    Returns
    -------
    reports, curated : pandas.DataFrame
        `curated` has the rows of task "choice" and no row without `label_column`.
        `curated.attrs["repaired_labels"]` counts the repairs.

    Raises
    ------
    RadbookError
        For a file that cannot be read, a column that is not there, a table without rows, or an id that comes twice.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mine.csv"
    ...     _ = file.write_text("text,labels\\nSmall left effusion.,pleural efusion\\n")
    ...     reports, curated = read_table_corpus(file, label_column="labels")
    >>> reports["report_id"].tolist(), curated["note"].tolist()
    (['1'], ["read 'pleural efusion' as Pleural Effusion"])
    """
    path = Path(path)
    sections = {"findings": findings_column or None, "impression": impression_column or None}
    composed = not text_column and any(sections.values())
    wanted = {
        "text_column": None if composed else text_column,
        "id_column": id_column,
        "patient_column": patient_column,
        "findings_column": findings_column,
        "impression_column": impression_column,
        "label_column": label_column,
    }
    frame = read_columns(path)
    for parameter, column in wanted.items():
        if (column or (parameter == "text_column" and not composed)) and column not in frame:
            raise RadbookError(_no_column(path, parameter, column or "", list(frame)))
    if frame.empty:
        raise RadbookError(f"{path} has a header but no rows: there is nothing to read")
    parts = {name: frame[column].tolist() if column else None for name, column in sections.items()}
    if composed:
        blank = [""] * len(frame)
        pairs = zip(parts["findings"] or blank, parts["impression"] or blank, strict=True)
        texts = [compose_text(findings=f, impression=i) for f, i in pairs]
    else:
        texts = frame[text_column].tolist()
    for name, values in parts.items():
        if values is None:
            parts[name] = [_section(text, name) for text in texts]
    ids = row_ids(path, frame, id_column or None)
    patients = frame[patient_column].tolist() if patient_column else ids
    reports = pd.DataFrame(
        {
            "report_id": ids,
            # A report whose patient is not named is a patient of its own, not one patient with all the others.
            "patient_id": [p or f"unknown-{i}" for p, i in zip(patients, ids, strict=True)],
            "text": texts,
            **parts,
        }
    )
    splits = assign_splits(
        reports["patient_id"], seed=seed, test_fraction=test_fraction, dev_fraction=dev_fraction
    )
    reports = reports.assign(split=splits, corpus="table")
    return reports, _curated(ids, frame[label_column].tolist() if label_column else [])


def read_columns(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file with every cell as text; missing values become "".

    Raises
    ------
    RadbookError
        Naming the file and, for bytes that are not UTF-8, the line and the byte.
    """
    if not path.is_file():
        raise RadbookError(f"{path} is no file: give the path of a CSV or Parquet table")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise RadbookError(f"{path} cannot be read as Parquet: {_line(error)}") from None
        return frame.rename(columns=str).astype(object).map(_cell)
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RadbookError(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start} (line {line}). "
            "Save it as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv"
        ) from None
    try:
        return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).map(_cell)
    except pd.errors.EmptyDataError:
        raise RadbookError(f"{path} is empty: it needs a header line with the column names") from None
    except pd.errors.ParserError as error:
        raise RadbookError(f"{path} cannot be read as CSV: {_line(error)}") from None


def nearest(word: str, known: list[str]) -> str:
    """Suggest the known name nearest to `word`, as the end of a message; "" where none is near.

    >>> nearest("txt", ["text", "id"])
    '; did you mean text?'
    """
    match = process.extractOne(word.lower(), {k: k.lower() for k in known}, scorer=fuzz.ratio, score_cutoff=60)
    return f"; did you mean {match[2]}?" if match else ""


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Parquet turns ids into floats where one is missing.
    return "" if value is None or value is pd.NA or value is pd.NaT or value != value else str(value)


def _no_column(path: Path, parameter: str, column: str, columns: list[str]) -> str:
    there = ", ".join(columns) or "none"
    return f"{path} has no column {column!r} ({parameter}); the columns are: {there}{nearest(column, columns)}"


def row_ids(path: Path, frame: pd.DataFrame, id_column: str | None) -> list[str]:
    """Return the ids of a column, which must be there for every row and differ, or the row numbers from 1."""
    if id_column is None:
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


def _section(text: str, name: str) -> str:
    return "\n".join(text[s.start : s.end] for s in split_sections(text) if s.name == name)


def _curated(ids: list[str], cells: list[str]) -> pd.DataFrame:
    repairs: Counter[str] = Counter()
    rows = []
    for report_id, cell in zip(ids if cells else [], cells, strict=True):
        names = read_names(cell)
        found = {category for _, category in names}
        unknown = [name for name, category in names if category is None]
        notes = [f"read {n!r} as {c}" for n, c in names if c and is_repair(n, c)]
        repairs.update(notes)
        if unknown:
            note = f"no category: {', '.join(map(repr, unknown))}"
            rows.append(label_row(report_id, "curated", "choice", [], status="failed", note=note))
        else:
            status = "repaired" if notes else "ok"
            findings = [finding(c) for c in CATEGORIES if c in found]
            rows.append(label_row(report_id, "curated", "choice", findings, status=status, note="; ".join(notes)))
    curated = pd.DataFrame(rows, columns=list(LABELS.columns))
    curated.attrs["repaired_labels"] = repairs
    return curated


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
