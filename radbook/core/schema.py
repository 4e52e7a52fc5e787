"""The tables that chapters hand to each other: their columns, types and keys, checked on the way in and out.

A `Contract` names every column with its pandas kind and the key that must be unique.
`check` refuses a frame that breaks it, naming the column or the first bad row; `write_table` checks, then writes Parquet
all or nothing, so that a killed process never leaves half a table.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radbook.core.errors import RadbookError
from radbook.core.files import replacing
from radbook.core.findings import FINDING, flaw

__all__ = [
    "CONTRACTS", "ERRORS", "INSTRUCTIONS", "LABELS", "PREDICTIONS", "REPORTS", "SCORES", "SPLITS", "STATUSES",
    "Contract", "check", "check_reports", "read_table", "write_table",
]  # fmt: skip

SPLITS = ("train", "dev", "test")
STATUSES = ("ok", "repaired", "failed")


@dataclass(frozen=True)
class Contract:
    """One table: its name, the Arrow type of each column, and the columns whose combination is unique."""

    name: str
    columns: Mapping[str, pa.DataType]
    key: tuple[str, ...]
    allowed: Mapping[str, tuple[str, ...]]


_TEXT = pa.string()
_FINDINGS = pa.list_(FINDING)
_MAY_LACK = ("value", "low", "high", "reply", "note")
_MISFIT = (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError)

REPORTS = Contract(
    "reports",
    dict.fromkeys(("report_id", "patient_id", "text", "findings", "impression", "split", "corpus"), _TEXT),
    ("report_id",),
    {"split": SPLITS},
)
_TO_LABEL = Contract("reports", dict.fromkeys(("report_id", "text"), _TEXT), ("report_id",), {})
_LABEL_COLUMNS = dict.fromkeys(("report_id", "source", "task", "findings", "status", "note"), _TEXT)
_LABEL_COLUMNS["findings"] = _FINDINGS
LABELS = Contract("labels", _LABEL_COLUMNS, ("report_id", "source", "task"), {"status": STATUSES})
PREDICTIONS = Contract("predictions", {**_LABEL_COLUMNS, "reply": _TEXT}, LABELS.key, LABELS.allowed)
INSTRUCTIONS = Contract(
    "instructions",
    dict.fromkeys(("report_id", "task", "source", "prompt", "completion"), _TEXT)
    | dict.fromkeys(("prompt_tokens", "completion_tokens"), pa.int64()),
    ("report_id", "task"),
    {},
)
SCORES = Contract(
    "scores",
    dict.fromkeys(("task", "source", "reference", "policy", "label", "metric"), _TEXT)
    | dict.fromkeys(("value", "low", "high"), pa.float64())
    | dict.fromkeys(("n_reports", "n_patients", "n_positive"), pa.int64()),
    ("task", "source", "reference", "policy", "label", "metric"),
    {},
)
# One row per wrong decision; no wording of a report, so that the table may leave the house where the reports may not.
ERRORS = Contract(
    "errors",
    dict.fromkeys(("report_id", "task", "code", "source", "kind", "curated", "predicted", "status", "fate"), _TEXT)
    | dict.fromkeys(("negation", "hedge", "comparison", "device", "rare_word", "long_report"), pa.bool_()),
    ("report_id", "task", "code", "source"),
    {"status": STATUSES, "kind": ("miss", "invention"), "fate": ("corrected", "shared", "added")},
)
CONTRACTS = {c.name: c for c in (REPORTS, LABELS, PREDICTIONS, INSTRUCTIONS, SCORES, ERRORS)}


def check(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return `frame` with the contract's columns in order, or refuse it by name.

    Raises
    ------
    RadbookError
        For a missing or unknown column, a value of the wrong type or outside the allowed set, a finding that is none
        (an unknown key, no code, no `Presence`), or a duplicate key.

    Examples
    --------
    >>> check(pd.DataFrame({"report_id": ["1"]}), LABELS)
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: table labels lacks the columns source, task, findings, status, note
    """
    missing = [c for c in contract.columns if c not in frame]
    if missing:
        raise RadbookError(f"table {contract.name} lacks the columns {', '.join(missing)}")
    unknown = [c for c in frame if c not in contract.columns]
    if unknown:
        raise RadbookError(f"table {contract.name} has columns it does not know: {', '.join(map(str, unknown))}")
    frame = frame[list(contract.columns)]
    _to_arrow(frame, contract)
    if contract.columns.get("findings") == _FINDINGS:
        # Arrow drops a key it does not know and fills one that is lacking: a misspelled presence would vanish from the scores.
        for row, (report, findings) in enumerate(zip(frame["report_id"], frame["findings"], strict=True)):
            for wrong in filter(None, map(flaw, findings)):
                raise RadbookError(
                    f"table {contract.name}, column findings: row {row} (report {report!r}) holds {wrong}"
                )
    for column, allowed in contract.allowed.items():
        bad = ~frame[column].isin(allowed)
        if bad.any():
            row = frame[bad].iloc[0]
            raise RadbookError(
                f"table {contract.name}, column {column}: {row[column]!r} (row {bad.to_numpy().argmax()}) "
                f"is none of {', '.join(allowed)}"
            )
    twice = frame.duplicated(list(contract.key))
    if twice.any():
        row = frame[twice].iloc[0]
        key = ", ".join(f"{k}={row[k]!r}" for k in contract.key)
        raise RadbookError(f"table {contract.name} has the key {key} twice (again in row {twice.to_numpy().argmax()})")
    return frame


def check_reports(reports: pd.DataFrame) -> None:
    """Refuse a table that a labeler cannot take, before anything is read or paid: it needs text ids, each once, and texts.

    A text may be missing: a labeler says of that report that it is empty.

    >>> check_reports(pd.DataFrame({"report_id": [7], "text": ["Clear lungs."]}))
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: table reports, column report_id: row 0 holds 7 (expected string): use astype(str)
    """
    given = reports.filter(items=list(_TO_LABEL.columns))
    if "text" in given:
        given = given.assign(text=given["text"].astype(object).fillna(""))
    check(given, _TO_LABEL)


def write_table(frame: pd.DataFrame, path: str | Path, contract: Contract) -> Path:
    """Check `frame` and write it to `path` as Parquet, all or nothing."""
    path = Path(path)
    table = _to_arrow(check(frame, contract), contract)
    with replacing(path) as partial:
        pq.write_table(table, partial)
    return path


def read_table(path: str | Path, contract: Contract) -> pd.DataFrame:
    """Read a table written by `write_table` and check it again; lists of findings come back as lists of dicts.

    Raises
    ------
    RadbookError
        Naming the path, if nothing is there, it is no Parquet file, or it breaks the contract.
    """
    path = Path(path)
    if not path.exists():
        raise RadbookError(f"{path} does not exist: run the chapter that writes the {contract.name} table first")
    try:
        table = pq.read_table(path)
        frame = table.to_pandas()
        if contract.columns.get("findings") == _FINDINGS and "findings" in frame:
            frame["findings"] = table["findings"].to_pylist()  # pandas would turn missing offsets into NaN
        return check(frame, contract)
    except (OSError, pa.ArrowException, RadbookError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise RadbookError(
            f"{path} cannot be used: {reason}; delete it and run the chapter that writes the {contract.name} table again"
        ) from None


def _to_arrow(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    columns = []
    for name, kind in contract.columns.items():
        where = f"table {contract.name}, column {name}: row"
        values = _column(frame[name].tolist(), kind, where)
        if values.null_count and name not in _MAY_LACK:
            raise RadbookError(f"{where} {values.is_null().index(True)} has no value")
        columns.append(values)
    return pa.table(columns, names=list(contract.columns))


def _column(values: list, kind: pa.DataType, where: str) -> pa.Array:
    with suppress(*_MISFIT):
        return pa.array(values, type=kind, from_pandas=True)
    # Arrow names no row: the first value that does not fit alone is the one.
    for row, value in enumerate(values):
        try:
            pa.array([value], type=kind, from_pandas=True)
        except UnicodeEncodeError as error:
            raise RadbookError(
                f"{where} {row} holds half of a character ({error.object[error.start]!r}), which UTF-8 cannot write: read "
                "the file in its own encoding, or drop it with .encode('utf-8', 'ignore').decode()"
            ) from None
        except _MISFIT as error:
            if kind == _TEXT:
                raise RadbookError(f"{where} {row} holds {value!r:.60} (expected {kind}): use astype(str)") from None
            raise RadbookError(f"{where} {row}: {error} (expected {kind})") from None
