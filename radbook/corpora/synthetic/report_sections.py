"""Write the findings and the impression of one synthetic report, as statements of a `Dictation`.

Which regions are spoken of, in which order, what is said together, and what is called normal is thrown here; the wording
of one statement is the dictation's.
Statements about several findings at once (lists under one verb or one hedge, exceptions, what went and what stayed),
openings and headings of organs are of the general style alone.
"""

from collections.abc import Sequence

from radbook.corpora.synthetic.patients import GONE, Seen
from radbook.corpora.synthetic.realizer import Dictation

__all__ = ["findings", "impression"]

_BLURRED = {"lungs", "volumes", "vessels", "pleura"}
_THERE = ("present", "stable", "improved", "device", "stable_device")

Regions = dict[str, list[Seen]]


def findings(dictation: Dictation, seen: Sequence[Seen], denied: Sequence[Sequence[str]], detail: float) -> list[str]:
    """Dictate the statements of the findings section; `detail` is the share of regions that are spoken of."""
    dice = dictation.dice
    order = list(dice.pick(dictation.grammar.words["orders"]))
    if dice.happens("shuffled"):
        order.sort(key=lambda _: dice.random())
    regions = _by_region(seen)
    out = [dictation.say("technique")] if dice.happens("technique", 0.5 + detail) else []
    deny_at = "lungs" if dice.happens("deny_at_lungs") else dice.pick(order)
    common = _compounds(dictation, regions) if dice.happens("compound") else {}
    by_organ = dice.happens("headed")
    statements: list[tuple[str, str]] = []
    for region in order:
        part = common.get(region, []) + _together(dictation, regions.get(region, ()))
        if region not in regions:
            part += _normal(dictation, region, regions, dice.chances["headed_detail"] if by_organ else detail)
        if region == deny_at:
            part += [dictation.deny(names) for names in denied]
        statements += [(region, text) for text in part]
    out += _headed(dictation, statements) if by_organ else [text for _, text in statements]
    if not by_organ and dice.happens("opening"):
        # A comparison, as a statement of its own or before the first one.
        if not out or dice.happens("opening_alone"):
            out.insert(0, dictation.say("opening"))
        else:
            out[0] = f"{dictation.say('opening_clause')} {out[0]}"
    for _ in range(dice.number("others") + dice.count("others")):
        out.insert(int(dice.random() * (len(out) + 1)), dictation.say("others"))
    if dice.happens("abdomen", detail):
        out.append(dictation.say("abdomen"))
    return out


def impression(dictation: Dictation, seen: Sequence[Seen]) -> list[str]:
    """Dictate the statements of the impression: what matters again, in other words, and that the rest is well."""
    dice = dictation.dice
    named = [s for s in seen if dice.random() < dice.chances["again"][_weight(s)]]
    if not named:
        out = [dictation.say("impression_otherwise" if seen and dice.happens("impression_otherwise") else "impression_normal")]
        return [*out, dictation.say("impression_normal")] if dice.happens("impression_twice") else out
    out: list[str] = []
    if dice.happens("compound_impression"):
        regions = _by_region(named)
        out = [text for texts in _compounds(dictation, regions).values() for text in texts]
        named = [s for group in regions.values() for s in group]
    if dice.happens("impression_together"):
        out += _together(dictation, named)
    elif named:
        out += _in_one(dictation, named)
    if dice.happens("impression_rest"):
        out.insert(0 if dice.happens("impression_rest_first") else len(out), dictation.say("impression_otherwise"))
    if dice.happens("recommendation"):
        out.append(dictation.say("recommendation"))
    return out


def _by_region(seen: Sequence[Seen]) -> Regions:
    regions: Regions = {}
    for s in seen:
        regions.setdefault(s.concept.region, []).append(s)
    return regions


def _weight(seen: Seen) -> str:
    return "quiet" if seen.concept.quiet else "finding" if seen.concept.finding.category else "minor"


def _together(dictation: Dictation, seen: Sequence[Seen]) -> list[str]:
    """Dictate findings in their order, now and then two in one statement or with a denial at its end."""
    dice, out, held = dictation.dice, [], list(seen)
    while held:
        first = held.pop(0)
        simple = not first.cause and all(not s.change and s.presence == "present" for s in (first, *held[:1]))
        if simple and held and dice.happens("joined"):
            second = held.pop(0)
            text, number = dictation.mention(first, clauses=True)
            tail = dictation.because(second) if second.cause else ""
            if number == "clause":
                out.append(text + dictation.say("clause_join") + dictation.mention(second)[0] + tail)
                continue
            joined = text + dictation.say("join") + dictation.mention(second)[0]
            frame = "present_device" if first.concept.device or second.concept.device else "present"
            out.append(dictation.framed(frame, [(joined, "many" if " and " in joined else number)]) + tail)
        else:
            out.append(dictation.state(first))
        if dictation.tails and dice.happens("denied_at_end"):
            out[-1] += dictation.deny(dictation.tails.pop(), "tail")
    return out


def _in_one(dictation: Dictation, named: Sequence[Seen]) -> list[str]:
    """Dictate what is there as one list, then the rest."""
    plain = [s for s in named if s.presence == "present" and s.change not in GONE]
    rest = [s for s in named if s not in plain]
    if not plain:
        return _together(dictation, rest)
    first, *words = [dictation.mention(s)[0] for s in plain]
    text = first + "".join(dictation.say("list_join") + w for w in words)
    if plain[-1].cause and dictation.dice.happens("list_cause"):
        text += dictation.because(plain[-1])
    if dictation.dice.happens("list_again"):
        text = dictation.say("list_again") + text
    return [text, *_together(dictation, rest)]


def _normal(dictation: Dictation, region: str, regions: Regions, detail: float) -> list[str]:
    dice, slot = dictation.dice, f"{region}_normal"
    if dice.random() > detail:
        return []
    if region == "heart":
        both = "mediastinum" not in regions and dice.happens("heart_with_mediastinum")
        return [dictation.say("heart_mediastinum_normal" if both else slot)]
    if region == "lungs":
        return [dictation.say("lungs_otherwise" if _BLURRED & regions.keys() else slot)]
    return [dictation.say(slot)] if slot in dice.chances and dice.happens(slot) else []


def _compounds(dictation: Dictation, regions: Regions) -> dict[str, list[str]]:
    """Dictate some findings of a report in common statements, and take them out of `regions`.

    The statements are given by the region of their first finding; a region that loses all its findings keeps its
    name in `regions`, so that nobody calls it normal.
    """
    dice, out = dictation.dice, {}
    for _ in range(1 + dice.count("compound_more")):
        by_fate: dict[str, list[Seen]] = {}
        for seen in (s for group in regions.values() for s in group if not s.cause):
            by_fate.setdefault(_fate(seen), []).append(seen)
        groups = [(fate, group) for fate, group in by_fate.items() if len(group) > 1]
        gone = [s for fate in GONE for s in by_fate.get(fate, ())]
        there = [s for fate in _THERE for s in by_fate.get(fate, ())]
        if gone and there and dice.happens("gone_but"):
            taken = [dice.pick(gone), dice.pick(there)]
            went = dictation.mention(taken[0], "absent", plain=dice.happens("gone_but_plain"))
            stayed = dictation.mention(taken[1], plain=dice.happens("there_plain"))
            text = dictation.framed(f"{taken[0].change}_but", [went, stayed])
        elif groups and dice.happens("several"):
            fate, group = dice.pick(groups)
            first = int(dice.random() * (len(group) - 1))
            taken = group[first : first + dice.number("listed")]
            text = _listed(dictation, fate, taken)
        elif there and (dictation.tails or dice.happens("exception")):
            taken = [dice.pick(there)]
            text = dictation.but(taken[0])
        else:
            break
        for seen in taken:
            regions[seen.concept.region].remove(seen)
        out.setdefault(taken[0].concept.region, []).append(text)
    return out


def _fate(seen: Seen) -> str:
    """Which common statement a finding can be part of."""
    if seen.change in GONE:
        return seen.change
    if seen.presence == "uncertain":
        return "uncertain"
    if seen.concept.device and seen.change in ("", "stable"):
        return "stable_device" if seen.change else "device"
    return seen.change or "present"


def _listed(dictation: Dictation, fate: str, taken: Sequence[Seen]) -> str:
    dice = dictation.dice
    plain = fate == "uncertain" or dice.happens("several_plain")
    *words, last = [dictation.mention(s, "absent" if fate in GONE else None, plain=plain)[0] for s in taken]
    comma = "," if len(words) > 1 and dice.happens("several_comma") else ""
    text = f"{', '.join(words)}{comma} {'or' if fate == 'uncertain' else 'and'} {last}"
    return dictation.framed(f"many_{fate}", [(text, "many")], article=False)


def _headed(dictation: Dictation, statements: list[tuple[str, str]]) -> list[str]:
    """Put the name of the organ before the first statement of each region; `finish` sets it on a line of its own."""
    out, last = [], ""
    style = str.upper if dictation.dice.happens("headed_capitals") else str.capitalize
    for region, text in statements:
        name = dictation.grammar.words["headings"].get(region, last)
        out.append(text if name == last else f"\x02{style(name)}\x02{text}")
        last = name
    return out
