"""The tables that chapters hand to each other: their columns, types and keys, checked on the way in and out.

A `Contract` names every column with its pandas kind and the key that must be unique.
`check` refuses a frame that breaks it, naming the column or the first bad row; `write_table` checks, then writes Parquet
all or nothing, so that a killed process never leaves half a table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radbook.core.errors import RadbookError
from radbook.core.files import replacing
from radbook.core.findings import FINDING, flaw

__all__ = [
    "CONTRACTS",
    "ERRORS",
    "INSTRUCTIONS",
    "LABELS",
    "PREDICTIONS",
    "REPORTS",
    "SCORES",
    "Contract",
    "check",
    "check_reports",
    "read_table",
    "write_table",
]

SPLITS = ("train", "dev", "test")
STATUSES = ("ok", "repaired", "failed")


@dataclass(frozen=True)
class Contract:
    """One table: its name, the Arrow type of each column, and the columns whose combination is unique."""

    name: str
    columns: Mapping[str, pa.DataType]
    key: tuple[str, ...]
    allowed: Mapping[str, tuple[str, ...]]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(list(self.columns.items()))


_TEXT = pa.string()
_LABEL_COLUMNS = {
    "report_id": _TEXT,
    "source": _TEXT,
    "task": _TEXT,
    "findings": pa.list_(FINDING),
    "status": _TEXT,
    "note": _TEXT,
}

REPORTS = Contract(
    "reports",
    {c: _TEXT for c in ("report_id", "patient_id", "text", "findings", "impression", "split", "corpus")},
    ("report_id",),
    {"split": SPLITS},
)
LABELS = Contract("labels", _LABEL_COLUMNS, ("report_id", "source", "task"), {"status": STATUSES})
PREDICTIONS = Contract("predictions", {**_LABEL_COLUMNS, "reply": _TEXT}, LABELS.key, LABELS.allowed)
INSTRUCTIONS = Contract(
    "instructions",
    {
        "report_id": _TEXT,
        "task": _TEXT,
        "source": _TEXT,
        "prompt": _TEXT,
        "completion": _TEXT,
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
    },
    ("report_id", "task"),
    {},
)
SCORES = Contract(
    "scores",
    {
        **{c: _TEXT for c in ("task", "source", "reference", "policy", "label", "metric")},
        **{c: pa.float64() for c in ("value", "low", "high")},
        **{c: pa.int64() for c in ("n_reports", "n_patients", "n_positive")},
    },
    ("task", "source", "reference", "policy", "label", "metric"),
    {},
)
# One row per wrong decision; no wording of a report, so that the table may leave the house where the reports may not.
ERRORS = Contract(
    "errors",
    {
        **{c: _TEXT for c in ("report_id", "task", "code", "source", "kind", "curated", "predicted", "status", "fate")},
        **{c: pa.bool_() for c in ("negation", "hedge", "comparison", "device", "rare_word", "long_report")},
    },
    ("report_id", "task", "code", "source"),
    {
        "status": STATUSES,
        "kind": ("miss", "invention"),
        "fate": ("corrected", "shared", "added"),
    },
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
    if contract.columns.get("findings") == pa.list_(FINDING):
        _check_findings(frame, contract)
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
        raise RadbookError(f"table {contract.name} has the key {key} twice")
    return frame


def check_reports(reports: pd.DataFrame) -> None:
    """Refuse a table that a labeler cannot take, before anything is read or paid: it needs text ids, each once, and texts.

    A text may be missing: a labeler says of that report that it is empty.

    >>> check_reports(pd.DataFrame({"report_id": [7], "text": ["Clear lungs."]}))
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: table reports, column report_id: row 0 holds 7 (expected string): use astype(str)
    """
    lacking = [c for c in ("report_id", "text") if c not in reports]
    if lacking:
        raise RadbookError(f"table reports lacks the columns {', '.join(lacking)}")
    ids, _ = (_column(reports, name, _TEXT, "reports") for name in ("report_id", "text"))
    if ids.null_count:
        raise RadbookError(f"table reports, column report_id: row {_first_null(ids)} has no value: give every report an id")
    twice = reports["report_id"].duplicated().to_numpy()
    if twice.any():
        row = twice.argmax()
        raise RadbookError(
            f"table reports has the report_id {ids[row].as_py()!r} twice (again in row {row}): keep one of them, or give "
            "the other an id of its own"
        )


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
        if any(field.name == "findings" and _holds_findings(field.type) for field in table.schema):
            frame["findings"] = [[_plain(f) for f in row] for row in frame["findings"]]
        return check(frame, contract)
    except (OSError, pa.ArrowException, RadbookError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise RadbookError(
            f"{path} cannot be used: {reason}; delete it and run the chapter that writes the {contract.name} table again"
        ) from None


def _holds_findings(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)


def _plain(entry: Mapping) -> dict[str, object]:
    # Arrow hands missing integers back as NaN when a column holds both; offsets are integers or None.
    return {k: (None if v is None or v != v else int(v) if k in ("start", "end") else v) for k, v in entry.items()}


def _check_findings(frame: pd.DataFrame, contract: Contract) -> None:
    # Arrow drops a key it does not know and fills one that is lacking: a misspelled presence would vanish from every score.
    for row, findings in enumerate(frame["findings"]):
        for wrong in filter(None, map(flaw, findings)):
            report = frame["report_id"].iloc[row]
            raise RadbookError(f"table {contract.name}, column findings: row {row} (report {report!r}) holds {wrong}")


def _to_arrow(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    columns = [_column(frame, name, kind, contract.name) for name, kind in contract.columns.items()]
    for name, values in zip(contract.columns, columns, strict=True):
        if values.null_count and name not in ("value", "low", "high", "reply", "note"):
            raise RadbookError(f"table {contract.name}, column {name}: row {_first_null(values)} has no value")
    return pa.table(columns, schema=contract.schema)


def _first_null(values: pa.Array) -> int:
    return values.is_null().index(True).as_py()


def _column(frame: pd.DataFrame, name: str, kind: pa.DataType, table: str) -> pa.Array:
    values = frame[name].tolist()
    try:
        return pa.array(values, type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        row, value, error = next(_misfits(values, kind))
    where = f"table {table}, column {name}: row {row}"
    if isinstance(error, UnicodeEncodeError):
        raise RadbookError(
            f"{where} holds half of a character ({error.object[error.start]!r}), which UTF-8 cannot write: read the file "
            "in its own encoding, or drop it with .encode('utf-8', 'ignore').decode()"
        )
    if kind == _TEXT:
        raise RadbookError(f"{where} holds {value!r:.60} (expected {kind}): use astype(str)")
    raise RadbookError(f"{where}: {error} (expected {kind})")


def _misfits(values: list, kind: pa.DataType) -> Iterator[tuple[int, object, Exception]]:
    for row, value in enumerate(values):
        try:
            pa.array([value], type=kind, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            yield row, value, error
