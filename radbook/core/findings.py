"""What is said of a finding: present, uncertain or absent, from strongest to weakest, and how a `labels` row holds it.

A report may speak of one thing twice; then the strongest statement counts, and among equals the first.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

import pyarrow as pa

__all__ = ["FINDING", "STRENGTH", "Presence", "finding", "flaw", "label_row", "strongest"]

Key = TypeVar("Key")
Entry = TypeVar("Entry", bound=Mapping)


class Presence(StrEnum):
    """What a report says of a finding, the strongest first."""

    PRESENT = "present"
    UNCERTAIN = "uncertain"
    ABSENT = "absent"


STRENGTH = {presence: rank for rank, presence in enumerate(reversed(Presence))}

FINDING = pa.struct(
    dict.fromkeys(("code", "presence", "phrase"), pa.string())
    | dict.fromkeys(("start", "end"), pa.int64())
    | {"rule": pa.string()}
)

_KEYS = frozenset(FINDING.names)


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


def flaw(entry: object) -> str:
    """Say what is wrong with an entry that should be a finding; "" where nothing is.

    >>> flaw(finding("Edema")), flaw({"code": "Edema", "presence": "Present"})
    ('', "'Edema' with the presence 'Present', which is none of present, uncertain, absent")
    """
    if not isinstance(entry, dict):
        return f"{entry!r:.60}, which is no finding: build it with finding(code, presence)"
    if not entry.keys() <= _KEYS:
        unknown = ", ".join(str(key) for key in entry if key not in _KEYS)
        return f"a finding with the unknown keys {unknown}: its keys are {', '.join(FINDING.names)}"
    if not isinstance(entry.get("code"), str):
        return "a finding without a code"
    if entry.get("presence") not in STRENGTH:
        return f"{entry['code']!r} with the presence {entry.get('presence')!r}, which is none of {', '.join(Presence)}"
    return ""


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


def strongest(said: Iterable[tuple[Key, Entry]]) -> dict[Key, Entry]:
    """Keep, of the entries under each key, the one whose "presence" is strongest; among equals the first.

    >>> strongest([("J90", finding("J90", "absent")), ("J90", finding("J90", "uncertain"))])["J90"]["presence"]
    'uncertain'
    """
    best: dict[Key, Entry] = {}
    for key, entry in said:
        if key not in best or STRENGTH[entry["presence"]] > STRENGTH[best[key]["presence"]]:
            best[key] = entry
    return best
