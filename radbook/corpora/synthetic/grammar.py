"""The grammar of the synthetic reports: its data classes, and reading them from the YAML files.

A list is either plain (both hospital styles) or a mapping `all` / `general` / `cohort`; a trailing `*N` repeats an entry,
so the wording habits of a hospital are data, not code.
The entries are templates (see `radbook.corpora.synthetic.templates`).
The files named `hospital_*` add to the general style alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml

from radbook.core.errors import RadbookError, choose
from radbook.core.ontology import FINDINGS, Finding
from radbook.corpora.synthetic.templates import Node, parse

__all__ = ["STYLES", "Concept", "Grammar", "Phrase", "Pool", "load_grammar"]

STYLES = ("general", "cohort")
_NUMBERS = ("mass", "one", "many", "clause")
_WEIGHT = re.compile(r"\s+\*(\d+)$")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Phrase:
    """One wording of a concept: its node, grammatical number, and whether severity and place go around it."""

    node: Node
    number: str
    wrap: bool


@dataclass
class Pool:
    """The wordings of one kind (standard or idiom) of one concept, by grammatical number."""

    phrases: list[Phrase] = field(default_factory=list)
    many: list[Phrase] = field(default_factory=list)
    clauses: list[Phrase] = field(default_factory=list)


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
    """Everything one hospital style can say."""

    style: str
    slots: Mapping[str, list]
    concepts: Mapping[str, Concept]
    settings: Mapping[str, object]


def _read(name: str) -> dict:
    text = (files("radbook") / "resources" / "grammar" / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=_LOADER)


def _entries(value: object, style: str) -> list[str]:
    """Give the entries of a list in one style, repeated by their weights."""
    if isinstance(value, Mapping):
        value = [*(value.get("all") or []), *(value.get(style) or [])]
    out: list[str] = []
    for entry in value or []:
        weight = _WEIGHT.search(str(entry))
        out += [str(entry)[: weight.start()] if weight else str(entry)] * (int(weight[1]) if weight else 1)
    return out


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
    more, wordings = _read("hospital_frames.yaml"), _wordings()
    texts = {**_read("frames.yaml"), **_read("normal.yaml"), **_read("layouts.yaml")}
    slots: dict[str, list] = {name: [] for name in {**texts, **more["frames"]}}
    for name in slots:
        entries = _entries(texts.get(name), style)
        if style == "general":
            dropped = more["without"].get(name, ())
            entries = [e for e in entries if e not in dropped] + _entries(more["frames"].get(name), style)
        slots[name].extend(parse(entry, slots.get) for entry in entries)
    words = _read("words.yaml")
    settings = {key: value[style] for key, value in words["settings"].items()}
    places = {name: _places(records, style, slots) for name, records in words["places"].items()}
    levels = {
        name: [[parse(e, slots.get) for e in _entries(level, style)] for level in value]
        for name, value in words["severities"].items()
    }
    concepts = {}
    for number in (1, 2, 3):
        for name, entry in _read(f"findings_{number}.yaml").items():
            if name not in FINDINGS:
                raise RadbookError(f"grammar names the finding {name!r}, which resources/findings.csv lacks")
            if style == "general":
                entry = _joined(entry, wordings.get(name, {}), style)
            concepts[name] = _concept(name, entry, style, slots, places, levels)
    settings["masks"] = {w: float(p) for p, ws in words["masks"].items() for w in ws}
    settings["clusters"] = words["clusters"] + (more["clusters"] if style == "general" else [])
    settings["spellings"] = more["spellings"]
    settings["twins"] = more["twins"] if style == "general" else {}
    settings["denied"] = words["denied"]
    return Grammar(style, slots, concepts, settings)


def _wordings() -> dict[str, dict]:
    """Give the wordings of the findings that only the general style has."""
    return {**_read("hospital_findings_1.yaml"), **_read("hospital_findings_2.yaml")}


def _joined(entry: Mapping, more: Mapping, style: str) -> dict:
    """Add the wordings of the general style to those that both styles have."""
    lists = {k: _entries(entry.get(k), style) + _entries(v, style) for k, v in more.items()}
    return {**entry, **lists}


def _places(records: list, style: str, slots: Mapping[str, list]) -> list[dict]:
    return [
        {
            "adj": [parse(e, slots.get) for e in _entries(r["adj"], style)],
            "at": [parse(e, slots.get) for e in _entries(r["at"], style)],
            "side": r.get("side", ""),
        }
        for r in records
    ]


def _concept(
    name: str, entry: Mapping, style: str, slots: Mapping[str, list], places: Mapping, levels: Mapping
) -> Concept:
    weight = entry.get("weight", 1)
    severity = entry.get("severity")
    where: list[dict] = []
    for group, share in (entry.get("places") or {}).items():
        where += places[group] * int(share)
    return Concept(
        finding=FINDINGS[name],
        region=entry["region"],
        standard=_pool(entry, "", style, slots),
        idiom=_pool(entry, "idiom_", style, slots),
        negated=[parse(_marked(e), slots.get) for e in _entries(entry.get("negated"), style)],
        places=where,
        severity=levels[severity] if severity else [],
        adverbs=levels.get(f"{severity}_adverb", levels["adverb"]),
        sizes=tuple(entry["sizes"]) if "sizes" in entry else None,
        weight=float(weight[style] if isinstance(weight, Mapping) else weight),
        acute=bool(entry.get("acute", False)),
        causes=_entries(entry.get("causes"), style),
        either=_entries(entry.get("either"), style),
        gone=[parse(_marked(e), slots.get) for e in _entries(entry.get("gone"), style)],
        opposite=[parse(e, slots.get) for e in _entries(entry.get("opposite"), style)],
        quiet=bool(entry.get("quiet", False)),
    )


def _pool(entry: Mapping, prefix: str, style: str, slots: Mapping[str, list]) -> Pool:
    pool = Pool()
    for number in _NUMBERS:
        for text in _entries(entry.get(prefix + number), style):
            wrap = number != "clause" and not re.search(r"\{(loc|at|sev)\}", text)
            phrase = Phrase(parse(_marked(text), slots.get), number, wrap)
            (pool.clauses if number == "clause" else pool.phrases).append(phrase)
            if number == "many":
                pool.many.append(phrase)
    return pool


def _marked(text: str) -> str:
    return text if "<" in text else f"<{text}>"
