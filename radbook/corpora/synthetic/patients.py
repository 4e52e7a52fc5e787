"""Plan synthetic patients: which findings each of their reports has, how those change, and what is denied."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate
from operator import itemgetter

from radbook.corpora.synthetic.grammar import Concept, Grammar, load_grammar
from radbook.corpora.synthetic.realizer import Seen

__all__ = ["choose_denials", "plan_visits"]

Random = Callable[[], float]
# How often a finding is denied that is no usual part of such lists (False) or is a device (True).
_RARELY = {False: 0.15, True: 0.04}


def _draw(options: list[tuple[float, object]], random: Random) -> object:
    """Draw a value of `_cumulated`, with the chance of its weight."""
    chance = random() * options[-1][0]
    return options[bisect_right(options, chance, hi=len(options) - 1, key=itemgetter(0))][1]


def _cumulated(pairs: list[tuple[float, object]]) -> list[tuple[float, object]]:
    return list(zip(accumulate(w for w, _ in pairs), (value for _, value in pairs), strict=True))


@cache
def _tables(style: str) -> dict:
    """Cumulated weights of what can happen to a patient."""
    grammar = load_grammar(style)
    concepts, denied = grammar.concepts.values(), grammar.settings["denied"]
    return {
        "any": _cumulated([(c.weight, c.id) for c in concepts if c.finding.category]),
        "minor": _cumulated([(c.weight, c.id) for c in concepts if not c.finding.category]),
        "devices": _cumulated([(c.weight, c.id) for c in concepts if c.region == "devices"]),
        "acute": _cumulated([(c.weight, c.id) for c in concepts if c.acute]),
        "clusters": _cumulated([(c["weight"], c["of"]) for c in grammar.settings["clusters"]]),
        "denied": _cumulated(
            [(denied.get(c.id, _RARELY[c.region == "devices"]), c.id) for c in concepts if c.negated]
        ),
    }


def plan_visits(grammar: Grammar, random: Random) -> list[list[Seen]]:
    """Plan the findings of each report of one patient."""
    tables, settings = _tables(grammar.style), grammar.settings
    chance = random()
    names: list[str] = []
    if chance >= settings["normal"]:
        if chance < settings["normal"] + settings["minor"]:
            names = [_draw(tables["minor"], random) for _ in range(1 + int(random() * 3))]
        else:
            for _ in range(1 + (random() < 0.55) + (random() < 0.3) + (random() < 0.15)):
                together = random() < 0.4
                names += _draw(tables["clusters"], random) if together else [_draw(tables["any"], random)]
            names += [_draw(tables["minor"], random) for _ in range(int(random() * 2.2))]
        if random() < settings["long"] / (1 - settings["normal"]):
            names += [_draw(tables["devices"], random) for _ in range(2 + int(random() * 3))]
            names += [_draw(tables["any"], random) for _ in range(1 + int(random() * 3))]
    now = [_seen(grammar.concepts[n], settings, random) for n in dict.fromkeys(names)]
    for s in now:
        if s.presence == "present" and random() < 0.2:
            changes = ("stable", "stable", "stable", "new", "improved", "worse")
            many = 6 if s.concept.region != "devices" else 4
            s.change = changes[int(random() * many)] if s.concept.acute else "stable"
    if random() < settings["gone"]:
        now.append(_gone(grammar, tables, random))
        while settings["gone_more"] and random() < settings["gone_more"]:
            now.append(_gone(grammar, tables, random))
    visits = [now]
    for _ in range((random() < 0.4) + (random() < 0.2) + (random() < 0.1)):
        now = [t for s in now if s.change not in ("resolved", "removed") for t in _later(s, random)]
        if random() < 0.3:
            s = _seen(grammar.concepts[_draw(tables["any"], random)], settings, random)
            if all(s.concept is not t.concept for t in now):
                s.change = "new" if s.presence == "present" and s.concept.acute else ""
                now.append(s)
        visits.append(now)
    return visits


def _seen(concept: Concept, settings: Mapping, random: Random) -> Seen:
    rare = not concept.finding.category or concept.region == "devices"
    hedged = random() < settings["hedged"] * (0.1 if rare else 1.0)
    place = concept.places[int(random() * len(concept.places))] if concept.places else None
    while place and place["side"] == "both" and not concept.standard.many:
        place = concept.places[int(random() * len(concept.places))]
    side = place["side"] if place and place["side"] != "mid" else "left" if random() < 0.5 else "right"
    level = (0, 0, 1, 1, 1, 1, 2, 2, 3, 1)[int(random() * 10)]
    size = ""
    if concept.sizes and random() < 0.7:
        low, high = concept.sizes
        mm = low + random() * (high - low)
        size = f"{mm:.0f} mm" if mm < 10 and random() < 0.7 else f"{mm / 10:.1f} cm"
    cause = ""
    if concept.causes and not hedged and random() < 0.42:
        cause = "certain" if random() < 0.55 else "uncertain"
    return Seen(concept, "uncertain" if hedged else "present", place, side, level, size, "", cause)


def _gone(grammar: Grammar, tables: Mapping, random: Random) -> Seen:
    name = _draw(tables["devices" if random() < 0.4 else "acute"], random)
    # Valves, stents and clips stay.
    while grammar.settings["gone_more"] and grammar.concepts[name].region == "devices" and not grammar.concepts[name].gone:
        name = _draw(tables["devices"], random)
    s = _seen(grammar.concepts[name], {"hedged": 0.0}, random)
    s.change = "removed" if s.concept.region == "devices" else "resolved"
    return s


def _later(s: Seen, random: Random) -> list[Seen]:
    """How a finding looks on the next report (nothing: it is not mentioned again)."""
    chance = random()
    change, level = "", s.level
    if not s.concept.acute:
        if chance < 0.06:
            return []
        change = "stable" if chance < 0.55 else ""
    elif chance < 0.08:
        return []
    elif chance < 0.28:
        change = "removed" if s.concept.region == "devices" else "resolved"
    elif chance < 0.6:
        change = "stable"
    elif s.concept.region != "devices":
        change = "improved" if chance < 0.8 else "worse"
        level = max(0, level - 1) if change == "improved" else min(3, level + 1)
    presence = "present" if change in ("stable", "improved", "worse") else s.presence
    cause = s.cause if change != "resolved" else ""
    return [Seen(s.concept, presence, s.place, s.side, level, s.size, change, cause)]


def choose_denials(
    grammar: Grammar, seen: list[Seen], random: Random, detail: float
) -> list[list[str]]:
    """Choose the findings to be denied, in the groups of their statements; none that the report speaks of."""
    table = _tables(grammar.style)["denied"]
    said = {s.concept.finding.category for s in seen} - {None} | {s.concept.id for s in seen}
    groups, used = [], set(said)
    for chance in (0.72 + detail * 0.2, 0.15 + detail * 0.15, 0.08):
        if random() >= chance:
            continue
        group: list[str] = []
        for _ in range((1, 2, 2, 3, 3, 3, 3, 4)[int(random() * 8)]):
            name = _draw(table, random)
            category = grammar.concepts[name].finding.category
            if name not in used and category not in used:
                used |= {name, category} - {None}
                group.append(name)
        if group:
            groups.append(group)
    return groups
