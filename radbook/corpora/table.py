"""Read the user's own reports: a CSV, Parquet or Excel table with a column mapping."""

from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import label_row
from radbook.core.schema import LABELS
from radbook.corpora.label_names import named_row, read_names
from radbook.corpora.sections import compose_text, split_sections
from radbook.corpora.tabular import no_value, patient_ids, read_columns, row_ids

__all__ = ["read_table_corpus"]


def read_table_corpus(
    path: str | Path,
    *,
    text_column: str = "text",
    id_column: str | None = None,
    patient_column: str | None = None,
    findings_column: str | None = None,
    impression_column: str | None = None,
    label_column: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read reports from a file that `read_columns` reads; `load_corpus` adds the split.

    Every row becomes a report, also one without text: a cell such as `NA`, `None`, `nan` or `null` is none.
    An optional column that is None or "" is not used.

    Parameters
    ----------
    path
        The file.
    text_column
        Column with the report text.
        Where it is "" and `findings_column` or `impression_column` is given, the text is put together from these.
    id_column
        Column with a unique id; without one, the row number (from 1) is the id.
    patient_column
        Column with the patient's id, blanks around it ignored; without one, or where the cell is blank, a report counts
        as a patient of its own.
    findings_column, impression_column
        Columns with these sections; without them they are cut out of the text by its headers.
    label_column
        Column with the true categories, separated by commas or semicolons, brackets and quotes ignored; "Normal" or
        an empty cell means none of them.
        Near-misses ("ateletasis") are repaired and hedged names ("Pneumonia?") are uncertain: the row's status is then
        "repaired" and its note says what was read.
        Where a name fits no category or denies one ("no edema"), the row's status is "failed" and it stays out of the
        scoring; its note gives the row and the column, never what stands there.

    Returns
    -------
    reports, curated : pandas.DataFrame
        `curated` has the rows of task "choice" and no row without `label_column`.

    Raises
    ------
    RadbookError
        For a file that cannot be read (see `read_columns`), a column that is not there, a table without rows or without
        any text, an id that comes twice, or a label column that no row can be read in.

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
    sections = {"findings": findings_column, "impression": impression_column}
    if not text_column and not any(sections.values()):
        raise RadbookError("text_column is empty: name the column of the text, or findings_column and impression_column")
    columns = {f"{name}_column": column for name, column in sections.items()}
    columns |= {"id_column": id_column, "patient_column": patient_column, "label_column": label_column}
    frame = read_columns(path, {"text_column": text_column, **columns})
    parts = {name: _reports(frame[column]) for name, column in sections.items() if column}
    if text_column:
        texts = _reports(frame[text_column])
    else:
        texts = [compose_text(**dict(zip(parts, cells, strict=True))) for cells in zip(*parts.values(), strict=True)]
    if not any(texts):
        named = text_column or " or ".join(filter(None, sections.values()))
        raise RadbookError(f"{path}: no row has a text in {named}: name the column that holds the reports")
    parts = {name: parts.get(name) or [_section(text, name) for text in texts] for name in sections}
    ids = row_ids(path, frame, id_column)
    patients = patient_ids(frame, patient_column, ids)
    reports = pd.DataFrame({"report_id": ids, "patient_id": patients, "text": texts, **parts})
    cells = frame[label_column] if label_column else []
    rows = [_label_row(i, cell, row, label_column) for row, (i, cell) in enumerate(zip(ids, cells, strict=False), start=1)]
    if label_column and (all(map(no_value, cells)) or all(row["status"] == "failed" for row in rows)):
        raise RadbookError(f"{path}: no row of column {label_column} names a category: name another column, or none")
    return reports, pd.DataFrame(rows, columns=list(LABELS.columns))


def _reports(cells: pd.Series) -> list[str]:
    return ["" if no_value(cell) else cell for cell in cells]


def _section(text: str, name: str) -> str:
    return "\n".join(text[s.start : s.end] for s in split_sections(text) if s.name == name)


def _label_row(report_id: str, cell: str, row: int, column: str) -> dict:
    names = read_names(cell)
    strange = sum(name.category is None for name in names)
    if not strange:
        return named_row(report_id, "curated", names)
    # Whatever stands in the cell may be anything, also a person's name: the note does not repeat it.
    fit = "1 name fits no category, or denies one" if strange == 1 else f"{strange} names fit no category, or deny one"
    note = f"row {row}, column {column}: {fit}"
    return label_row(report_id, "curated", "choice", [], status="failed", note=note)
