"""The items of a list of findings, as the two tasks write and read them: "Edema", or "scoliosis (M41.9)".

What an item says besides its name ("no ...", "possible ...", "none") is read as in a label column, by
`radbook.corpora.label_names`.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from radbook.core.findings import Presence
from radbook.core.ontology import FINDINGS
from radbook.corpora.label_names import category_of, folded, sense
from radbook.icd10 import descriptor, is_leaf, map_phrase, normalize_code

if TYPE_CHECKING:
    from radbook.tasks.task import Task

__all__ = ["EDGES", "Item", "Read", "read_choice", "read_item", "read_open", "short", "write_open"]

EDGES = " \t\"'`*.:-\u2022\u2013"  # quotes, bullets and stops around an item
MAX_WORDS = 8  # evidence longer than this is no "shortest phrase": the standard name is written instead
_CODE = r"[A-Za-z]\s*\d\s*[0-9A-Za-z](?:\s*\.?\s*[0-9A-Za-z]){0,4}"
_CODED = re.compile(
    rf"(?:^|(?P<phrase>.*?)(?:\s*\(|\s*[:=]\s*|\s+[-\u2013]\s+))\s*(?P<code>{_CODE})\s*\)?", re.S
)
# Words in brackets behind a category that turn it around or doubt it: "Edema (absent)".
_TURNS = re.compile(
    r"\b(no|not|none|absent|negative|excluded|resolved|ruled|possibl[ey]|probabl[ey]|likely|suspected|questionable)\b|\?", re.I
)

# Reads the name in an item, told whether it stood outside brackets: (code or None, phrase, remark if it was repaired).
Read = Callable[[str, bool], tuple[str | None, str | None, str]]


class Item(NamedTuple):
    """What one item says: a finding (`code`), that there is none (`nothing`), or neither; and notes on what was changed."""

    code: str | None = None
    phrase: str | None = None
    presence: Presence = Presence.PRESENT
    nothing: bool = False
    notes: tuple[str, ...] = ()


def read_item(text: str, task: "Task", *, strict: bool = False) -> Item:
    """Read one item; a denied or unknown one is left out, and its note says so.

    >>> from radbook.tasks import CHOICE
    >>> read_item("possible edema", CHOICE).presence, read_item("no edema", CHOICE).notes
    (<Presence.UNCERTAIN: 'uncertain'>, ("negated item 'no edema' left out",))
    """
    item = re.sub(r"\s+", " ", text).strip(EDGES)
    presence, bare = sense(item)
    if presence is None or folded(item) == task.empty.lower():
        return Item(nothing=True)
    if presence == Presence.ABSENT:
        return Item(notes=(f"negated item {short(item)} left out",))
    code, phrase, remark = task.read(bare, strict)
    if code is None:
        return Item(notes=(f"unknown item {short(item)} left out",))
    hedge = f"hedged item {short(item)} read as uncertain" if presence == Presence.UNCERTAIN else ""
    return Item(code, phrase, presence, notes=tuple(filter(None, (remark, hedge))))


def short(item: str) -> str:
    """Quote an item in a note, cut to 40 characters."""
    return repr(item if len(item) <= 40 else item[:37] + "...")


def read_choice(item: str, strict: bool) -> tuple[str | None, str | None, str]:
    """Read one item of the choice task as (category, None, remark); in prose (`strict`) no otherwise than in brackets."""
    name, _, aside = item.partition("(")
    category = None if _TURNS.search(aside) else category_of(name)
    if category is None or folded(item) == category.lower():
        return category, None, ""
    return category, None, f"{short(item)} read as {category}"


def _standard_name(code: str) -> str:
    described = re.split(r"[,;()\[\]]", descriptor(code) or code)[0].strip().lower()
    return next((known.name for known in FINDINGS.values() if known.icd10 == code), described)


def write_open(entry: dict) -> str:
    """Write one finding of the open task: its phrase, or its standard name where the phrase will not do, and its code."""
    phrase = " ".join((entry["phrase"] or "").split()).strip(EDGES)
    unsafe = not re.search(r"\w", phrase) or re.search(r"[\[\](),;?=]|XXXX", phrase)
    if unsafe or len(phrase.split()) > MAX_WORDS or sense(phrase)[0] != Presence.PRESENT:
        phrase = _standard_name(entry["code"])
    return f"{phrase} ({entry['code']})"


def read_open(item: str, strict: bool) -> tuple[str | None, str | None, str]:
    """Read one item of the open task as (code, phrase, remark)."""
    coded = _CODED.fullmatch(item)
    phrase = (coded["phrase"] or "" if coded else re.sub(r"\s*\(.*$", "", item)).strip(EDGES)
    raw = re.sub(r"\s+", "", coded["code"]) if coded else ""
    code = normalize_code(raw) if raw else None
    if code and is_leaf(code):
        return code, phrase or None, "" if phrase else f"{code} without a phrase"
    # Prose outside brackets may mention anything: there, only a stated code counts.
    mapped = None if strict or not phrase or len(phrase) > 100 else map_phrase(phrase)
    if mapped is None:
        return None, None, ""
    reason = f" ({raw.upper()} is no valid leaf code)" if raw else ""
    return mapped, phrase, f"{short(item)} coded {mapped}{reason}"
