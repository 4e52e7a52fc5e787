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

__all__ = ["EDGES", "Item", "Read", "read_choice", "read_item", "read_open", "short", "verdict", "write_open"]

EDGES = " \t\"'`*.:|{}-\u2022\u2013\u201c\u201d\u201e\u2018\u2019\xab\xbb"  # quotes, bullets and stops around an item
MAX_WORDS = 8  # evidence longer than this is no "shortest phrase": the standard name is written instead
_CODE = r"[A-Za-z]\s*\d\s*[0-9A-Za-z](?:\s*\.?\s*[0-9A-Za-z]){0,4}"
_CODED = re.compile(
    rf"(?:^|(?P<phrase>.*?)(?:\s*\(|\s*[:=]\s*|\s+[-\u2013]\s+))\s*(?P<code>{_CODE})\s*\)?", re.S
)
# What is said of a name, behind it: "Edema (possible)", "Edema: yes". Doubt comes first: "not excluded" denies nothing.
_DOUBT = re.compile(
    r"\b(?:(?:can(?:not|'t|\u2019t| not)|not)(?: be)? (?:fully |entirely )?(?:excluded?|ruled? out)|possibl[ey]|probabl[ey]|"
    r"likely|suspected|suspicious|questionable|uncertain|unclear|equivocal|indeterminate|maybe|may be|might be)\b|\?", re.I
)  # fmt: skip
_DENIAL = re.compile(r"\b(?:no|not|none|null|absent|negative|false|without|excluded|resolved|ruled out|unlikely)\b|^0$", re.I)
_AFFIRMED = re.compile(r"(?:yes|true|present|positive|confirmed|1)", re.I)
_SAID = re.compile(r"(?P<name>.+?)[\"'\s]*(?::|=|\||\s[-\u2013])[\"'\s]*(?P<said>[^\s()]+(?: [^\s()]+){0,3})")
_NUMBER = re.compile(r"^\W*(?:\d{1,3}|[A-Za-z])[.):]\s+")

# Reads the name in an item, told whether it stood outside brackets: (code or None, phrase, remark if it was repaired).
Read = Callable[[str, bool], tuple[str | None, str | None, str]]


class Item(NamedTuple):
    """What one item says: a finding (`code`), that there is none (`nothing`), or neither; and notes on what was changed.

    `denied` is an answer, too: the item says "no" to a name it was asked about, as `Edema: false` does.
    """

    code: str | None = None
    phrase: str | None = None
    presence: Presence = Presence.PRESENT
    nothing: bool = False
    denied: bool = False
    notes: tuple[str, ...] = ()


def verdict(words: str) -> Presence | None:
    """Say what words about a finding make of it: doubtful, absent, or nothing that is known here.

    >>> [str(verdict(words)) for words in ("cannot be excluded", "Not present:", "mild")]
    ['uncertain', 'absent', 'None']
    """
    return Presence.UNCERTAIN if _DOUBT.search(words) else Presence.ABSENT if _DENIAL.search(words) else None


def read_item(text: str, task: "Task", *, strict: bool = False, said: Presence | None = None) -> Item:
    """Read one item, of a list that is headed by what `said` stands for; a denied or unknown one is left out and noted.

    >>> from radbook.tasks import CHOICE
    >>> read_item("Edema (possible)", CHOICE).presence, read_item("no edema", CHOICE).notes
    (<Presence.UNCERTAIN: 'uncertain'>, ("negated item 'no edema' left out",))
    """
    item = re.sub(r"\s+", " ", _NUMBER.sub("", text)).strip(EDGES)
    bare, answer = item, _SAID.fullmatch(item)
    if answer and ((told := verdict(answer["said"])) or _AFFIRMED.fullmatch(answer["said"].strip(EDGES))):
        bare, said = answer["name"].strip(EDGES), told or said
    denied = said == Presence.ABSENT
    asides = re.findall(r"\(([^()]*)\)", bare)
    if Presence.UNCERTAIN in map(verdict, asides):
        said = said or Presence.UNCERTAIN
        bare = re.sub(r"\s*\(\W*\)", "", re.sub(r"\([^()]*\)", lambda m: re.sub(r"[\s,;]+\)", ")", _DOUBT.sub("", m[0])), bare))
    if task.codes and _DOUBT.search(bare):
        bare, said = _DOUBT.sub("", bare).strip(EDGES), said or Presence.UNCERTAIN
    presence, bare = sense(bare)
    if presence is None or folded(bare) == task.empty.lower():
        return Item(nothing=True)
    said = max(presence, said or presence, key=list(Presence).index)
    if said == Presence.ABSENT or Presence.ABSENT in map(verdict, asides):
        return Item(denied=denied, notes=(f"negated item {short(item)} left out",))
    code, phrase, remark = task.read(bare, strict)
    if code is None:
        return Item(notes=(f"unknown item {short(item)} left out",))
    hedge = f"hedged item {short(item)} read as uncertain" if said == Presence.UNCERTAIN else ""
    return Item(code, phrase, said, notes=tuple(filter(None, (remark, hedge))))


def short(item: str) -> str:
    """Quote an item in a note, cut to 40 characters."""
    return repr(item if len(item) <= 40 else item[:37] + "...")


def read_choice(item: str, strict: bool) -> tuple[str | None, str | None, str]:
    """Read one item of the choice task as (category, None, remark); in prose (`strict`) no otherwise than in brackets."""
    category = category_of(item.partition("(")[0])
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
