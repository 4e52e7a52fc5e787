"""Dictate the statements of one synthetic report: mentions of findings, and the sentences around them.

Evidence is carried inside the text as private-use characters: one that names the mark before the phrase, `CLOSE` after it.
They survive every later change of the text (capitals, typing errors, masking) and are taken out at the very end, so the
offsets of the evidence are right by construction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radbook.core.findings import Presence
from radbook.corpora.synthetic.grammar import Concept, Grammar, Phrase, Pool
from radbook.corpora.synthetic.templates import write

__all__ = ["CLOSE", "OPEN", "Dictation", "Seen"]

OPEN, CLOSE = 0xE000, "\uf8ff"
_ABSENT = ("absent_one", "absent_two", "absent_three", "absent_four")
_OTHER = {"left": "right", "right": "left"}
# How two explanations are weighed: the frame, and what becomes of the first and the second.
_BALANCES = (
    ("balance_doubt", Presence.PRESENT, Presence.UNCERTAIN),
    ("balance_doubt", Presence.PRESENT, Presence.UNCERTAIN),
    ("balance_not", Presence.PRESENT, Presence.ABSENT),
    ("balance_both", Presence.UNCERTAIN, Presence.UNCERTAIN),
)
_AS_BEFORE = ("unchanged", "stable", "as before", "similar to prior")
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
                return self._balanced(first, second)
        presence = "present" if sure else "uncertain"
        text = self.mention(first, presence, plain=self.random() < 0.75)[0]
        second = self._other(seen, self.pick(causes))
        if self.random() < 0.3 and second.concept is not first.concept:
            link = self.say("or_link")
            presence = "present" if sure and self._taken(second, link) else "uncertain"
            text += link + self.mention(second, presence, plain=True)[0]
        self.context["Y"] = text
        return self.say("certain_link" if sure else "uncertain_link")

    def _balanced(self, first: Seen, second: Seen) -> str:
        """Dictate what a finding is thought to be, with the alternative that is thought of beside it."""
        frame, one, other = self.pick(_BALANCES)
        plain = self.random() < 0.8
        text = self.mention(first, one.value, plain=plain)[0]
        self.context["Z"] = self.mention(second, other.value, plain=True)[0]
        self.context["Y"] = text
        return self.say(frame)

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
