"""Read any reply to a task: a list in brackets, in lines or in JSON, as good as the model could write it.

Whatever the string, the parser returns what it could read, says how sure it was (ok, repaired, failed), and notes every
item it changed or left out. `Task.parse` is the way in.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from radbook.core.files import encodable
from radbook.core.findings import Presence
from radbook.tasks.grounding import locate
from radbook.tasks.list_items import EDGES, Item, read_item, short, verdict

if TYPE_CHECKING:
    from radbook.tasks.task import Task

__all__ = ["parse_reply"]

_TAG = r"[<\[\u25c1]\s*{}(?:think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad)\s*[>\]\u25b7]"
_BEGIN, _END = (re.compile(_TAG.format(slash), re.I) for slash in ("", r"/\s*"))
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_ITEM_BREAK = re.compile(r"[,;\n](?![^()\n]*\))|(?<=\)) (?:and|&) |\s\u2022\s")  # not inside parentheses
_AND = re.compile(r"\s*(?:\band\b|&|\|)\s*", re.I)
_BULLET = re.compile(r"\s*(?:[-*+\u2022\u2013\u25cf\u25aa]|\W?(?:\d{1,3}|[A-Za-z])[.):])\s+\S")
_EVIDENCE = re.compile(r"^[\s\-*\u2022]*(?P<name>[^:\n]{3,40}?)\s*:\s*(?P<quote>\S.*)$")
_CUE = re.compile(r"^\W*(?:(?:final|my|the|positive|present) )*(findings|answer|response|labels|categories|list)\W*:\s*", re.I)
_HEAD = re.compile(r"(?:^|[.!?]\s)\W*(\w+(?:\W+\w+){0,2})\W*$")  # at most three words before a list, or on a line alone

Items = tuple[list[dict], list[str]]  # findings, and notes on what was changed


def parse_reply(task: "Task", reply: str, text: str | None) -> tuple[list[dict], str, str]:
    """Return findings, status and note of a reply, as `Task.parse` describes them."""
    answer = _answer(reply)
    skipped = ["reasoning before the list"] if answer != reply else []
    items = _from_json(task, answer)
    if isinstance(items, str):
        return [], "failed", items
    if items is not None:
        found = _gather(task, items, text)
        if found is None:
            return [], "failed", "; ".join(note for item in items for note in item.notes)
        return _finish(task, found[0], [*skipped, *found[1]])
    before, opened, inside = answer.rpartition("[") if "]" not in answer else ("", "", "")
    if opened and inside.strip("[ \n"):
        answer, skipped = f"{before.rstrip('[')}[{inside}]", [*skipped, "missing bracket"]
    lists = _BRACKETED.findall(answer)
    items, quotes, more = _from_lines(task, answer, bool(lists))
    found = _gather(task, items, text, listed=lists)
    if found is None and lists:
        return [], "failed", f"nothing in the list is known: {short(', '.join(inside.strip() for inside in lists))}"
    if found is None:
        return [], "failed", "no bracketed list and no known name"
    findings, notes = found
    for n, entry in enumerate(findings):
        if entry["code"] in quotes:
            findings[n] = locate(entry["code"], quotes[entry["code"]], text, presence=entry["presence"])
    lacking = [f"evidence for {code}, which the list lacks" for code in quotes if code not in {f["code"] for f in findings}]
    return _finish(task, findings, [*skipped, *([] if lists else ["missing bracket"]), *notes, *lacking, *more])


def _answer(reply: str) -> str:
    """Return a reply without the blocks in which a model thinks aloud, also where only their end or their begin is there.

    >>> _answer("<think>Maybe [Pneumonia]?</think>[Edema]"), _answer("[Pneumonia]?</think> [Edema]"), _answer("[Edema]<think>So")
    ('[Edema]', ' [Edema]', '[Edema]')
    """
    reply = reply.rpartition("<|channel|>final<|message|>")[2]
    while end := _END.search(reply):
        begins = [begin.start() for begin in _BEGIN.finditer(reply, 0, end.start())]
        reply = reply[: begins[0] if begins else 0] + reply[end.end() :]
    begin = _BEGIN.search(reply)
    return reply[: begin.start()] if begin else reply


def _from_json(task: "Task", reply: str) -> list[Item] | str | None:
    """Return the items of a JSON answer, None where the reply is none, or what is wrong with it."""
    first = re.search(r"[{\[]", reply)
    if first is None or not re.match(r"\{|\[\s*\{", reply[first.start() :]):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(reply[first.start() :])
        # An escape such as "\ud83d" becomes half a character only here.
        found = json.loads(encodable(json.dumps(found, ensure_ascii=False)))
        items = list(_json_items(task, found))
    except (ValueError, RecursionError):  # a plain object in other quotes is read as a line
        return None if re.match(r"\{[^{}\[\]]*\}", reply[first.start() :]) else "the reply is not valid JSON"
    empty = isinstance(found, dict) and found.get("findings") == []
    return items or ([Item(nothing=True)] if empty else "the JSON of the reply has no list 'findings'")


def _json_items(task: "Task", found: object) -> Iterator[Item]:
    """Read what stands in JSON: names, objects with a quote and a code, and answers by name (`{"Edema": true}`)."""
    if isinstance(found, list):
        read: set[str | None] = {None}
        for item in (said for entry in found for said in _json_items(task, entry)):
            if item.code not in read or item.code is None:  # two phrases may share a code; the first one stands
                yield item
            read.add(item.code)
        return
    fields = found if isinstance(found, dict) else {}
    texts = {key: value.strip() for key, value in fields.items() if isinstance(value, str)}
    quote, code = texts.get("quote", ""), texts.get(task.attribute, "")
    written = code if task.codes else f"{quote} ({code})" if code else quote
    if isinstance(found, str) or written:
        said = read_item(found if isinstance(found, str) else written, task)
        # A hedge is no part of the phrase that its code has to name.
        yield said._replace(phrase=(quote if said.presence == Presence.PRESENT else said.phrase) or quote or said.phrase)
    elif not fields:
        yield Item(notes=(f"unknown item {json.dumps(found, ensure_ascii=False)[:60]} left out",))
    for key, value in fields.items() if not written else ():
        if key == "findings":
            yield from _json_items(task, value)
        elif isinstance(value, list):  # a list by the answer to it: {"present": ["Edema"], "absent": [...]}
            yield from (read_item(str(name), task, said=verdict(key)) for name in value)
        else:
            told = next(iter(value.values()), None) if isinstance(value, dict) else value
            yield read_item(f"{key}: {told}", task)


def _from_lines(task: "Task", answer: str, bracketed: bool) -> tuple[list[Item], dict[str, str], list[str]]:
    """Read the lists of an answer, line by line: their items, the evidence below them by code, and notes on the rest."""
    items: list[Item] = []
    quotes: dict[str, str] = {}
    notes: list[str] = []
    prose, said = False, None
    answer = _BRACKETED.sub(lambda match: match[0].replace("\n", ","), answer)
    for line in filter(str.strip, answer.splitlines()):
        match = _EVIDENCE.match(line) if task.quotes and items else None
        code = task.read(match["name"].strip(EDGES), True)[0] if match else None
        read = _pieces(task, _CUE.sub("", line).strip("[] "), strict=True, said=said)
        known = any(item.code or item.nothing or item.denied for item in read)
        head = _HEAD.search(line) if line.rstrip("*_ ").endswith(":") and not known else None
        if code and code not in quotes and (bracketed or not known or len(read) > 1):
            quotes[code] = match["quote"].strip(" \"'")
        elif head:
            said, prose = verdict(head[1]), prose or bracketed
        elif bracketed and (lists := list(_BRACKETED.finditer(line))):
            end = 0
            for found in lists:
                before = _HEAD.search(line[end : found.start()])
                items += _pieces(task, found[1], said=(verdict(before[1]) if before else None) or said)
                end = found.end()
            prose = prose or bool(re.search(r"\w", _BRACKETED.sub("", line)))
        elif bracketed:
            notes += [f"{short(line.strip())} left out beside the list"] if known else []
            prose = prose or bool(re.search(r"\w", line))
        elif known or _BULLET.match(line) or (len(line.split()) < 5 and line.rstrip()[-1] not in ".!?:"):
            items += read
        else:
            prose = prose or bool(re.search(r"\w", line))
    return items, quotes, [*notes, *(["extra prose beside the list"] if prose else [])]


def _pieces(task: "Task", inside: str, *, strict: bool = False, said: Presence | None = None) -> list[Item]:
    items = []
    for raw in filter(lambda raw: raw.strip(EDGES + "\n"), _ITEM_BREAK.split(inside)):
        item = read_item(raw, task, strict=strict, said=said)
        parts = [part for part in _AND.split(raw) if part.strip(EDGES)]
        if item.code is None and not item.nothing and not item.denied and _AND.search(raw) and verdict(raw) != Presence.ABSENT:
            each = [read_item(part, task, strict=strict, said=verdict(raw) or said) for part in parts]
            items += each if all(one.code for one in each) else [item]
        else:
            items.append(item)
    return items


def _gather(task: "Task", items: Iterable[Item], text: str | None, *, listed: list[str] | None = None) -> Items | None:
    """Return the findings that items name, each code once, and notes on what was changed or left out.

    None if there are items and none of them is known; a list of names, all of them denied, says that there is nothing.
    """
    items = list(items)
    found: dict[str, dict] = {}
    notes: list[str] = []
    for item in items:
        if item.code in found:
            notes.append(f"{item.code} named twice")
            continue
        if item.code:
            found[item.code] = locate(item.code, item.phrase, text, presence=item.presence)
        notes += item.notes
    nothing = any(item.nothing for item in items)
    if found and nothing:
        notes.append(f"{task.empty} left out beside findings")
    if not items and listed:
        notes.append(f"empty list read as {task.empty}")
    known = found or (nothing and not notes) or (items and all(item.denied for item in items)) or (not items and listed)
    return (list(found.values()), notes) if known else None


def _finish(task: "Task", findings: list[dict], notes: list[str]) -> tuple[list[dict], str, str]:
    return sorted(findings, key=task.order), "repaired" if notes else "ok", "; ".join(notes)
