"""To which phenomenon of language does a statement belong: told from what the rules read at its place.

A label says which rule decided and by which words; the sentence says the rest. `phenomenon` names one statement, so that
the errors of *any* source at its place can be counted by phenomenon.
The names stand for groups of the trap suite in `tests/traps.yaml`.
"""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

from radbook.core.findings import Presence
from radbook.corpora.sections import body_spans
from radbook.teachers.rules.lexicon import WORDS, load_lexicon, load_triggers
from radbook.teachers.rules.sentences import normalize, split_sentences

__all__ = ["TRAITS", "UNKNOWN", "phenomenon", "sentence_traits"]

TRAITS = ("negation", "hedge", "comparison")
UNKNOWN = "unknown wording"
_ENDED = WORDS["ended"]
_LASTING = WORDS["lasting"] | WORDS["persisting"]
_COMPARED = WORDS["compared"] | _ENDED | _LASTING
_NEGATIONS = frozenset(("negation_before", "negation_after"))
_HEDGES = frozenset(("hedge_before", "hedge_after"))
_BY_TRIGGER = {"asked": "request or history", "history": "request or history", "likely": "likely"}


def phenomenon(text: str, entry: Mapping | None, *, among: Iterable[Mapping] = ()) -> str:
    """Name the phenomenon that decided one finding of the rules; "unknown wording" for None, or one without evidence.

    `among` holds all findings of the same `labels` row: what else the sentence states tells lists and the ends of a reach.

    >>> import pandas as pd
    >>> from radbook.teachers.rules import RuleTeacher
    >>> def named(text):
    ...     row = RuleTeacher().label(pd.DataFrame({"report_id": ["r"], "text": [text]})).findings[0]
    ...     return {f["code"]: phenomenon(text, f, among=row) for f in row}
    >>> named("No pneumothorax but the heart is enlarged.")
    {'Pneumothorax': 'end of a reach', 'Cardiomegaly': 'end of a reach'}
    >>> named("Possible pneumonia. Effusion is not seen.")
    {'Pneumonia': 'hedge', 'Pleural Effusion': 'negation after'}
    """
    if entry is None or not entry.get("rule") or entry.get("start") is None:
        return UNKNOWN
    name, _, why = entry["rule"].partition("|")
    kind, _, trigger = why.partition(":")
    if kind in _BY_TRIGGER:
        return _BY_TRIGGER[kind]
    first, last = entry["start"], entry["end"]
    start, end = next(((a, b) for a, b in _bounds(text) if a <= first < b), (0, len(text)))
    beside = [e for e in among if e["code"] != entry["code"] and e.get("start") is not None and start <= e["start"] < end]
    before, evidence, after = (normalize(part)[0] for part in (text[start:first], text[first:last], text[last:end]))
    words = f"{before} {evidence} {after}".split()
    kinds = _kinds_in(words)
    if kind == "hedge":
        return "hedge" if kinds.isdisjoint(_NEGATIONS) else "hedge and denial"
    if kind == "neg":
        return _denied(trigger, before, evidence, kinds, beside)
    return _stated(name, entry, kinds, {w.strip(".,:()") for w in words}, beside)


def sentence_traits(sentence: str) -> frozenset[str]:
    """Name what else a sentence holds, whoever reads it: words of denial, of doubt, and of change since an earlier study.

    Unlike `phenomenon`, which gives a statement of the rules one name, this asks no rule what decided, and may name several.

    >>> sorted(sentence_traits("No effusion, unchanged; possible pneumonia"))
    ['comparison', 'hedge', 'negation']
    >>> sentence_traits("Cardiomegaly")
    frozenset()
    """
    words = normalize(sentence)[0].split()
    said = _kinds_in(words).union(w.strip(".,:;()") for w in words)
    held = zip(TRAITS, (_NEGATIONS, _HEDGES, _COMPARED), strict=True)
    return frozenset(name for name, signs in held if not signs.isdisjoint(said))


@lru_cache(maxsize=1)  # the findings of one report are named in turn
def _bounds(text: str) -> list[tuple[int, int]]:
    return [bound for a, b in body_spans(text) for bound in split_sentences(text, a, b)]


def _denied(trigger: str, before: str, evidence: str, kinds: set[str], beside: list[Mapping]) -> str:
    if not _ENDED.isdisjoint(trigger.split()):
        return "resolved or removed"
    if not kinds.isdisjoint(_HEDGES):
        return "hedge and denial"
    if f" {trigger} " in f" {evidence} ":
        return "site and state"
    if any(e["presence"] != Presence.ABSENT for e in beside):
        return "end of a reach"
    if beside:
        return "list"
    return "negation before" if f" {trigger} " in f" {before} " else "negation after"


def _stated(name: str, entry: Mapping, kinds: set[str], words: set[str], beside: list[Mapping]) -> str:
    if entry["presence"] == Presence.ABSENT:
        return "site and state" if _ENDED.isdisjoint(words) else "resolved or removed"
    if "pseudo" in kinds:
        return "pseudo-negation"
    if any("|neg:" in (e.get("rule") or "") for e in beside) or not kinds.isdisjoint(_NEGATIONS):
        return "end of a reach"
    if entry["code"] == "Support Devices":
        return "device"
    if not _ENDED.isdisjoint(words):
        return "resolved or removed"
    if len(beside) > 1:
        return "list"
    if name in _patterns():
        return "site and state"
    return "plain mention" if _LASTING.isdisjoint(words) else "stable or old"


def _kinds_in(words: list[str]) -> set[str]:
    """Return the kinds of triggers among the words; the longest at a place hides those inside it."""
    kinds, longest = _triggers()
    bare = [w.strip(".,:;()") for w in words]
    found, i = set(), 0
    while i < len(bare):
        size = next((n for n in range(longest, 0, -1) if " ".join(bare[i : i + n]) in kinds), 0)
        if size:
            found.add(kinds[" ".join(bare[i : i + size])])
        i += size or 1
    return found


@cache
def _triggers() -> tuple[dict[str, str], int]:
    kinds = {phrase: kind for kind in (*_HEDGES, *_NEGATIONS, "pseudo") for phrase in load_triggers()[kind]}
    return kinds, max(len(phrase.split()) for phrase in kinds)


@cache
def _patterns() -> frozenset[str]:
    return frozenset(f"{rule.finding}/{rule.id}" for rule in load_lexicon().rules if rule.sites)
