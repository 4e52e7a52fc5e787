"""Decide whether a mention is present, uncertain or absent.

Negation is negspacy's: `ClauseNegex` is its `Negex` with our termsets and three repairs, each needed on chest reports.
Its pseudo-negations also swallow a real negation that begins where they end (their end is compared inclusively);
a trigger inside a longer one of another kind counts twice ("not" in "not excluded"); and its scopes end only at listed
words, while reports chain clauses by commas and by "and" ("no effusion, heart is enlarged").
Words are compared by their norms (see `lexicon.Speller`): a misspelt word and "can't" count as what they mean.
The same matcher carries the hedges, recommendations and history words that negspacy has no notion of.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from negspacy.negation import Negex
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
    new_degrees,
    resumes,
    splices,
)
from radbook.teachers.rules.lexicon import load_lexicon, load_triggers, load_words
from radbook.teachers.rules.matcher import SPAN_KEY, Mention

__all__ = ["ClauseNegex", "judge"]

_NEGEX_KINDS = {
    "pseudo": "pseudo_negations",
    "negation_before": "preceding_negations",
    "negation_after": "following_negations",
    "termination": "termination",
}
_AFTER = frozenset(("negation_after", "hedge_after", "hedge_near", "probable_after"))
_WORDS = load_words()
_LISTS, _SIGHT, _PERSISTING, _ANSWERS = (_WORDS[k] for k in ("lists", "sight", "persisting", "answers"))
_ARTICLES = frozenset(("the", "a", "an"))
_STILL = frozenset(("persists", "persist", "remains", "remain", "still", "continues", "continue", "not"))
_SENTENCE_JOINTS = JOINTS | _WORDS["verbs"]


class ClauseNegex(Negex):
    """negspacy's NegEx over clauses, remembering which trigger decided."""

    def __init__(self, nlp: Language) -> None:
        self.triggers = load_triggers()
        termset = {ours: self.triggers[kind] for kind, ours in _NEGEX_KINDS.items()}
        super().__init__(nlp, "radbook_negex", termset, span_keys=[SPAN_KEY])
        self.kind_of = {nlp.vocab.strings[kind]: kind for kind in self.triggers}

    def build_patterns(self) -> None:
        # By norms, where negspacy compares letters: "can't" is "cannot", and misspelt words count.
        self.matcher = PhraseMatcher(self.nlp.vocab, attr="NORM")
        for kind, phrases in self.triggers.items():
            self.matcher.add(kind, [self.nlp.tokenizer(p) for p in phrases])

    def process_negations(self, doc: Doc):
        """Sort the triggers of a sentence by kind; the longest at a place wins over those inside it."""
        words = doc.user_data["words"]
        by_kind: dict[str, list[Trigger]] = {kind: [] for kind in self.triggers}
        covered: list[tuple[int, int]] = []
        for key, start, end in sorted(self.matcher(doc), key=lambda m: (m[1] - m[2], m[1])):
            kind = self.kind_of[key]
            if any(a <= start and end <= b and (a, b) != (start, end) for a, b in covered):
                continue
            if any(start < b and a < end for _, a, b in by_kind["pseudo"]) and kind != "pseudo":
                continue
            if kind == "negation_after" and end < len(words) and (
                words[end - 1] in _ANSWERS or words[start] == "absent"
            ):
                # "Effusion: no" is an answer, "Lungs: no effusion" is not; so with "... I do not see" and "- absent".
                continue
            if kind != "termination":
                covered.append((start, end))
            by_kind[kind].append((key, start, end))
        for kind in ("negation_after", "hedge_after"):
            by_kind[kind] = [t for t in by_kind[kind] if _of_the_whole(t, by_kind["part"], words)]
        if by_kind["negation_after"]:
            first = min(t[1] for t in by_kind["negation_after"])
            by_kind["negation_before"] += [t for t in by_kind["echo"] if t[1] > first]
        firsts = {m.start for m in doc.user_data[SPAN_KEY]}
        by_kind["negation_after"] = [t for t in by_kind["negation_after"] if not _undone(t, firsts, words)]
        doc.user_data["triggers"] = by_kind
        return by_kind["negation_before"], by_kind["negation_after"], by_kind["termination"]

    def termination_boundaries(self, doc: Doc, terminating):
        """Add the clause breaks of comma splices and of "and" to negspacy's boundaries."""
        words, triggers = doc.user_data["words"], doc.user_data["triggers"]
        breaks = {0, len(doc), *splices(words), *asides(words, triggers["negation_after"])}
        after = triggers["negation_after"] + triggers["hedge_after"]
        for _, start, end in sorted(terminating, key=lambda t: t[1]):
            left = words[max(b for b in breaks if b <= start) : start]
            # "the line and the drain have been removed": one list, one verb.
            listed = words[end - 1] in _ARTICLES and not complete(left) and any(t[1] >= end for t in after)
            if words[start] == "which" and (
                words[start - 1] == "of" or resumes(words, end, triggers["negation_after"])
            ):
                # "nodules, none of which is seen"
                continue
            if not listed:
                breaks.add(start)
        breaks.update(new_degrees(words, triggers["hedge_before"]))
        ordered = sorted(breaks | set(conjunctions(words, breaks)))
        doc.user_data["clauses"] = ordered
        return list(pairwise(ordered))

    def __call__(self, doc: Doc) -> Doc:
        return self.negex(doc) if SPAN_KEY in doc.user_data else doc


def _of_the_whole(trigger: Trigger, parts: list[Trigger], words: list[str]) -> bool:
    _, start, end = trigger
    if _SIGHT.isdisjoint(words[start:end]):
        return True
    # "The tip of the line is not seen": the line is there.
    return not any(e <= start and _SENTENCE_JOINTS.isdisjoint(words[e:start]) for _, _, e in parts)


def _undone(trigger: Trigger, firsts: set[int], words: list[str]) -> bool:
    _, start, end = trigger
    for joint, goes_on in (("but", _STILL), ("and", _PERSISTING)):
        # "has cleared on the right but persists on the left"
        if joint in words[end:-1] and words[words.index(joint, end) + 1] in goes_on:
            return True
    # "improved atelectasis and resolved effusion": the participle belongs to what follows.
    return end - start == 1 and start > 0 and words[start - 1] in JOINTS and not firsts.isdisjoint(range(end, end + 3))


# How many tokens may lie between a trigger and its finding; the others reach to the end of their clause.
_REACH = {"history_before": 5, "hedge_near": 4}


def judge(doc: Doc) -> list[tuple[Mention, Presence, str]]:
    """Return each mention of a sentence with its presence and the trigger that decided ("" for none)."""
    rules = load_lexicon().rules
    triggers, clauses = doc.user_data["triggers"], doc.user_data["clauses"]
    judged = []
    for mention, span in zip(doc.user_data[SPAN_KEY], doc.spans[SPAN_KEY], strict=True):
        rule = rules[mention.rule]
        i = bisect_right(clauses, mention.start) - 1
        context = _Context(doc, triggers, mention, clauses[i], clauses[i + 1])
        presence, why = Presence(rule.presence), ""
        if span._.negex:
            why = context.first("neg", "negation_before", "negation_after")
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


@dataclass(slots=True)
class _Context:
    """The clause of one mention, and what is said in it."""

    doc: Doc
    triggers: dict[str, list[Trigger]]
    mention: Mention
    start: int
    end: int

    def first(self, name: str, *kinds: str) -> str:
        for kind in kinds:
            hits = [t for t in self.triggers[kind] if self._bears(t, kind)]
            if hits:
                _, start, end = (
                    max(hits, key=lambda t: t[1]) if kind not in _AFTER else min(hits, key=lambda t: t[1])
                )
                return f"{name}:{self.doc[start:end].text}"
        return ""

    def _bears(self, trigger: Trigger, kind: str) -> bool:
        _, start, end = trigger
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
            words = self.doc.user_data["words"]
            if any(w in ":," for w in words[end : self.mention.start]):
                return False
            if not _PERSISTING.isdisjoint(words[self.mention.end : self.end]):
                return False
        return start < self.mention.start and self.mention.start - end <= _REACH.get(kind, len(self.doc))

    def _doubted(self, start: int, end: int) -> bool:
        words = self.doc.user_data["words"]
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
        words, mentions = self.doc.user_data["words"], self.doc.user_data[SPAN_KEY]
        return any(first <= m.start < last for m in mentions) and _LISTS.isdisjoint(words[first:last])
