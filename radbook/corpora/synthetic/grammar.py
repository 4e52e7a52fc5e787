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
_OWN_PLACE = re.compile(r"\{(loc|at|sev)\}")
_WEIGHT = re.compile(r"\s+\*(\d+)$")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Compiles the entries of a list, in one style; `marked` makes each evidence as a whole that marks none in itself.
Compile = Callable[..., list[Node]]


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


class Concept:
    """One finding concept with everything the report writer needs to speak of it."""

    def __init__(
        self, finding: Finding, entry: Mapping, style: str, compiled: Compile, places: Mapping, levels: Mapping
    ) -> None:
        severity = entry.get("severity")
        self.finding = finding
        self.id = finding.id
        self.region: str = entry["region"]
        self.device = self.region == "devices"
        self.standard = _pool(entry, "", style, compiled)
        self.idiom = _pool(entry, "idiom_", style, compiled)
        self.negated = compiled(entry.get("negated"), marked=True)
        self.places = [at for group, share in entry.get("places", {}).items() for at in places[group] * int(share)]
        self.severity: list[list[Node]] = levels[severity] if severity else []
        self.adverbs: list[list[Node]] = levels.get(f"{severity}_adverb", levels["adverb"])
        self.sizes: tuple[float, float] | None = entry.get("sizes")
        self.weight = float(_of_style(entry.get("weight", 1), style))
        self.acute: bool = entry.get("acute", False)
        self.causes = _entries(entry.get("causes"), style)
        self.either = _entries(entry.get("either"), style)
        self.gone = compiled(entry.get("gone"), marked=True)
        self.opposite = compiled(entry.get("opposite"))
        self.quiet: bool = entry.get("quiet", False)


class Grammar:
    """Everything one hospital style can say, and the chances of it (see `radbook.corpora.synthetic.dice`)."""

    def __init__(self, style: str) -> None:
        general = style == "general"
        words, more = _read("words"), _read("hospital_frames")
        texts = {**_read("frames"), **_read("normal"), **_read("layouts")}
        slots: dict[str, list] = {name: [] for name in {**texts, **more["frames"]}}

        def compiled(value: object, *, marked: bool = False) -> list[Node]:
            entries = _entries(value, style)
            return [parse(f"<{e}>" if marked and "<" not in e else e, slots.get) for e in entries]

        for name, slot in slots.items():
            entries = _entries(texts.get(name), style)
            if general:
                dropped = more["without"].get(name, ())
                entries = [e for e in entries if e not in dropped] + _entries(more["frames"].get(name), style)
            slot.extend(parse(entry, slots.get) for entry in entries)
        self.slots = slots
        self.concepts = _concepts(words, style, compiled)
        self.chances = {name: _of_style(value, style) for name, value in _read("chances").items()}
        self.words = words
        self.masks = {word: float(chance) for chance, masked in words["masks"].items() for word in masked}
        self.clusters: list[dict] = words["clusters"] + (more["clusters"] if general else [])
        self.spellings: Mapping[str, Mapping[str, str]] = more["spellings"]
        self.twins: Mapping[str, list[str]] = more["twins"] if general else {}
        self.tables = _tables(self)


@cache
def load_grammar(style: str) -> Grammar:
    """Read and compile the grammar of one hospital style; an unknown style or finding is refused.

    >>> "atelectasis" in load_grammar("general").concepts
    True
    """
    return Grammar(choose(style, STYLES, "style"))


def _concepts(words: Mapping, style: str, compiled: Compile) -> dict[str, Concept]:
    places = {
        name: [{"adj": compiled(r["adj"]), "at": compiled(r["at"]), "side": r["side"]} for r in records]
        for name, records in words["places"].items()
    }
    levels = {name: [compiled(level) for level in value] for name, value in words["severities"].items()}
    more = {**_read("hospital_findings_1"), **_read("hospital_findings_2")} if style == "general" else {}
    concepts = {}
    for name, entry in {**_read("findings_1"), **_read("findings_2"), **_read("findings_3")}.items():
        if name not in FINDINGS:
            raise RadbookError(f"grammar names the finding {name!r}, which resources/findings.csv lacks")
        added = more.get(name, {})
        entry = entry | {key: _entries(entry.get(key), style) + _entries(added[key], style) for key in added}
        concepts[name] = Concept(FINDINGS[name], entry, style, compiled, places, levels)
    return concepts


def _tables(grammar: Grammar) -> dict[str, tuple]:
    """What can happen to a patient, by weight."""
    concepts, rarely = grammar.concepts.values(), grammar.chances["denied_rarely"]
    tables = {
        "any": [(c.weight, c.id) for c in concepts if c.finding.category],
        "minor": [(c.weight, c.id) for c in concepts if not c.finding.category],
        "devices": [(c.weight, c.id) for c in concepts if c.device],
        "acute": [(c.weight, c.id) for c in concepts if c.acute],
        "clusters": [(c["weight"], c["of"]) for c in grammar.clusters],
        "denied": [
            (grammar.words["denied"].get(c.id, rarely["device" if c.device else "finding"]), c.id)
            for c in concepts
            if c.negated
        ],
    }
    return {name: tuple(zip(*pairs, strict=True)) for name, pairs in tables.items()}


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


def _pool(entry: Mapping, prefix: str, style: str, compiled: Compile) -> Pool:
    def phrases(number: str) -> list[Phrase]:
        texts = _entries(entry.get(prefix + number), style)
        nodes = zip(compiled(texts, marked=True), texts, strict=True)
        return [Phrase(node, number, not _OWN_PLACE.search(text)) for node, text in nodes]

    many = phrases("many")
    return Pool(phrases("mass") + phrases("one") + many, many, phrases("clause"))
