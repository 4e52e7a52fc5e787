"""Plan synthetic patients: which findings each of their reports has, how those change, and what is denied."""

from dataclasses import dataclass, replace

from radbook.corpora.synthetic.dice import Dice
from radbook.corpora.synthetic.grammar import Concept, Grammar

__all__ = ["GONE", "Seen", "choose_denials", "plan_visits"]

GONE = ("resolved", "removed")


@dataclass
class Seen:
    """One finding of one patient as the radiologist thinks of it; `change` says how it compares with the last report."""

    concept: Concept
    presence: str = "present"
    place: dict | None = None
    side: str = "left"
    level: int = 1
    size: str = ""
    change: str = ""
    cause: str = ""


def plan_visits(grammar: Grammar, dice: Dice) -> list[list[Seen]]:
    """Plan the findings of each report of one patient."""
    tables, names, kind = grammar.tables, [], dice.name("patient")
    if kind == "minor":
        names = [dice.draw(tables["minor"]) for _ in range(dice.number("minor"))]
    elif not kind:
        for _ in range(1 + dice.count("more_findings")):
            together = dice.happens("cluster")
            names += dice.draw(tables["clusters"]) if together else [dice.draw(tables["any"])]
        names += [dice.draw(tables["minor"]) for _ in range(dice.number("minor_beside"))]
    if kind != "normal" and dice.happens("long", 1 / (1 - dice.chances["patient"]["normal"])):
        names += [dice.draw(tables["devices"]) for _ in range(dice.number("long_devices"))]
        names += [dice.draw(tables["any"]) for _ in range(dice.number("long_findings"))]
    now = [_seen(grammar.concepts[name], dice) for name in dict.fromkeys(names)]
    for seen in now:
        if seen.presence == "present" and dice.happens("compared"):
            changes = dice.chances["changes"][: 4 if seen.concept.device else None]
            seen.change = dice.pick(changes) if seen.concept.acute else "stable"
    if dice.happens("gone"):
        now.append(_gone(grammar, dice))
        while dice.happens("gone_more"):
            now.append(_gone(grammar, dice))
    visits = [now]
    for _ in range(dice.count("more_visits")):
        now = [later for seen in now if seen.change not in GONE for later in _later(seen, dice)]
        if dice.happens("later_new"):
            new = _seen(grammar.concepts[dice.draw(tables["any"])], dice)
            if all(new.concept is not seen.concept for seen in now):
                new.change = "new" if new.presence == "present" and new.concept.acute else ""
                now.append(new)
        visits.append(now)
    return visits


def _seen(concept: Concept, dice: Dice, *, hedged: float = 1.0) -> Seen:
    rare = not concept.finding.category or concept.device
    seen = Seen(concept)
    if dice.happens("hedged", hedged * (dice.chances["hedged_rarely"] if rare else 1)):
        seen.presence = "uncertain"
    seen.place = dice.pick(concept.places) if concept.places else None
    while seen.place and seen.place["side"] == "both" and not concept.standard.many:
        seen.place = dice.pick(concept.places)
    if seen.place and seen.place["side"] != "mid":
        seen.side = seen.place["side"]
    else:
        seen.side = "left" if dice.happens("left") else "right"
    seen.level = dice.pick(dice.chances["levels"])
    if concept.sizes and dice.happens("measured"):
        least, most = concept.sizes
        mm = least + dice.random() * (most - least)
        seen.size = f"{mm:.0f} mm" if mm < 10 and dice.happens("millimeters") else f"{mm / 10:.1f} cm"
    if concept.causes and seen.presence == "present" and dice.happens("caused"):
        seen.cause = "certain" if dice.happens("cause_certain") else "uncertain"
    return seen


def _gone(grammar: Grammar, dice: Dice) -> Seen:
    """Something that an earlier report told of; valves, stents and clips stay, where the style tells such things often."""
    table = "devices" if dice.happens("gone_device") else "acute"
    concept = grammar.concepts[dice.draw(grammar.tables[table])]
    while dice.chances["gone_more"] and concept.device and not concept.gone:
        concept = grammar.concepts[dice.draw(grammar.tables["devices"])]
    seen = _seen(concept, dice, hedged=0)
    seen.change = "removed" if seen.concept.device else "resolved"
    return seen


def _later(seen: Seen, dice: Dice) -> list[Seen]:
    """How a finding looks on the next report (nothing: it is not mentioned again)."""
    change = dice.name("later_acute" if seen.concept.acute else "later_lasting")
    if change == "forgotten":
        return []
    if change == "gone":
        change = "removed" if seen.concept.device else "resolved"
    elif seen.concept.device and change != "stable":
        change = ""
    level = {"improved": max(0, seen.level - 1), "worse": min(3, seen.level + 1)}.get(change, seen.level)
    presence = "present" if change in ("stable", "improved", "worse") else seen.presence
    return [replace(seen, presence=presence, level=level, change=change, cause="" if change == "resolved" else seen.cause)]


def choose_denials(grammar: Grammar, seen: list[Seen], dice: Dice, detail: float) -> list[list[str]]:
    """Choose the findings to be denied, in the groups of their statements; none that the report speaks of."""
    used = {s.concept.finding.category for s in seen} - {None} | {s.concept.id for s in seen}
    groups = []
    for least, span in dice.chances["denials"]:
        if dice.random() >= least + detail * span:
            continue
        group: list[str] = []
        for _ in range(dice.pick(dice.chances["denied_names"])):
            name = dice.draw(grammar.tables["denied"])
            category = grammar.concepts[name].finding.category
            if name not in used and category not in used:
                used |= {name, category} - {None}
                group.append(name)
        if group:
            groups.append(group)
    return groups
