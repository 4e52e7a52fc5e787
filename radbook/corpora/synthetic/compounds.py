"""Statements about several findings at once.

Lists under one verb or one hedge, exceptions, what went and what stayed; and the openings and organ headings of a findings
section.
Only the general style speaks so (the shares are in `resources/grammar/words.yaml`).
"""

from collections.abc import Callable, Sequence

from radbook.core.findings import Presence
from radbook.corpora.synthetic.realizer import Dictation, Seen

__all__ = ["compound", "compounded", "headed", "opened"]

_GONE = ("resolved", "removed")
_FRAMES = {
    "present": "many_present", "device": "many_device", "stable": "many_stable", "stable_device": "many_stable_device",
    "improved": "many_improved", "worse": "many_worse", "new": "many_new", "uncertain": "many_uncertain",
    "resolved": "many_resolved", "removed": "many_removed",
}  # fmt: skip
_BUT = ("but_one", "but_two", "but_three")


def _fate(seen: Seen) -> str:
    device = seen.concept.region == "devices"
    if seen.change in _GONE:
        return seen.change
    if seen.presence == "uncertain":
        return "uncertain"
    if device and seen.change in ("", "stable"):
        return "stable_device" if seen.change else "device"
    return seen.change or "present"


def compound(dictation: Dictation, regions: dict[str, list[Seen]]) -> dict[str, list[str]]:
    """Dictate some findings of a report in common statements, and take them out of `regions`.

    The statements are given by the region of their first finding; a region that loses all its findings keeps its
    name in `regions`, so that nobody calls it normal.
    """
    random, out = dictation.random, {}
    for _ in range(1 + (random() < 0.5)):
        by_fate: dict[str, list[Seen]] = {}
        for seen in (s for group in regions.values() for s in group if not s.cause):
            by_fate.setdefault(_fate(seen), []).append(seen)
        groups = [(fate, group) for fate, group in by_fate.items() if len(group) > 1]
        gone = [s for fate in _GONE for s in by_fate.get(fate, ())]
        there = [s for fate in ("present", "stable", "improved", "device", "stable_device") for s in by_fate.get(fate, ())]
        if gone and there and random() < 0.5:
            taken = [dictation.pick(gone), dictation.pick(there)]
            text = _gone_but(dictation, *taken)
        elif groups and random() < 0.75:
            fate, group = dictation.pick(groups)
            first = int(random() * (len(group) - 1))
            taken = group[first : first + 2 + int(random() * 4)]
            text = _listed(dictation, fate, taken)
        elif there and (dictation.tails or random() < 0.5):
            taken = [dictation.pick(there)]
            text = _but(dictation, taken[0])
        else:
            break
        for seen in taken:
            regions[seen.concept.region].remove(seen)
        out.setdefault(taken[0].concept.region, []).append(text)
    return out


def compounded(dictation: Dictation, seen: Sequence[Seen]) -> tuple[list[str], list[Seen]]:
    """Dictate some findings in common statements; give these, and the findings that are still to be named."""
    regions: dict[str, list[Seen]] = {}
    for s in seen:
        regions.setdefault(s.concept.region, []).append(s)
    statements = [text for texts in compound(dictation, regions).values() for text in texts]
    return statements, [s for group in regions.values() for s in group]


def _listed(dictation: Dictation, fate: str, taken: Sequence[Seen]) -> str:
    random = dictation.random
    presence = Presence.ABSENT.value if fate in _GONE else None
    plain = fate == "uncertain" or random() < 0.4
    words = [dictation.mention(s, presence, plain=plain)[0] for s in taken]
    last = " or " if fate == "uncertain" else " and "
    if len(words) > 2 and random() < 0.5:
        last = "," + last
    text = ", ".join(words[:-1]) + last + words[-1]
    return dictation.framed(_FRAMES[fate], [(text, "many")], article=False)


def _gone_but(dictation: Dictation, gone: Seen, there: Seen) -> str:
    random = dictation.random
    mentions = [
        dictation.mention(gone, Presence.ABSENT.value, plain=random() < 0.6), dictation.mention(there, plain=random() < 0.3)
    ]  # fmt: skip
    return dictation.framed("removed_but" if gone.change == "removed" else "resolved_but", mentions)


def _but(dictation: Dictation, there: Seen) -> str:
    """Dictate an exception: what there is, and that the rest is not."""
    mention = dictation.mention(there)
    if dictation.tails:
        names = dictation.tails.pop()
        return dictation.framed(_BUT[len(names) - 1], [mention, *dictation.denied(names)])
    return dictation.framed("except_lungs" if there.concept.region == "lungs" else "except_any", [mention])


def opened(dictation: Dictation, statements: list[str]) -> list[str]:
    """Open a section with a comparison: as a statement of its own, or before the first one."""
    if not statements or dictation.random() < 0.4:
        return [dictation.say("opening"), *statements]
    return [f"{dictation.say('opening_clause')} {statements[0]}", *statements[1:]]


def headed(statements: list[tuple[str, str]], random: Callable[[], float]) -> list[str]:
    """Put the name of the organ before the first statement of each region; `finish` sets it on a line of its own."""
    out, last = [], ""
    style = str.upper if random() < 0.7 else str.capitalize
    for region, text in statements:
        name = _HEADS.get(region, "")
        out.append(f"\x02{style(name)}\x02{text}" if name and name != last else text)
        last = name or last
    return out


_HEADS = {
    "heart": "heart", "mediastinum": "mediastinum", "vessels": "vessels", "hila": "hila", "volumes": "lungs", "lungs": "lungs",
    "pleura": "pleura", "diaphragm": "diaphragm", "soft": "soft tissues", "bones": "bones", "spine": "bones",
    "devices": "lines and tubes",
}  # fmt: skip
