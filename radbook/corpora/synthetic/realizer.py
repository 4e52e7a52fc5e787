"""Dictate the statements of one synthetic report: mentions of findings, and the sentences around them.

Evidence is carried inside the text as private-use characters: one that names the mark before the phrase, `CLOSE` after it.
They survive every later change of the text (capitals, typing errors, masking) and are taken out at the very end, so the
offsets of the evidence are right by construction.
"""

from collections.abc import Sequence

from radbook.corpora.synthetic.dice import Dice
from radbook.corpora.synthetic.grammar import Concept, Grammar, Phrase
from radbook.corpora.synthetic.patients import GONE, Seen
from radbook.corpora.synthetic.templates import Node, write

__all__ = ["CLOSE", "OPEN", "Dictation"]

OPEN, CLOSE = 0xE000, "\uf8ff"
_COUNTS = ("", "one", "two", "three", "four")
_OTHER = {"left": "right", "right": "left"}

Mention = tuple[str, str]  # a wording and its grammatical number


class Dictation:
    """Dictate one report.

    `marks` collects (concept, presence) of each evidence mark in the text; `tails` holds groups of absent findings that
    are to be denied at the end of another statement ("cardiomegaly without edema").
    """

    def __init__(self, grammar: Grammar, dice: Dice) -> None:
        self.grammar = grammar
        self.dice = dice
        self.marks: list[tuple[Concept, str]] = []
        self.context: dict[str, str] = {">": CLOSE, "side": "left"}
        self.tails: list[Sequence[str]] = []

    def say(self, slot: str) -> str:
        """Write one entry of a slot of the grammar."""
        return self._write(self.grammar.slots[slot])

    def mention(
        self, seen: Seen, presence: str | None = None, *, plain: bool = False, clauses: bool = False
    ) -> Mention:
        """Give one wording of a finding with its evidence marked; `plain` leaves severity and place out."""
        concept, dice, context = seen.concept, self.dice, self.context
        phrase = self._phrase(seen, clauses)
        graded = concept.severity and not plain and seen.change not in ("improved", "worse")
        sev = self._write(concept.severity[seen.level]) + " " if graded and not dice.happens("no_severity") else ""
        form = dice.name("place") if seen.place and not plain else ""
        loc = self._write(seen.place["adj"]) + " " if form == "adj" else ""
        at = " " + self._write(seen.place["at"]) if form == "at" else ""
        context |= {"sev": sev, "loc": loc, "at": at}
        context["sevly"] = "" if dice.happens("no_adverb") else self._write(concept.adverbs[seen.level]) + " "
        context["side"] = seen.side if seen.side in _OTHER else dice.pick(("left", "right"))
        context["measure"] = seen.size or f"{dice.number('measure') / 10:.1f} cm"
        context["size"] = seen.size + " " if seen.size and dice.happens("size_first") else ""
        self._mark(concept, presence or seen.presence)
        text = self._write(phrase.node)
        if phrase.wrap and phrase.number != "clause":
            text = (loc + sev if loc and dice.happens("place_first") else sev + loc) + text + at
        return text, phrase.number

    def framed(self, frame: str, mentions: Sequence[Mention], *, article: bool = True) -> str:
        """Put mentions into a sentence frame, with agreement of number and article."""
        number = mentions[0][1]
        self.context |= dict(zip("XYZW", (text for text, _ in mentions), strict=False))
        verbs = ("are", "have", "") if number == "many" else ("is", "has", "s")
        self.context |= zip(("is", "has", "s"), verbs, strict=True)
        self.context["a"] = "\x01" if article and number == "one" and self.dice.happens("article") else ""
        return self.say(frame)

    def state(self, seen: Seen) -> str:
        """Dictate one statement about one finding, with its cause where it has one."""
        concept, change, dice = seen.concept, seen.change, self.dice
        if change in GONE:
            if concept.gone and dice.happens("gone_idiom"):
                self._mark(concept, "absent")
                self.context["side"] = seen.side if seen.side in _OTHER else "left"
                return self._write(concept.gone)
            return self.framed(change, [self.mention(seen, "absent", plain=dice.happens("gone_plain"))])
        if seen.presence == "uncertain":
            return self.framed("uncertain", [self.mention(seen, plain=dice.happens("uncertain_plain"))])
        text, number = self.mention(seen, clauses=not change or dice.happens("compared_clause"))
        clause = number == "clause"
        if concept.either and not clause and dice.happens("either"):
            text += self._or(self._other(seen, concept.either), "either_link", seen.presence)
        if not change and not clause and not concept.device and dice.happens("prefix"):
            statement = self.say("prefix") + " " + text
        elif clause:
            statement = text + (f", {self.say('as_before')}" if change == "stable" else "")
        else:
            frame = change or "present"
            frame += "_device" if concept.device and frame in ("present", "stable") else ""
            statement = self.framed(frame, [(text, number)], article=seen.side != "both")
        if seen.cause:
            return statement + self.because(seen)
        if concept.opposite and seen.side in _OTHER and dice.happens("opposite"):
            self.context["other"] = _OTHER[seen.side]
            return statement + ". " + self._write(concept.opposite)
        return statement + self.say("qualifier") if dice.happens("qualifier") else statement

    def because(self, seen: Seen) -> str:
        """Dictate what a finding is thought to be: surely, only perhaps, or weighed against something else."""
        dice, presence = self.dice, "present" if seen.cause == "certain" else "uncertain"
        first = self._other(seen, seen.concept.causes)
        if dice.happens("balance"):
            second = self._other(seen, seen.concept.causes)
            if second.concept.finding.category != first.concept.finding.category:
                frame, one, other = dice.pick(self.grammar.words["balances"])
                text = self.mention(first, one, plain=dice.happens("balance_plain"))[0]
                self.context["Z"] = self.mention(second, other, plain=True)[0]
                self.context["Y"] = text
                return self.say(frame)
        text = self.mention(first, presence, plain=dice.happens("cause_plain"))[0]
        second = self._other(seen, seen.concept.causes)
        if dice.happens("second_cause") and second.concept is not first.concept:
            text += self._or(second, "or_link", presence, plain=True)
        self.context["Y"] = text
        return self.say("certain_link" if seen.cause == "certain" else "uncertain_link")

    def deny(self, names: Sequence[str], frame: str = "absent") -> str:
        """Dictate that some findings are absent, in one statement."""
        return self.framed(f"{frame}_{_COUNTS[len(names)]}", self.denied(names))

    def denied(self, names: Sequence[str]) -> list[Mention]:
        """Give wordings of findings that are absent."""
        mentions = []
        for name in names:
            concept = self.grammar.concepts[name]
            self._mark(concept, "absent")
            mentions.append((self._write(concept.negated), "mass"))
        return mentions

    def but(self, there: Seen) -> str:
        """Dictate an exception: what there is, and that the rest is not."""
        mention = self.mention(there)
        if not self.tails:
            return self.framed("except_lungs" if there.concept.region == "lungs" else "except_any", [mention])
        names = self.tails.pop()
        return self.framed(f"but_{_COUNTS[len(names)]}", [mention, *self.denied(names)])

    def _or(self, other: Seen, link_slot: str, presence: str, *, plain: bool = False) -> str:
        """Dictate the other half of a disjunction ("atelectasis or infiltrate")."""
        link, words = self.say(link_slot), self.grammar.words
        doubted = " v" in link and self.dice.chances["versus_doubts"]
        taken = presence == "present" and other.concept.id in words["taken"] and not doubted
        plain = plain or self.dice.happens("either_plain")
        return link + self.mention(other, "present" if taken else "uncertain", plain=plain)[0]

    def _phrase(self, seen: Seen, clauses: bool) -> Phrase:
        dice, pool = self.dice, seen.concept.standard
        if seen.concept.idiom.phrases and dice.happens("idiom"):
            pool = seen.concept.idiom
        whole = len(pool.clauses)
        if clauses and whole and dice.random() < whole / (whole + len(pool.phrases)):
            return dice.pick(pool.clauses)
        return dice.pick(pool.many if seen.side == "both" and pool.many and dice.happens("plural") else pool.phrases)

    def _other(self, seen: Seen, names: Sequence[str]) -> Seen:
        concept = self.grammar.concepts[self.dice.pick(names)]
        place = seen.place if concept.places else None
        return Seen(concept, place=place, side=seen.side, level=min(seen.level, 1))

    def _mark(self, concept: Concept, presence: str) -> None:
        self.context["<"] = chr(OPEN + len(self.marks))
        self.marks.append((concept, presence))

    def _write(self, node: Node) -> str:
        return write(node, self.dice.random, self.context)
