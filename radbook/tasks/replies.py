"""Read any reply to a task: a list in square brackets, as good as the model could write it.

Whatever the string, the parser returns what it could read, says how sure it was (ok, repaired, failed), and notes every
item it changed or left out. `Task.parse` is the way in.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from radbook.tasks.grounding import locate
from radbook.tasks.list_items import EDGES, Item, read_item, short

if TYPE_CHECKING:
    from radbook.tasks.task import Task

__all__ = ["gather", "parse_reply"]

_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_ITEM_BREAK = re.compile(r"[,;\n](?![^()\n]*\))")  # not inside parentheses
_EVIDENCE = re.compile(r"^[\s\-*\u2022]*(?P<name>[^:\n]{3,40}?)\s*:\s*(?P<quote>\S.*)$")
_CUE = re.compile(r"^\s*(findings|answer|response)\s*:\s*", re.I)
_MOST_LINES = 20  # of a reply without brackets, looked at for a list

Items = tuple[list[dict], list[str]]  # findings, and notes on what was changed


def parse_reply(task: "Task", reply: str, text: str | None) -> tuple[list[dict], str, str]:
    """Return findings, status and note of a reply, as `Task.parse` describes them."""
    for match in _BRACKETED.finditer(reply):
        items = _read_items(task, match[1], text, strict=False)
        if items is not None:
            return _finish(task, items, reply[: match.start()], reply[match.end() :], text)
    if _BRACKETED.search(reply):
        listed = ", ".join(m[1].strip() for m in _BRACKETED.finditer(reply))
        return [], "failed", f"nothing in the list is known: {short(listed)}"
    before, opened, inside = reply.partition("[")
    lines = reply.splitlines()
    pieces = [(before, inside, "")] if opened else [
        ("\n".join(lines[:i]), line, "\n".join(lines[i + 1 :])) for i, line in enumerate(lines[:_MOST_LINES])
    ]  # fmt: skip
    for before, piece, after in pieces:
        piece = _CUE.sub("", piece).strip("[] ")
        items = _read_items(task, piece, text, strict=not opened) if piece else None
        if items is not None:
            return _finish(task, (items[0], ["missing bracket", *items[1]]), before, after, text)
    return [], "failed", "no bracketed list and no known name"


def _read_items(task: "Task", inside: str, text: str | None, *, strict: bool) -> Items | None:
    """Read the items of one list; None if it holds items and not one of them is known."""
    pieces = [raw for raw in _ITEM_BREAK.split(inside) if raw.strip(EDGES + "\n")]
    items = [read_item(raw, task, strict=strict) for raw in pieces]
    findings, notes = gather(task, items, text)
    empty = not inside.strip() or any(item.nothing for item in items)
    if not findings and (not empty or notes):
        return None
    if not findings and not inside.strip():
        notes.append(f"empty list read as {task.empty}")
    return findings, notes


def gather(task: "Task", items: Iterable[Item], text: str | None) -> Items:
    """Return the findings that items name, each code once, and notes on what was changed or left out."""
    found: dict[str, dict] = {}
    notes: list[str] = []
    nothing = False
    for item in items:
        nothing = nothing or item.nothing
        if item.code in found:
            notes.append(f"{item.code} named twice")
            continue
        if item.code:
            found[item.code] = locate(item.code, item.phrase, text, presence=item.presence)
        notes += item.notes
    if found and nothing:
        notes.append(f"{task.empty} left out beside findings")
    return list(found.values()), notes


def _finish(task: "Task", items: Items, before: str, after: str, text: str | None) -> tuple[list[dict], str, str]:
    """Add the evidence that stands below the list, and note prose around it."""
    findings, notes = items
    prose = bool(re.search(r"\w", before))
    for line in after.splitlines():
        match = _EVIDENCE.match(line) if task.quotes else None
        name = match["name"].strip().lower() if match else ""
        quoted = next((i for i, f in enumerate(findings) if f["code"].lower() == name), None)
        if quoted is None:
            prose = prose or bool(re.search(r"\w", line))
        else:
            quote, old = match["quote"].strip(" \"'"), findings[quoted]
            findings[quoted] = locate(old["code"], quote, text, presence=old["presence"])
    if prose:
        notes.append("extra prose beside the list")
    return sorted(findings, key=task.order), "repaired" if notes else "ok", "; ".join(notes)
