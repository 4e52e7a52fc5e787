"""Write our lexicon as medspaCy's rules: phrases as they are, and each pattern of site and state as token patterns."""

import itertools
from collections import defaultdict

from radbook.core.findings import Presence
from radbook.core.ontology import FINDINGS
from radbook.teachers.rules.lexicon import Lexicon, Rule, load_lexicon

# A site and its state do not reach over these.
_APART = [
    ".",
    ";",
    ",",
    "but",
    "although",
    "however",
    "though",
    "which",
    "without",
    "with",
    "while",
    "despite",
]
# What names nothing; medspaCy wants a name for it, since its longest match keeps shorter ones out.
NOTHING = "-"


def export(lexicon: Lexicon | None = None) -> dict[str, list]:
    """Return `phrases` [phrase, categories] and `patterns` [name, categories, token pattern]; categories are joined by "|".

    A phrase may name several findings; one that our teacher ignores, or that belongs to no category, names nothing.
    """
    lexicon = lexicon or load_lexicon()
    phrases = [
        [phrase, _categories(lexicon.rules[i] for i in rules)]
        for phrase, rules in sorted(lexicon.phrases.items())
    ]
    phrases += [[phrase, NOTHING] for phrase in sorted(lexicon.ignored - set(lexicon.phrases))]
    patterns = [
        [rule.id, _categories([rule]), pattern]
        for rule in lexicon.rules
        if rule.sites and rule.states and _categories([rule]) != NOTHING
        for pattern in _patterns(lexicon, rule)
    ]
    return {"phrases": phrases, "patterns": patterns}


def _categories(rules) -> str:
    found = {
        FINDINGS[rule.finding].category for rule in rules if rule.choice and rule.presence == Presence.PRESENT
    }
    return "|".join(sorted(found - {None})) or NOTHING


def _patterns(lexicon: Lexicon, rule: Rule) -> list[list[dict]]:
    sites, states = _by_length(lexicon.sites, rule.sites), _by_length(lexicon.states, rule.states)
    made = []
    for site, state in itertools.product(sites, states):
        made.append([*site, _between(rule.gap), *state])
        made.append([*state, _between(rule.reach), *site])
    return made


def _between(words: int) -> dict:
    return {"LOWER": {"NOT_IN": _APART}, "OP": f"{{0,{words}}}"}


def _by_length(groups_of: dict[str, set[str]], wanted: frozenset[str]) -> list[list[dict]]:
    # One pattern for all phrases of a length: at each place any of the words that stand there. That accepts a few
    # mixtures that the lexicon does not list, and saves writing out every pair of phrases.
    by_length = defaultdict(list)
    for phrase, groups in groups_of.items():
        if groups & wanted:
            by_length[len(phrase.split())].append(phrase.split())
    return [
        [{"LOWER": {"IN": sorted(set(words))}} for words in zip(*phrases, strict=True)]
        for _, phrases in sorted(by_length.items())
    ]
