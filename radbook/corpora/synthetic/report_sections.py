"""Write the two paragraphs of one synthetic report, findings and impression, out of the statements of a `Dictation`.

Which regions are spoken of, in which order, what is said together, and what is called normal is drawn here; the wording
of one statement is the dictation's.
"""

import re
from collections.abc import Callable, Sequence

from radbook.corpora.synthetic.compounds import compound, compounded, headed, opened
from radbook.corpora.synthetic.grammar import Concept
from radbook.corpora.synthetic.realizer import Dictation, Seen

__all__ = ["findings", "finish", "impression"]

_ARTICLE = re.compile("\x01([\ue000-\uf8ff]*)(\\w?)")
_INNER = re.compile("([.] [\ue000-\uf8ff]*)([a-z])")
_FIRST = re.compile("[a-zA-Z?]")
_ORDERS = [
    order.split()
    for order in (
        "heart mediastinum vessels hila volumes lungs pleura diaphragm soft bones spine devices",
        "volumes lungs pleura heart mediastinum hila vessels diaphragm bones spine soft devices",
        "devices heart mediastinum vessels volumes lungs hila pleura diaphragm soft spine bones",
        "volumes heart vessels mediastinum hila devices lungs pleura soft diaphragm bones spine",
    )
]
_TAIL = ("tail_one", "tail_two", "tail_three")
_AGAIN = ("stable ", "unchanged ", "mild ", "new ", "again ", "persistent ")
_BLURRED = {"lungs", "volumes", "vessels", "pleura"}


def findings(dictation: Dictation, seen: Sequence[Seen], denied: Sequence[Sequence[str]], detail: float) -> list[str]:
    """Dictate the statements of the findings section; `detail` is the share of regions that are spoken of."""
    random = dictation.random
    order = list(_ORDERS[int(random() * len(_ORDERS))])
    if random() < 0.2:
        order.sort(key=lambda _: random())
    regions: dict[str, list[Seen]] = {}
    for s in seen:
        regions.setdefault(s.concept.region, []).append(s)
    out = [dictation.say("technique")] if random() < 0.14 * (0.5 + detail) else []
    deny_at = "lungs" if random() < 0.6 else dictation.pick(order)
    settings = dictation.grammar.settings
    common = compound(dictation, regions) if settings["compound"] and random() < settings["compound"] else {}
    by_organ = settings["headed"] and random() < settings["headed"]
    said: list[tuple[str, str]] = []
    for region in order:
        part = common.get(region, []) + _together(dictation, regions.get(region, ()))
        if region not in regions:
            part += _normal(dictation, region, regions, 0.9 if by_organ else detail)
        if region == deny_at:
            part += [dictation.deny(names) for names in denied]
        said += [(region, text) for text in part]
    out += headed(said, random) if by_organ else [text for _, text in said]
    if settings["opening"] and not by_organ and random() < settings["opening"]:
        out = opened(dictation, out)
    for _ in range(int(random() * 1.3) + (random() < 0.12)):
        out.insert(int(random() * (len(out) + 1)), dictation.say("others"))
    if random() < 0.08 * detail:
        out.append(dictation.say("abdomen"))
    return out


def _together(dictation: Dictation, seen: Sequence[Seen]) -> list[str]:
    out, held = [], list(seen)
    while held:
        first = held.pop(0)
        pair = [first, *held[:1]]
        simple = not first.cause and all(not s.change and s.presence == "present" for s in pair)
        if simple and held and dictation.random() < 0.35:
            second = held.pop(0)
            text, number = dictation.mention(first, clauses=True)
            tail = dictation.because(second) if second.cause else ""
            if number == "clause":
                out.append(text + dictation.say("clause_join") + dictation.mention(second)[0] + tail)
                continue
            joined = text + dictation.say("join") + dictation.mention(second)[0]
            devices = "devices" in (first.concept.region, second.concept.region)
            number = "many" if " and " in joined else number
            out.append(dictation.framed("present_device" if devices else "present", [(joined, number)]) + tail)
        else:
            out.append(dictation.state(first))
        if dictation.tails and dictation.random() < 0.5:
            out[-1] += dictation.deny(dictation.tails.pop(), _TAIL)
    return out


def _normal(dictation: Dictation, region: str, regions: dict, detail: float) -> list[str]:
    if dictation.random() > detail:
        return []
    if region == "heart":
        both = "mediastinum" not in regions and dictation.random() < 0.5
        return [dictation.say("heart_mediastinum_normal" if both else "heart_normal")]
    if region == "mediastinum":
        return [dictation.say("mediastinum_normal")] if dictation.random() < 0.5 else []
    if region == "vessels":
        return [dictation.say("vessels_normal")] if dictation.random() < 0.45 else []
    if region == "lungs":
        return [dictation.say("lungs_otherwise" if _BLURRED & regions.keys() else "lungs_normal")]
    if region == "pleura":
        return [dictation.say("pleura_normal")] if dictation.random() < 0.15 else []
    if region == "bones":
        return [dictation.say("bones_normal")] if dictation.random() < 0.75 else []
    return []


def impression(dictation: Dictation, seen: Sequence[Seen]) -> list[str]:
    """Dictate the statements of the impression: what matters again, in other words, and that the rest is well."""
    random = dictation.random
    named = [s for s in seen if random() < _weight(s.concept)]
    if not named:
        out = [dictation.say("impression_otherwise" if seen and random() < 0.5 else "impression_normal")]
        return [*out, dictation.say("impression_normal")] if random() < 0.15 else out
    chance = dictation.grammar.settings["compound"] / 2
    common, named = compounded(dictation, named) if chance and random() < chance else ([], named)
    out = common + (_together(dictation, named) if random() < 0.6 else _listed(dictation, named) if named else [])
    if random() < 0.45:
        out.insert(0 if random() < 0.3 else len(out), dictation.say("impression_otherwise"))
    if random() < 0.16:
        out.append(dictation.say("recommendation"))
    return out


def _listed(dictation: Dictation, named: Sequence[Seen]) -> list[str]:
    plain = [s for s in named if s.presence == "present" and s.change not in ("resolved", "removed")]
    rest = [s for s in named if s not in plain]
    if not plain:
        return _together(dictation, rest)
    words = [dictation.mention(s)[0] for s in plain]
    text = words[0] + "".join((" with ", " and ", ", ")[int(dictation.random() * 3)] + w for w in words[1:])
    if plain[-1].cause and dictation.random() < 0.5:
        text += dictation.because(plain[-1])
    if dictation.random() < 0.25:
        text = dictation.pick(_AGAIN) + text
    return [text, *_together(dictation, rest)]


def _weight(concept: Concept) -> float:
    """How likely a finding is named again in the impression."""
    return 0.3 if concept.quiet else 0.45 if concept.finding.category is None else 0.78


def finish(statement: str, random: Callable[[], float]) -> str:
    """Give a statement its articles, capital and full stop; the name of an organ before it goes on a new line."""
    if statement[:1] == "\x02":
        name, rest = statement[1:].split("\x02", 1)
        return f"\n{name}: {finish(rest, random)}"
    if "\x01" in statement:
        statement = _ARTICLE.sub(lambda m: ("an " if m[2] in "aeiou" else "a ") + m[1] + m[2], statement)
    if "  " in statement:
        statement = statement.replace("  ", " ")
    if ". " in statement:
        statement = _INNER.sub(lambda m: m[1] + m[2].upper(), statement)
    first = _FIRST.search(statement)
    if first:
        statement = statement[: first.start()] + first[0].upper() + statement[first.end() :]
    return statement + "." if random() < 0.97 else statement + ("", "..", " .")[int(random() * 3)]
