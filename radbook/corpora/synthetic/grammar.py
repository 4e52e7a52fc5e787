"""The grammar of the synthetic reports: its data classes, and reading them from the YAML files.

A list is either plain (both hospital styles) or a mapping `all` / `general` / `cohort`; a trailing `*N` repeats an entry,
so the wording habits of a hospital are data, not code.
The entries are templates (see `radbook.corpora.synthetic.templates`).
The files named `hospital_*` add to the general style alone.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from radbook.core.errors import RadbookError, choose
from radbook.core.ontology import FINDINGS, Finding
from radbook.corpora.synthetic.templates import Node, parse

__all__ = ["STYLES", "Concept", "Grammar", "Phrase", "Pool", "load_grammar"]

STYLES = ("general", "cohort")
_NUMBERS = ("mass", "one", "many", "clause")
_OWN_PLACE = re.compile(r"\{(loc|at|sev)\}")
_WEIGHT = re.compile(r"\s+\*(\d+)$")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Compiles the entries of a list, in one style.
Compile = Callable[[object], list[Node]]


@dataclass(frozen=True)
class Phrase:
    """One wording of a concept: its node, grammatical number, and whether severity and place go around it."""

    node: Node
    number: str
    wrap: bool


@dataclass(frozen=True)
class Pool:
    """The wordings of one kind (standard or idiom) of one concept: its noun phrases, those in the plural, and its clauses."""

    phrases: list[Phrase]
    many: list[Phrase]
    clauses: list[Phrase]


@dataclass
class Concept:
    """One finding concept with everything the report writer needs to speak of it."""

    finding: Finding
    region: str
    standard: Pool
    idiom: Pool
    negated: list[Node]
    places: list[dict]
    severity: list[list[Node]]
    adverbs: list[list[Node]]
    sizes: tuple[float, float] | None
    weight: float
    acute: bool
    causes: list[str]
    either: list[str]
    gone: list[Node]
    opposite: list[Node]
    quiet: bool

    @property
    def id(self) -> str:
        return self.finding.id


@dataclass(frozen=True)
class Grammar:
    """Everything one hospital style can say, and the chances of it (see `radbook.corpora.synthetic.dice`)."""

    style: str
    slots: Mapping[str, list]
    concepts: Mapping[str, Concept]
    chances: Mapping[str, object]
    words: Mapping[str, object]
    masks: Mapping[str, float]
    clusters: list[dict]
    spellings: Mapping[str, Mapping[str, str]]
    twins: Mapping[str, list[str]]


def _read(name: str) -> dict:
    text = (files("radbook") / "resources" / "grammar" / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=_LOADER)


def _entries(value: object, style: str) -> list[str]:
    """Give the entries of a list in one style, repeated by their weights."""
    if isinstance(value, Mapping):
        value = [*(value.get("all") or []), *(value.get(style) or [])]
    out: list[str] = []
    for entry in map(str, value or []):
        weight = _WEIGHT.search(entry)
        out += [entry[: weight.start()]] * int(weight[1]) if weight else [entry]
    return out


def _of_style(value: object, style: str) -> object:
    """Give what a value is in one style, where it has one per style."""
    return value.get(style) if isinstance(value, Mapping) and value.keys() <= set(STYLES) else value


@cache
def load_grammar(style: str) -> Grammar:
    """Read and compile the grammar of one hospital style.

    Raises
    ------
    RadbookError
        For a style that does not exist, or a grammar file that names an unknown finding, place or slot.

    Examples
    --------
    >>> "atelectasis" in load_grammar("general").concepts
    True
    """
    choose(style, STYLES, "style")
    words, more = _read("words"), _read("hospital_frames")
    general = style == "general"
    texts = {**_read("frames"), **_read("normal"), **_read("layouts")}
    slots: dict[str, list] = {name: [] for name in {**texts, **more["frames"]}}

    def compiled(value: object) -> list[Node]:
        return [parse(entry, slots.get) for entry in _entries(value, style)]

    for name, slot in slots.items():
        entries = _entries(texts.get(name), style)
        if general:
            dropped = more["without"].get(name, ())
            entries = [e for e in entries if e not in dropped] + _entries(more["frames"].get(name), style)
        slot.extend(parse(entry, slots.get) for entry in entries)
    places = {
        name: [{"adj": compiled(r["adj"]), "at": compiled(r["at"]), "side": r.get("side", "")} for r in records]
        for name, records in words["places"].items()
    }
    levels = {name: [compiled(level) for level in value] for name, value in words["severities"].items()}
    wordings = {**_read("hospital_findings_1"), **_read("hospital_findings_2")} if general else {}
    concepts = {}
    for name, entry in {**_read("findings_1"), **_read("findings_2"), **_read("findings_3")}.items():
        if name not in FINDINGS:
            raise RadbookError(f"grammar names the finding {name!r}, which resources/findings.csv lacks")
        added = wordings.get(name, {})
        entry = entry | {key: _entries(entry.get(key), style) + _entries(added[key], style) for key in added}
        concepts[name] = _concept(FINDINGS[name], entry, style, compiled, places, levels)
    return Grammar(
        style=style,
        slots=slots,
        concepts=concepts,
        chances={name: _of_style(value, style) for name, value in _read("chances").items()},
        words=words,
        masks={word: float(chance) for chance, masked in words["masks"].items() for word in masked},
        clusters=words["clusters"] + (more["clusters"] if general else []),
        spellings=more["spellings"],
        twins=more["twins"] if general else {},
    )


def _concept(
    finding: Finding, entry: Mapping, style: str, compiled: Compile, places: Mapping, levels: Mapping
) -> Concept:
    severity = entry.get("severity")

    def marked(key: str) -> list[Node]:
        return compiled([_marked(text) for text in _entries(entry.get(key), style)])

    return Concept(
        finding=finding,
        region=entry["region"],
        standard=_pool(entry, "", style, compiled),
        idiom=_pool(entry, "idiom_", style, compiled),
        negated=marked("negated"),
        places=[place for group, share in (entry.get("places") or {}).items() for place in places[group] * int(share)],
        severity=levels[severity] if severity else [],
        adverbs=levels.get(f"{severity}_adverb", levels["adverb"]),
        sizes=tuple(entry["sizes"]) if "sizes" in entry else None,
        weight=float(_of_style(entry.get("weight", 1), style)),
        acute=bool(entry.get("acute", False)),
        causes=_entries(entry.get("causes"), style),
        either=_entries(entry.get("either"), style),
        gone=marked("gone"),
        opposite=compiled(entry.get("opposite")),
        quiet=bool(entry.get("quiet", False)),
    )


def _pool(entry: Mapping, prefix: str, style: str, compiled: Compile) -> Pool:
    texts = [(number, text) for number in _NUMBERS for text in _entries(entry.get(prefix + number), style)]
    every = [Phrase(*compiled([_marked(text)]), number, not _OWN_PLACE.search(text)) for number, text in texts]
    by_number = {number: [p for p in every if p.number == number] for number in _NUMBERS}
    clauses = by_number.pop("clause")
    return Pool([p for group in by_number.values() for p in group], by_number["many"], clauses)


def _marked(text: str) -> str:
    return text if "<" in text else f"<{text}>"
