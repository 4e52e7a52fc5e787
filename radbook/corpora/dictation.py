"""Write the sections of one synthetic report: mentions of findings, sentences around them, normal
statements, impressions.

Evidence is carried inside the text as private-use characters: one that names the mark before the phrase,
`CLOSE` after it.
They survive every later change of the text (capitals, typing errors, masking) and are taken out at the
very end, so the
offsets of the evidence are right by construction.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radbook.corpora.compounds import balanced, compound, compounded, headed, opened
from radbook.corpora.grammar import Concept, Grammar, Phrase, Pool, write
from radbook.schema import Presence

__all__ = ["CLOSE", "OPEN", "Dictation", "Seen", "finish"]

OPEN, CLOSE = 0xE000, "\uf8ff"
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
_ABSENT = ("absent_one", "absent_two", "absent_three", "absent_four")
_OTHER = {"left": "right", "right": "left"}
_TAIL = ("tail_one", "tail_two", "tail_three")
_AS_BEFORE = ("unchanged", "stable", "as before", "similar to prior")
_AGAIN = ("stable ", "unchanged ", "mild ", "new ", "again ", "persistent ")
_BLURRED = {"lungs", "volumes", "vessels", "pleura"}
# In a disjunction ("atelectasis or pneumonia") coders take these as said of the patient; the others stay
# open.
_TAKEN = {
    "airspace_disease", "atelectasis", "granuloma", "infiltrate", "lung_scar", "pleural_effusion",
    "pleural_scar", "pleural_thickening",
}


@dataclass
class Seen:
    """One finding of one patient as the radiologist thinks of it; `change` says how it compares with the
    last report."""

    concept: Concept
    presence: str = "present"
    place: dict | None = None
    side: str = "left"
    level: int = 1
    size: str = ""
    change: str = ""
    cause: str = ""


class Dictation:
    """Dictate one report.

    `marks` collects (concept, presence) of each evidence mark in the text; `tails` holds groups of absent
    findings that
    are to be denied at the end of another statement ("cardiomegaly without edema").
    """

    def __init__(self, grammar: Grammar, random: Callable[[], float]) -> None:
        self.grammar = grammar
        self.slots = grammar.slots
        self.random = random
        self.marks: list[tuple[Concept, str]] = []
        self.context: dict[str, str] = {">": CLOSE, "side": "left"}
        self.tails: list[Sequence[str]] = []

    def pick(self, options: Sequence) -> object:
        return options[int(self.random() * len(options))]

    def say(self, name: str) -> str:
        return write(self.slots[name], self.random, self.context)

    def mention(
        self, seen: Seen, presence: str | None = None, *, plain: bool = False, clauses: bool = False
    ) -> tuple[str, str]:
        """Give one wording of a finding with its evidence marked, and its grammatical number."""
        concept, random = seen.concept, self.random
        pool = self._pool(concept)
        phrase = self._phrase(pool, seen, clauses)
        graded = concept.severity and not plain and seen.change not in ("improved", "worse")
        sev = "" if not graded or random() < 0.45 else self._write(concept.severity[seen.level]) + " "
        loc = at = ""
        if seen.place and not plain:
            chance = random()
            if chance < 0.48:
                loc = self._write(seen.place["adj"]) + " "
            elif chance < 0.78:
                at = " " + self._write(seen.place["at"])
        context = self.context
        context["sev"], context["loc"], context["at"] = sev, loc, at
        context["sevly"] = "" if random() < 0.35 else self._write(concept.adverbs[seen.level]) + " "
        context["side"] = seen.side if seen.side in ("left", "right") else self.pick(("left", "right"))
        context["measure"] = seen.size or f"{1 + int(random() * 60) / 10:.1f} cm"
        context["size"] = seen.size + " " if seen.size and random() < 0.5 else ""
        self._mark(concept, presence or seen.presence)
        text = write(phrase.node, random, context)
        if phrase.wrap:
            text = (loc + sev if loc and random() < 0.12 else sev + loc) + text + at
        return text, phrase.number

    def _write(self, options: list) -> str:
        return write(options, self.random, self.context)

    def _pool(self, concept: Concept) -> Pool:
        if concept.idiom.phrases and self.random() < self.grammar.settings["idiom"]:
            return concept.idiom
        return concept.standard

    def _phrase(self, pool: Pool, seen: Seen, clauses: bool) -> Phrase:
        whole = len(pool.clauses)
        if clauses and whole and self.random() < whole / (whole + len(pool.phrases)):
            return self.pick(pool.clauses)
        if seen.side == "both" and pool.many and self.random() < 0.8:
            return self.pick(pool.many)
        return self.pick(pool.phrases)

    def framed(self, frame: str, mentions: Sequence[tuple[str, str]], *, article: bool = True) -> str:
        """Put mentions into a sentence frame, with agreement of number and article."""
        context = self.context
        for name, mention in zip("XYZW", mentions, strict=False):
            context[name] = mention[0]
        many = mentions[0][1] == "many"
        context["is"], context["has"], context["s"] = ("are", "have", "") if many else ("is", "has", "s")
        context["a"] = "\x01" if article and mentions[0][1] == "one" and self.random() < 0.8 else ""
        return self.say(frame)

    def state(self, seen: Seen) -> str:
        """Dictate one statement about one finding, with its cause where it has one."""
        change = seen.change
        if change in ("resolved", "removed"):
            if seen.concept.gone and self.random() < 0.3:
                self._mark(seen.concept, Presence.ABSENT.value)
                self.context["side"] = seen.side if seen.side in _OTHER else "left"
                return self._write(seen.concept.gone)
            return self.framed(change, [self.mention(seen, "absent", plain=self.random() < 0.6)])
        if seen.presence == "uncertain":
            return self.framed("uncertain", [self.mention(seen, plain=self.random() < 0.3)])
        text, number = self.mention(seen, clauses=not change or self.random() < 0.3)
        article = seen.side != "both"
        if seen.concept.either and number != "clause" and self.random() < 0.12:
            text += self.or_else(seen)
        if not change and number != "clause" and seen.concept.region != "devices" and self.random() < 0.16:
            statement = self.say("prefix") + " " + text
        elif number == "clause":
            statement = text + (f", {self.pick(_AS_BEFORE)}" if change == "stable" else "")
        else:
            frame = change or "present"
            if seen.concept.region == "devices" and frame in ("present", "stable"):
                frame += "_device"
            statement = self.framed(frame, [(text, number)], article=article)
        if seen.cause:
            return statement + self.because(seen)
        chance = self.grammar.settings["opposite"] if seen.concept.opposite and seen.side in _OTHER else 0
        if chance and self.random() < chance:
            self.context["other"] = _OTHER[seen.side]
            return statement + ". " + self._write(seen.concept.opposite)
        return statement + self.say("qualifier") if self.random() < 0.1 else statement

    def because(self, seen: Seen) -> str:
        """Dictate what a finding is thought to be: surely, or only perhaps."""
        causes = seen.concept.causes
        sure = seen.cause == "certain"
        first = self._other(seen, self.pick(causes))
        balance = self.grammar.settings["balance"]
        if balance and self.random() < balance:
            second = self._other(seen, self.pick(causes))
            if second.concept.finding.category != first.concept.finding.category:
                return balanced(self, seen, first, second)
        presence = "present" if sure else "uncertain"
        text = self.mention(first, presence, plain=self.random() < 0.75)[0]
        second = self._other(seen, self.pick(causes))
        if self.random() < 0.3 and second.concept is not first.concept:
            link = self.say("or_link")
            presence = "present" if sure and self._taken(second, link) else "uncertain"
            text += link + self.mention(second, presence, plain=True)[0]
        self.context["Y"] = text
        return self.say("certain_link" if sure else "uncertain_link")

    def or_else(self, seen: Seen) -> str:
        """Dictate the other half of a disjunction ("atelectasis or infiltrate")."""
        other = self._other(seen, self.pick(seen.concept.either))
        link = self.say("either_link")
        presence = "present" if seen.presence == "present" and self._taken(other, link) else "uncertain"
        return link + self.mention(other, presence, plain=self.random() < 0.8)[0]

    def _taken(self, other: Seen, link: str) -> bool:
        doubted = " v" in link and self.grammar.settings["versus_doubts"]
        return other.concept.id in _TAKEN and not doubted

    def _other(self, seen: Seen, name: str) -> Seen:
        concept = self.grammar.concepts[name]
        places = concept.places
        return Seen(concept, place=seen.place if places else None, side=seen.side, level=min(seen.level, 1))

    def deny(self, names: Sequence[str], frames: Sequence[str] = _ABSENT) -> str:
        """Dictate that some findings are absent, in one statement."""
        return self.framed(frames[len(names) - 1], self.denied(names))

    def denied(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Give wordings of findings that are absent."""
        mentions = []
        for name in names:
            concept = self.grammar.concepts[name]
            self._mark(concept, Presence.ABSENT.value)
            mentions.append((self._write(concept.negated), "mass"))
        return mentions

    def _mark(self, concept: Concept, presence: str) -> None:
        self.context["<"] = chr(OPEN + len(self.marks))
        self.marks.append((concept, presence))

    def findings(self, seen: Sequence[Seen], denied: Sequence[Sequence[str]], detail: float) -> list[str]:
        """Dictate the statements of the findings section; `detail` is the share of regions that are spoken
        of."""
        random = self.random
        order = list(_ORDERS[int(random() * len(_ORDERS))])
        if random() < 0.2:
            order.sort(key=lambda _: random())
        regions: dict[str, list[Seen]] = {}
        for s in seen:
            regions.setdefault(s.concept.region, []).append(s)
        out = [self.say("technique")] if random() < 0.14 * (0.5 + detail) else []
        deny_at = "lungs" if random() < 0.6 else self.pick(order)
        settings = self.grammar.settings
        common = compound(self, regions) if settings["compound"] and random() < settings["compound"] else {}
        by_organ = settings["headed"] and random() < settings["headed"]
        said: list[tuple[str, str]] = []
        for region in order:
            part = common.get(region, []) + self._together(regions.get(region, ()))
            if region not in regions:
                part += self._normal(region, regions, 0.9 if by_organ else detail)
            if region == deny_at:
                part += [self.deny(names) for names in denied]
            said += [(region, text) for text in part]
        out += headed(said, random) if by_organ else [text for _, text in said]
        if settings["opening"] and not by_organ and random() < settings["opening"]:
            out = opened(self, out)
        for _ in range(int(random() * 1.3) + (random() < 0.12)):
            out.insert(int(random() * (len(out) + 1)), self.say("others"))
        if random() < 0.08 * detail:
            out.append(self.say("abdomen"))
        return out

    def _together(self, seen: Sequence[Seen]) -> list[str]:
        out, held = [], list(seen)
        while held:
            first = held.pop(0)
            pair = [first, *held[:1]]
            simple = not first.cause and all(not s.change and s.presence == "present" for s in pair)
            if simple and held and self.random() < 0.35:
                second = held.pop(0)
                text, number = self.mention(first, clauses=True)
                tail = self.because(second) if second.cause else ""
                if number == "clause":
                    out.append(text + self.say("clause_join") + self.mention(second)[0] + tail)
                    continue
                joined = text + self.say("join") + self.mention(second)[0]
                devices = "devices" in (first.concept.region, second.concept.region)
                number = "many" if " and " in joined else number
                out.append(self.framed("present_device" if devices else "present", [(joined, number)]) + tail)
            else:
                out.append(self.state(first))
            if self.tails and self.random() < 0.5:
                out[-1] += self.deny(self.tails.pop(), _TAIL)
        return out

    def _normal(self, region: str, regions: dict, detail: float) -> list[str]:
        if self.random() > detail:
            return []
        if region == "heart":
            both = "mediastinum" not in regions and self.random() < 0.5
            return [self.say("heart_mediastinum_normal" if both else "heart_normal")]
        if region == "mediastinum":
            return [self.say("mediastinum_normal")] if self.random() < 0.5 else []
        if region == "vessels":
            return [self.say("vessels_normal")] if self.random() < 0.45 else []
        if region == "lungs":
            return [self.say("lungs_otherwise" if _BLURRED & regions.keys() else "lungs_normal")]
        if region == "pleura":
            return [self.say("pleura_normal")] if self.random() < 0.15 else []
        if region == "bones":
            return [self.say("bones_normal")] if self.random() < 0.75 else []
        return []

    def impression(self, seen: Sequence[Seen]) -> list[str]:
        """Dictate the statements of the impression: what matters again, in other words, and that the rest
        is well."""
        random = self.random
        named = [s for s in seen if random() < _weight(s.concept)]
        if not named:
            out = [self.say("impression_otherwise" if seen and random() < 0.5 else "impression_normal")]
            return [*out, self.say("impression_normal")] if random() < 0.15 else out
        chance = self.grammar.settings["compound"] / 2
        common, named = compounded(self, named) if chance and random() < chance else ([], named)
        out = common + (self._together(named) if random() < 0.6 else self._listed(named) if named else [])
        if random() < 0.45:
            out.insert(0 if random() < 0.3 else len(out), self.say("impression_otherwise"))
        if random() < 0.16:
            out.append(self.say("recommendation"))
        return out

    def _listed(self, named: Sequence[Seen]) -> list[str]:
        plain = [s for s in named if s.presence == "present" and s.change not in ("resolved", "removed")]
        rest = [s for s in named if s not in plain]
        if not plain:
            return self._together(rest)
        words = [self.mention(s)[0] for s in plain]
        text = words[0] + "".join((" with ", " and ", ", ")[int(self.random() * 3)] + w for w in words[1:])
        if plain[-1].cause and self.random() < 0.5:
            text += self.because(plain[-1])
        if self.random() < 0.25:
            text = self.pick(_AGAIN) + text
        return [text, *self._together(rest)]


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
