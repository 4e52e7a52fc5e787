"""Decide whether a mention is present, uncertain or absent.

Negation is negspacy's: `ClauseNegex` is its `Negex` with our termsets and three repairs, each needed on chest reports.
Its pseudo-negations also swallow a real negation that begins where they end (their end is compared inclusively);
a trigger inside a longer one of another kind counts twice ("not" in "not excluded"); and its scopes end only at listed
words, while reports chain clauses by commas ("no effusion, heart is enlarged").
The same matcher carries the hedges, recommendations and history words that negspacy has no notion of.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from negspacy.negation import Negex
from spacy.language import Language
from spacy.tokens import Doc

from radbook.schema import Presence
from radbook.teachers.lexicon import load_lexicon, load_triggers
from radbook.teachers.mentions import SPAN_KEY, Mention

__all__ = ["ClauseNegex", "judge"]

_NEGEX_KINDS = {
    "pseudo": "pseudo_negations",
    "negation_before": "preceding_negations",
    "negation_after": "following_negations",
    "termination": "termination",
}
_ADJECTIVES = frozenset(
    (
        "acute",
        "displaced",
        "focal",
        "large",
        "new",
        "significant",
        "definite",
        "suspicious",
        "discrete",
        "obvious",
        "visible",
        "gross",
        "sizable",
        "convincing",
        "overt",
        "confluent",
        "dense",
        "small",
        "patchy",
        "definitive",
        "frank",
        "healing",
    )
)
_VERBS = frozenset(
    (
        "unchanged",
        "stable",
        "persists",
        "persist",
        "persisting",
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "remains",
        "remain",
        "appears",
        "appear",
        "demonstrates",
        "shows",
        "measures",
    )
)
_DEGREES = frozenset(
    (
        "small",
        "tiny",
        "trace",
        "mild",
        "mildly",
        "minimal",
        "moderate",
        "severe",
        "marked",
        "increased",
        "increasing",
        "decreased",
        "improved",
        "worsening",
        "healed",
        "old",
        "chronic",
        "stable",
        "unchanged",
        "known",
        "persistent",
    )
)
_AFTER = frozenset(("negation_after", "hedge_after", "hedge_near", "probable_after"))
_LISTS = frozenset(("or", "and", "nor", "and/or"))
_DENIALS = frozenset(("no", "not", "without", "negative", "free", "absence", "denies", "nor", "neither"))

Trigger = tuple[str, int, int]


class ClauseNegex(Negex):
    """negspacy's NegEx over clauses, remembering which trigger decided."""

    def __init__(self, nlp: Language) -> None:
        self.triggers = load_triggers()
        termset = {ours: self.triggers[kind] for kind, ours in _NEGEX_KINDS.items()}
        super().__init__(nlp, "radbook_negex", termset, span_keys=[SPAN_KEY])
        self.kind_of = {nlp.vocab.strings[kind]: kind for kind in self.triggers}

    def build_patterns(self) -> None:
        super().build_patterns()
        for theirs in ("pseudo", "Preceding", "Following", "Termination"):
            self.matcher.remove(theirs)
        for kind, phrases in self.triggers.items():
            self.matcher.add(kind, [self.nlp.tokenizer(p) for p in phrases])

    def process_negations(self, doc: Doc):
        """Sort the triggers of a sentence by kind; the longest at a place wins over those inside it."""
        by_kind: dict[str, list[Trigger]] = {kind: [] for kind in self.triggers}
        covered: list[tuple[int, int]] = []
        for key, start, end in sorted(self.matcher(doc), key=lambda m: (m[1] - m[2], m[1])):
            kind = self.kind_of[key]
            if any(a <= start and end <= b and (a, b) != (start, end) for a, b in covered):
                continue
            if any(start < b and a < end for _, a, b in by_kind["pseudo"]) and kind != "pseudo":
                continue
            if kind != "termination":
                covered.append((start, end))
            by_kind[kind].append((key, start, end))
        doc.user_data["triggers"] = by_kind
        return by_kind["negation_before"], by_kind["negation_after"], by_kind["termination"]

    def termination_boundaries(self, doc: Doc, terminating):
        """Add the clause breaks of comma splices to negspacy's boundaries."""
        words = doc.user_data.get("words") or [t.text for t in doc]
        starts = {0, len(doc), *(t[1] for t in terminating), *_splices(words)}
        ordered = sorted(starts)
        bounds = list(pairwise(ordered))
        doc.user_data["clauses"] = ordered
        return bounds

    def __call__(self, doc: Doc) -> Doc:
        return self.negex(doc) if SPAN_KEY in doc.user_data else doc


def _splices(words: list[str]) -> list[int]:
    # "no effusion, heart is enlarged": a comma (not of a list that goes on with "or") followed by a subject and its verb.
    found = []
    commas = [i for i, w in enumerate(words) if w == ","]
    for n, i in enumerate(commas):
        stop = commas[n + 1] if n + 1 < len(commas) else len(words)
        clause = words[i + 1 : stop]
        before = words[max((j + 1 for j in found if j < i), default=0) : i]
        denies, states = not _DENIALS.isdisjoint(before), not _VERBS.isdisjoint(before)
        if words[i - 1] in _ADJECTIVES:
            continue
        # "no pneumothorax, small effusion": a degree opens a claim, unless the list of things denied goes on.
        if clause and clause[0] in _DEGREES and _LISTS.isdisjoint(words[i:]):
            found.append(i)
            continue
        verb = next((k for k, word in enumerate(clause) if word in _VERBS), None)
        if verb is None or clause[0] in _LISTS:
            continue
        if states and not denies:
            # "the heart is enlarged, effusion and pneumothorax are absent": a statement was complete.
            found.append(i)
        elif not states and not denies and not _LISTS.isdisjoint(clause[:verb]):
            # "consolidation, focal airspace disease and overt edema are absent": one list, one verb.
            continue
        elif _LISTS.isdisjoint(clause[:4]):
            found.append(i)
    return found


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
        if kind == "hedge_after" and end < self.end and self.doc[start - 1].text == ",":
            # "likely edema, less likely pneumonia" doubts the second, not the first.
            return False
        if kind in _AFTER:
            return end > self.mention.end and start - self.mention.end <= _REACH.get(kind, len(self.doc))
        if kind == "history_before" and any(t.text in ":," for t in self.doc[end : self.mention.start]):
            return False
        return start < self.mention.start and self.mention.start - end <= _REACH.get(kind, len(self.doc))
