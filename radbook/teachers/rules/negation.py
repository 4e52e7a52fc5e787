"""Decide whether a mention is present, uncertain or absent.

The idea is NegEx's (Chapman et al., 2001): phrases that deny what stands before or behind them, phrases that only look as if
they did, and words at which a denial ends. Chest reports need more: the longest trigger at a place wins ("not" in "not
excluded" denies nothing), clauses end at commas and at "and" too ("no effusion, heart is enlarged"), and the same matcher
carries hedges, recommendations and history.
Words are compared by their norms (see `lexicon.Speller`): a misspelt word and "can't" count as what they mean.
"""

from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter

from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

from radbook.core.findings import Presence
from radbook.teachers.rules.clauses import (
    JOINTS,
    Trigger,
    asides,
    complete,
    conjunctions,
    gapped,
    new_degrees,
    resumes,
    runs_on,
    splices,
)
from radbook.teachers.rules.lexicon import WORDS, load_lexicon, load_triggers
from radbook.teachers.rules.matcher import Mention

__all__ = ["Judge"]

_AFTER = frozenset(("negation_after", "hedge_after", "hedge_near", "probable_after"))
_LISTS, _SIGHT, _PERSISTING, _ANSWERS = (WORDS[k] for k in ("lists", "sight", "persisting", "answers"))
_ARTICLES, _STILL = WORDS["articles"], WORDS["going_on"]
_SENTENCE_JOINTS = JOINTS | WORDS["verbs"]
# How many tokens may lie between a trigger and its finding; the others reach to the end of their clause.
_REACH = {"history_before": 5, "hedge_near": 4}


class Judge:
    """Says of each mention of a sentence whether it is there, and which trigger decided."""

    def __init__(self, nlp: Language) -> None:
        self.kinds = load_triggers()
        self.matcher = PhraseMatcher(nlp.vocab, attr="NORM")
        for kind, phrases in self.kinds.items():
            self.matcher.add(kind, [nlp.tokenizer(phrase) for phrase in phrases])

    def judge(self, doc: Doc, words: list[str], mentions: list[Mention]) -> list[tuple[Mention, Presence, str]]:
        """Return each mention with its presence and the trigger that decided ("" for none)."""
        rules = load_lexicon().rules
        triggers = self._triggers(doc, words, {m.start for m in mentions})
        clauses = _clauses(words, triggers, sorted({(m.start, m.end) for m in mentions}))
        judged = []
        for mention in mentions:
            rule = rules[mention.rule]
            i = bisect_right(clauses, mention.start) - 1
            context = _Context(doc, words, mentions, triggers, mention, clauses[i], clauses[i + 1])
            presence, why = Presence(rule.presence), ""
            if context.dismissed():
                continue
            if mention.end <= context.end and (why := context.first("neg", "negation_before", "negation_after")):
                presence = Presence.ABSENT
            elif why := (
                context.first("asked", "recommendation")
                or context.first("hedge", "hedge_before", "hedge_after", "hedge_near")
                or ("" if rule.lasting else context.first("history", "history_before"))
            ):
                presence = Presence.UNCERTAIN
            else:
                why = context.first("likely", "probable_before", "probable_after")
            judged.append((mention, presence, why))
        return judged

    def _triggers(self, doc: Doc, words: list[str], firsts: set[int]) -> dict[str, list[Trigger]]:
        """Sort the triggers of a sentence by kind; the longest at a place wins over those inside it."""
        by_kind: dict[str, list[Trigger]] = {kind: [] for kind in (*self.kinds, "refused", "supposed")}
        covered: list[Trigger] = []
        for kind, start, end in gapped(words):
            # "The previous effusion had ..." speaks of the effusion, "the previous film had ..." of that film.
            if kind != "former":
                by_kind[kind].append((start, end))
            elif firsts.isdisjoint(range(start, end)):
                by_kind["dismissed_before"].append((end - 1, end))
        for kind in ("hedge_before", "hedge_after"):
            by_kind[kind] += by_kind["refused"]
        covered += by_kind["refused"]
        for key, start, end in sorted(self.matcher(doc), key=lambda m: (m[1] - m[2], m[1])):
            kind = doc.vocab.strings[key]
            if any(a <= start and end <= b and (a, b) != (start, end) for a, b in covered):
                continue
            if kind != "pseudo" and any(start < b and a < end for a, b in by_kind["pseudo"]):
                continue
            answers = words[end - 1] in _ANSWERS or words[start] == "absent"
            if kind == "negation_after" and answers and words[end : end + 1] not in ([], [","]):
                # "Effusion: no" is an answer, "Lungs: no effusion" is not; so with "... I do not see" and "- absent".
                continue
            if kind != "termination":
                covered.append((start, end))
            by_kind[kind].append((start, end))
        by_kind["negation_after"] += [t for t in by_kind["mistaken"] if firsts.isdisjoint(range(t[1], len(words)))]
        for kind in ("negation_after", "hedge_after"):
            by_kind[kind] = [t for t in by_kind[kind] if _of_the_whole(t, by_kind["part"], words)]
        if by_kind["negation_after"]:
            first = min(start for start, _ in by_kind["negation_after"])
            by_kind["negation_before"] += [t for t in by_kind["echo"] if t[0] > first]
        by_kind["negation_after"] = [t for t in by_kind["negation_after"] if not _undone(t, firsts, words)]
        return by_kind


def _clauses(words: list[str], triggers: dict[str, list[Trigger]], places: list[Trigger]) -> list[int]:
    """Return where the clauses begin, and the end of the last."""
    denied = triggers["negation_after"]
    breaks = {0, len(words), *splices(words), *asides(words, denied), *runs_on(words, places)}
    for start, end in sorted(triggers["termination"], key=itemgetter(0)):
        left = words[max(b for b in breaks if b <= start) : start]
        # "the line and the drain have been removed": one list, one verb.
        after = any(t[0] >= end for t in denied + triggers["hedge_after"])
        listed = after and words[end - 1] in _ARTICLES and not complete(left)
        # "nodules, none of which is seen"
        relative = words[start] == "which" and (words[start - 1] == "of" or resumes(words, end, denied))
        if not (listed or relative):
            breaks.add(start)
    breaks.update(new_degrees(words, triggers["hedge_before"]))
    return sorted(breaks | set(conjunctions(words, breaks)))


def _of_the_whole(trigger: Trigger, parts: list[Trigger], words: list[str]) -> bool:
    start, end = trigger
    if _SIGHT.isdisjoint(words[start:end]):
        return True
    # "The tip of the line is not seen": the line is there.
    return not any(e <= start and _SENTENCE_JOINTS.isdisjoint(words[e:start]) for _, e in parts)


def _undone(trigger: Trigger, firsts: set[int], words: list[str]) -> bool:
    start, end = trigger
    for joint, goes_on in (("but", _STILL), ("and", _PERSISTING)):
        # "has cleared on the right but persists on the left"
        if joint in words[end:-1] and words[words.index(joint, end) + 1] in goes_on:
            return True
    # "improved atelectasis and resolved effusion": the participle belongs to what follows.
    return end - start == 1 and start > 0 and words[start - 1] in JOINTS and not firsts.isdisjoint(range(end, end + 3))


@dataclass(slots=True)
class _Context:
    """The clause of one mention, and what is said in it."""

    doc: Doc
    words: list[str]
    mentions: list[Mention]
    triggers: dict[str, list[Trigger]]
    mention: Mention
    start: int
    end: int

    def dismissed(self) -> bool:
        # Said of somebody else, of an earlier film, or of what may come.
        place, before, after = self.mention.start, self.triggers["dismissed_before"], self.triggers["dismissed_after"]
        if not (before or after or self.triggers["supposed"]):
            return False
        return (
            any(start <= place for start, _ in self.triggers["supposed"])
            or any(self.start <= start and end <= place for start, end in before)
            or any(self.mention.end <= start < self.end for start, _ in after)
        )

    def first(self, name: str, *kinds: str) -> str:
        for kind in kinds:
            if not (triggers := self.triggers[kind]):
                continue
            hits = [t for t in triggers if self._bears(t, kind)]
            if hits:
                start, end = (min if kind in _AFTER else max)(hits, key=itemgetter(0))
                return f"{name}:{self.doc[start:end].text}"
        return ""

    def _bears(self, trigger: Trigger, kind: str) -> bool:
        start, end = trigger
        # A request governs its whole sentence; anything else its clause.
        if kind != "recommendation" and not self.start <= start < self.end:
            return False
        if kind == "hedge_after" and not self._doubted(start, end):
            return False
        if kind == "hedge_near" and self._nearer(self.mention.end, start):
            return False
        if kind in _AFTER:
            return end > self.mention.end and start - self.mention.end <= _REACH.get(kind, len(self.doc))
        if kind == "history_before":
            # "the prior effusion is unchanged" has it still.
            if any(w in ":," for w in self.words[end : self.mention.start]):
                return False
            if not _PERSISTING.isdisjoint(self.words[self.mention.end : self.end]):
                return False
        return start < self.mention.start and self.mention.start - end <= _REACH.get(kind, len(self.doc))

    def _doubted(self, start: int, end: int) -> bool:
        words = self.words
        if words[start] == "?" and end < len(words):
            # "opacity ?pneumonia" doubts the second.
            return words[end] in "),"
        if words[start - 1] == ",":
            # "likely edema, less likely pneumonia" doubts the second, not the first.
            return end >= self.end
        between = words[self.mention.end : start]
        if "," not in between:
            return True
        # "effusion, atelectasis, pneumonia not excluded" doubts the last alone, unless "or" makes one list of them.
        return not self._nearer(start - between[::-1].index(","), start)

    def _nearer(self, first: int, last: int) -> bool:
        # Another finding of no common list stands there.
        return any(first <= m.start < last for m in self.mentions) and _LISTS.isdisjoint(self.words[first:last])
