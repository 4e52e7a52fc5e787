"""Read the lexicon: what a finding is called, and which words make one together.

`resources/lexicon/*.yaml` hold two kinds of entry. A *phrase* names a finding by itself ("pleural effusion"). A *pattern*
joins a site and a state that stand apart ("the cardiac silhouette is mildly enlarged"). A phrase of `ignore` names nothing and
keeps shorter phrases inside it from matching ("subcutaneous emphysema" is not emphysema).
`spelling.yaml` says which words stand for another one, and which are so often misspelt that they are mended.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml
from rapidfuzz import process
from rapidfuzz.distance import OSA

from radbook.core.errors import RadbookError

__all__ = ["GAPPED", "WORDS", "Lexicon", "Rule", "Speller", "expand", "load_lexicon", "load_triggers"]

_RESOURCES = files("radbook") / "resources"


@dataclass(frozen=True)
class Rule:
    """One entry: the finding it names, its readable id, and what its match already says."""

    finding: str
    id: str
    sites: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    gap: int = 8
    reach: int = 3
    presence: str = "present"
    choice: bool = True
    lasting: bool = False


@dataclass
class Lexicon:
    """All entries, by the normalized phrase that triggers them."""

    rules: list[Rule] = field(default_factory=list)
    phrases: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    sites: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    states: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ignored: set[str] = field(default_factory=set)
    spelling: dict[str, str] = field(default_factory=dict)
    misspelt: set[str] = field(default_factory=set)
    correct: set[str] = field(default_factory=set)

    @property
    def vocabulary(self) -> set[str]:
        return {*self.phrases, *self.sites, *self.states, *self.ignored}


_GROUP = re.compile(r"\(([^()]*)\)")


def expand(phrase: str) -> list[str]:
    """Write out the alternatives of a phrase; an empty alternative makes a word optional.

    >>> expand("(left|) pleural effusion(s|)")
    ['left pleural effusions', 'left pleural effusion', 'pleural effusions', 'pleural effusion']
    """
    pieces = _GROUP.split(phrase)
    choices = [piece.split("|") if i % 2 else [piece] for i, piece in enumerate(pieces)]
    if any(set("()|") & set(piece) for piece in pieces[::2]):
        raise RadbookError(
            f"lexicon phrase {phrase!r}: alternatives cannot be nested, and every parenthesis needs its pair"
        )
    written = (" ".join("".join(c).replace("-", " ").lower().split()) for c in itertools.product(*choices))
    return list(dict.fromkeys(w for w in written if w))


def _expand_all(phrases: Iterable[str]) -> list[str]:
    return [written for phrase in phrases for written in expand(phrase)]


@cache
def load_lexicon() -> Lexicon:
    """Read every file of `resources/lexicon/`.

    >>> load_lexicon().rules[load_lexicon().phrases["cardiomegaly"][0]].finding
    'cardiomegaly'
    """
    lexicon = Lexicon()
    for file in sorted((_RESOURCES / "lexicon").iterdir(), key=lambda f: f.name):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for kind in ("sites", "states"):
            for group, phrases in content.get(kind, {}).items():
                for phrase in _expand_all(phrases):
                    getattr(lexicon, kind)[phrase].add(group)
        for word, others in content.get("spelling", {}).items():
            lexicon.spelling.update(dict.fromkeys(others, word))
        lexicon.misspelt.update(content.get("often_misspelt", ()))
        lexicon.correct.update(content.get("correct", ()))
        lexicon.ignored.update(_expand_all(content.get("ignore", ())))
        for finding, entries in content.get("findings", {}).items():
            for entry_id, entry in entries.items():
                options = {"phrases": entry} if isinstance(entry, list) else entry
                phrases = options.pop("phrases", ())
                groups = {kind: frozenset(options.pop(kind, ())) for kind in ("sites", "states")}
                for phrase in _expand_all(phrases):
                    lexicon.phrases[phrase].append(len(lexicon.rules))
                lexicon.rules.append(Rule(finding, entry_id, **groups, **options))
    return lexicon


# BaseLoader builds strings only: YAML would otherwise read the trigger "no" as false.
_TRIGGERS = yaml.load((_RESOURCES / "triggers.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
# Pairs of words that decide with others between them.
GAPPED = _TRIGGERS.pop("gapped")
# Classes of words that tell where a clause or a sentence ends, and what goes on.
WORDS = {name: frozenset(words) for name, words in _TRIGGERS.pop("words").items()}


@cache
def load_triggers() -> dict[str, list[str]]:
    """Read `resources/triggers.yaml`: kind of trigger -> phrases, written out."""
    return {kind: _expand_all(phrases) for kind, phrases in _TRIGGERS.items()}


class Speller:
    """Give a word its norm: abbreviations written out, British spelling and slips of the keyboard mended.

    >>> speller = Speller()
    >>> speller("pna"), speller("pnuemothorax"), speller("infusion")
    ('pneumonia', 'pneumothorax', 'infusion')
    """

    def __init__(self) -> None:
        lexicon = load_lexicon()
        self.spelling = lexicon.spelling
        phrases = itertools.chain(lexicon.vocabulary, *load_triggers().values(), lexicon.correct)
        self.known = {word for phrase in phrases for word in phrase.split()}
        self.often_misspelt: dict[str, list[str]] = defaultdict(list)
        for word in sorted(lexicon.misspelt):
            self.often_misspelt[word[0]].append(word)

    def __call__(self, word: str) -> str:
        lowered = word.lower()
        if lowered in self.spelling:
            return self.spelling[lowered]
        if len(lowered) < 6 or lowered in self.known or not lowered.isalpha():
            return lowered
        # Two slips are believed in long words only.
        limit = 2 if len(lowered) > 8 else 1
        near = self.often_misspelt[lowered[0]]
        best = process.extractOne(lowered, near, scorer=OSA.distance, score_cutoff=limit)
        return best[0] if best else lowered
