"""The tables that chapters hand to each other: their columns, types and keys, checked on the way in and out.

A `Contract` names every column with its pandas kind and the key that must be unique.
`check` refuses a frame that breaks it, naming the column or the first bad row; `write_table` checks, then writes Parquet
atomically (to a temporary name, then moved into place), so a killed process never leaves half a table.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radbook.errors import RadbookError

__all__ = [
    "CONTRACTS",
    "ERRORS",
    "INSTRUCTIONS",
    "LABELS",
    "PREDICTIONS",
    "REPORTS",
    "SCORES",
    "Contract",
    "Presence",
    "check",
    "finding",
    "label_row",
    "present_codes",
    "read_table",
    "write_table",
]


class Presence(StrEnum):
    """What a report says of a finding."""

    PRESENT = "present"
    UNCERTAIN = "uncertain"
    ABSENT = "absent"


SPLITS = ("train", "dev", "test")
STATUSES = ("ok", "repaired", "failed")
TASKS = ("choice", "open")

FINDING = pa.struct(
    [
        ("code", pa.string()),
        ("presence", pa.string()),
        ("phrase", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("rule", pa.string()),
    ]
)


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
LABELS = Contract("labels", _LABEL_COLUMNS, ("report_id", "source", "task"), {"task": TASKS, "status": STATUSES})
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
    {"task": TASKS},
)
SCORES = Contract(
    "scores",
    {
        **{c: _TEXT for c in ("task", "source", "reference", "policy", "label", "metric")},
        **{c: pa.float64() for c in ("value", "low", "high")},
        **{c: pa.int64() for c in ("n_reports", "n_patients", "n_positive")},
    },
    ("task", "source", "reference", "policy", "label", "metric"),
    {"task": TASKS},
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
        "task": TASKS,
        "status": STATUSES,
        "kind": ("miss", "invention"),
        "fate": ("corrected", "shared", "added"),
    },
)
CONTRACTS = {c.name: c for c in (REPORTS, LABELS, PREDICTIONS, INSTRUCTIONS, SCORES, ERRORS)}


def finding(
    code: str,
    presence: Presence | str = Presence.PRESENT,
    *,
    phrase: str | None = None,
    start: int | None = None,
    end: int | None = None,
    rule: str | None = None,
) -> dict[str, object]:
    """Build one finding of a `labels` row.

    >>> finding("Edema", phrase="pulmonary edema", start=4, end=19)["presence"]
    'present'
    """
    return {
        "code": code,
        "presence": str(Presence(presence)),
        "phrase": phrase,
        "start": start,
        "end": end,
        "rule": rule,
    }


def label_row(
    report_id: str, source: str, task: str, findings: list[dict], *, status: str = "ok", note: str = ""
) -> dict[str, object]:
    """Build one row of a `labels` table; `note` says why where status is not "ok"."""
    return {
        "report_id": report_id,
        "source": source,
        "task": task,
        "findings": findings,
        "status": status,
        "note": note,
    }


def present_codes(labels: pd.DataFrame, *, width: int | None = None) -> dict[str, set[str]]:
    """Return the codes, cut to `width` characters, that rows of one task say are present; failed rows say nothing.

    >>> present_codes(pd.DataFrame([label_row("a", "rules", "open", [finding("J81.1"), finding("J90", "absent")])]), width=3)
    {'a': {'J81'}}
    """
    return {
        row.report_id: {f["code"][:width] for f in row.findings if f["presence"] == Presence.PRESENT}
        for row in labels.itertuples()
        if row.status != "failed"
    }


def check(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return `frame` with the contract's columns in order, or refuse it by name.

    Raises
    ------
    RadbookError
        For a missing or unknown column, a value of the wrong type, a value outside the allowed set, or a duplicate key.

    Examples
    --------
    >>> check(pd.DataFrame({"report_id": ["1"]}), LABELS)
    Traceback (most recent call last):
        ...
    radbook.errors.RadbookError: table labels lacks the columns source, task, findings, status, note
    """
    missing = [c for c in contract.columns if c not in frame]
    if missing:
        raise RadbookError(f"table {contract.name} lacks the columns {', '.join(missing)}")
    unknown = [c for c in frame if c not in contract.columns]
    if unknown:
        raise RadbookError(f"table {contract.name} has columns it does not know: {', '.join(map(str, unknown))}")
    frame = frame[list(contract.columns)]
    _to_arrow(frame, contract)
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


def write_table(frame: pd.DataFrame, path: str | Path, contract: Contract) -> Path:
    """Check `frame` and write it to `path` as Parquet, all or nothing."""
    path = Path(path)
    table = _to_arrow(check(frame, contract), contract)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, partial)
    os.replace(partial, path)
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


def _to_arrow(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    columns = []
    for name, kind in contract.columns.items():
        try:
            columns.append(pa.array(frame[name].tolist(), type=kind, from_pandas=True))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise RadbookError(f"table {contract.name}, column {name}: {error} (expected {kind})") from None
    nulls = [
        (k, a.is_null().index(True).as_py()) for k, a in zip(contract.columns, columns, strict=True)
        if a.null_count and k not in ("value", "low", "high", "reply", "note")
    ]
    if nulls:
        column, row = nulls[0]
        raise RadbookError(f"table {contract.name}, column {column}: row {row} has no value")
    return pa.table(columns, schema=contract.schema)
