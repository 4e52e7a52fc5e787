"""Find the findings a sentence names: phrases at once, and sites joined with states that stand apart.

A mention holds the words whose presence is in question, which `radbook.teachers.rules.negation` judges, and its evidence.
"""

from dataclasses import dataclass

from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc
from spacy.util import filter_spans

from radbook.core.ontology import FINDINGS
from radbook.teachers.rules.lexicon import WORDS, load_lexicon

__all__ = ["Mention", "MentionFinder"]

_BARRIERS, _ELLIPSES, _VERBS, _PLACES = (
    WORDS[k] for k in ("barriers", "ellipses", "copulas", "prepositions")
)
_DEGREES = WORDS["degrees"] | WORDS["adjectives"]
_LEAVING, _LEFT, _ORGANS, _BROKEN, _BETWEEN = (WORDS[k] for k in ("leaving", "left", "organs", "broken", "between"))


@dataclass(slots=True)
class Mention:
    """One mention: its rule, the tokens judged for presence, and the tokens of its evidence."""

    rule: int
    start: int
    end: int
    first: int
    last: int


def _parted(between: list[str]) -> bool:
    # "is hard to assess but is enlarged" keeps its subject; "but there is" does not.
    if "but" in between:
        i = between.index("but")
        if between[i + 1 : i + 2] and between[i + 1] in _ELLIPSES:
            between = between[:i] + between[i + 1 :]
    return not _BARRIERS.isdisjoint(between)


@dataclass(slots=True)
class _Chunk:
    start: int
    end: int
    rules: tuple[int, ...]
    sites: frozenset[str]
    states: frozenset[str]


class MentionFinder:
    """Match the lexicon against one sentence."""

    def __init__(self, nlp: Language) -> None:
        self.lexicon = load_lexicon()
        self.matcher = PhraseMatcher(nlp.vocab, attr="NORM")
        self.roles: dict[int, tuple[tuple[int, ...], frozenset[str], frozenset[str]]] = {}
        for phrase in sorted(self.lexicon.vocabulary):
            self.matcher.add(phrase, [nlp.tokenizer(phrase)])
            self.roles[nlp.vocab.strings[phrase]] = (
                tuple(self.lexicon.phrases.get(phrase, ())),
                frozenset(self.lexicon.sites.get(phrase, ())),
                frozenset(self.lexicon.states.get(phrase, ())),
            )
        self.by_state: dict[str, list[int]] = {}
        for i, rule in enumerate(self.lexicon.rules):
            for state in rule.states:
                self.by_state.setdefault(state, []).append(i)

    def find(self, doc: Doc, words: list[str]) -> list[Mention]:
        """Return the mentions of a sentence in order of their place; `words` are the norms of its tokens."""
        # The longest phrase at a place wins; what it covers is spoken for.
        spans = filter_spans(self.matcher(doc, as_spans=True))
        chunks = [_Chunk(span.start, span.end, *self.roles[span.label]) for span in spans]
        mentions = [Mention(rule, c.start, c.end, c.start, c.end) for c in chunks for rule in c.rules]
        for i, chunk in enumerate(chunks):
            if chunk.states:
                mentions += self._joined(chunks, i, words)
        mentions = [m for m in mentions if not self._elsewhere(m, words)]
        mentions.sort(key=lambda m: (m.start, m.end))
        return mentions + self._again(mentions, words) if mentions else mentions

    def _elsewhere(self, mention: Mention, words: list[str]) -> bool:
        # "Edema of the chest wall", "pancreatic mass", "fracture of the sternal wire" are no findings of lungs or bones.
        category = FINDINGS[self.lexicon.rules[mention.rule].finding].category
        organs = _BROKEN if category == "Fracture" else _ORGANS
        if category in (None, "Support Devices") or organs.isdisjoint(words):
            return False
        before = words[max(0, mention.first - 2) : mention.first]
        if before and (before[-1] in organs or (before[0] in organs and before[-1] in _BETWEEN)):
            return True
        place = next((k for k in range(mention.last, len(words)) if words[k] not in _BETWEEN or words[k] in organs), mention.last)
        return place > mention.last and words[place] in organs and not _PLACES.isdisjoint(words[mention.last : place])

    def _again(self, mentions: list[Mention], words: list[str]) -> list[Mention]:
        # The finding named last, once more: "no pneumothorax, but a tiny one cannot be excluded"; "none except at the base".
        found = []
        for i, word in enumerate(words):
            if word == "one" and i and words[i - 1] in _DEGREES:
                place, first = i, i - 1
            elif word in _LEAVING or " ".join(words[i : i + 2]) in _LEAVING:
                first = i + 1 + (word not in _LEAVING)
                place = next((k for k in range(first, len(words)) if words[k] not in _LEFT), len(words))
                if place == first or (place < len(words) and words[place] not in (",", ";", ".")):
                    continue
                place -= 1
            else:
                continue
            before = [m for m in mentions if m.end <= i]
            found += [Mention(m.rule, place, place + 1, first, place + 1) for m in before if m.end == before[-1].end]
        return found

    def _joined(self, chunks: list[_Chunk], i: int, words: list[str]) -> list[Mention]:
        state = chunks[i]
        found = []
        for rule_index in sorted({r for s in state.states for r in self.by_state.get(s, ())}):
            rule = self.lexicon.rules[rule_index]
            after = self._site_after(chunks, i, words, rule)
            # "enlarged heart" binds at once; otherwise the site that came before is the subject.
            at_once = after is not None and after.start == state.end
            site = after if at_once else self._site_before(chunks, i, words, rule) or after
            if site is not None:
                first, last = min(site.start, state.start), max(site.end, state.end)
                found.append(Mention(rule_index, state.start, state.end, first, last))
        return found

    def _site_before(self, chunks, i, words, rule) -> _Chunk | None:
        state, right = chunks[i], chunks[i]
        for chunk in reversed(chunks[:i]):
            between = words[chunk.end : right.start]
            if state.start - chunk.end > rule.gap or _parted(between):
                return None
            if chunk.sites & rule.sites:
                return chunk
            if "normal" in chunk.states:
                return None
            right = chunk
        return None

    def _site_after(self, chunks, i, words, rule) -> _Chunk | None:
        state = chunks[i]
        for chunk in chunks[i + 1 :]:
            between = words[state.end : chunk.start]
            if len(between) > rule.reach or not _BARRIERS.isdisjoint(between):
                return None
            if "," in between and "of" not in between:
                # "heart size is enlarged, pulmonary vascularity ..." has turned to another subject.
                return None
            if chunk.sites & rule.sites:
                if not _VERBS.isdisjoint(between) and _PLACES.isdisjoint(between):
                    return None
                # "enlarged and tortuous aorta" reaches over a second state, never over "and the" to a new subject.
                if "and" in between and "the" in between[between.index("and") :] and "of" not in between:
                    return None
                return chunk
        return None
