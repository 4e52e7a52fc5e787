"""Where one clause of a sentence ends and the next begins, word by word.

Reports chain clauses by commas and by "and" ("no effusion, heart is enlarged"); a denial holds for its own clause alone.
Each function looks at the words of a sentence and returns the places where a clause begins.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from radbook.teachers.rules.lexicon import GAPPED, WORDS

__all__ = ["JOINTS", "Trigger", "asides", "complete", "conjunctions", "gapped", "new_degrees", "resumes", "runs_on", "splices"]

_ADJECTIVES, _VERBS, _DEGREES, _PLACES = (WORDS[k] for k in ("adjectives", "verbs", "degrees", "places"))
_LISTS, _DENIALS, _SIGHT, _GENERIC = (WORDS[k] for k in ("lists", "denials", "sight", "generic"))
_POSSIBLE, _MEASURED = WORDS["possible"], WORDS["measured"]
_OPENERS = WORDS["degrees"] | WORDS["places"]
_PARTING, _ANSWERS = WORDS["parting"] | {";", ","}, WORDS["degrees"] | WORDS["negative"] | {"no", "present", "normal"}
JOINTS = frozenset((",", "and", "or"))


def _by_last_word(phrases: Iterable[str]) -> dict[str, set[str]]:
    ends = {phrase.split()[-1] for phrase in phrases}
    return {end: {phrase for phrase in phrases if phrase.endswith(end)} for end in ends}


# Each pair of words with a gap: its kind, the most words between, and its first and last ones by their last word.
_GAPS = [(g["kind"], int(g["gap"]), _by_last_word(g["first"]), _by_last_word(g["last"])) for g in GAPPED]

Trigger = tuple[int, int]  # the first word of a phrase that denies or doubts, and the word behind its last


def splices(words: list[str]) -> list[int]:
    """Find the commas between two statements: what follows has a subject and a verb, and the list does not go on with "or".

    >>> splices("no effusion , heart is enlarged".split())
    [2]
    """
    found = []
    commas = [i for i, w in enumerate(words) if w == ","]
    for n, i in enumerate(commas):
        stop = commas[n + 1] if n + 1 < len(commas) else len(words)
        clause = words[i + 1 : stop]
        before = words[max((j + 1 for j in found if j < i), default=0) : i]
        denies, states = not _DENIALS.isdisjoint(before), not _VERBS.isdisjoint(before)
        # "pneumothorax none, effusion small": a template in one line.
        if len(before) > 1 and len(clause) > 1 and before[-1] in _ANSWERS and clause[-1] in _ANSWERS and not denies:
            found.append(i)
            continue
        if words[i - 1] in _ADJECTIVES:
            continue
        # "no pneumothorax, small effusion": a degree opens a claim, unless the list of things denied goes on.
        # "No acute process, bibasilar atelectasis": so does a place after a denial that is whole without it.
        opens = clause and (clause[0] in _DEGREES or (clause[0] in _PLACES and words[i - 1] in _GENERIC))
        # "No PTX, ETT 4 cm above the carina": and so does what is measured.
        opens = opens or not _MEASURED.isdisjoint(clause)
        if (opens and _LISTS.isdisjoint(words[i:])) or (denies and _apart(before, clause)):
            found.append(i)
            continue
        verb = next((k for k, word in enumerate(clause) if word in _VERBS), None)
        if not verb or clause[0] in _LISTS or "which" in clause[:3]:
            continue
        if denies and n and not states and not _SIGHT.isdisjoint(clause[verb + 1 : verb + 2]) and _SIGHT.isdisjoint(before):
            # "no effusion, edema, fracture is seen"
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


def _apart(before: list[str], clause: list[str]) -> bool:
    # "No effusion, and mild edema": a list of two has no comma.
    if clause[:1] != ["and"] or _DEGREES.isdisjoint(clause[1:2]) or "or" in clause:
        return False
    return "," not in before[max(k for k, w in enumerate(before) if w in _DENIALS) :]


def conjunctions(words: list[str], breaks: set[int]) -> list[int]:
    """Find each "and" between a statement and another with a subject and a verb of its own; `breaks` are known already.

    >>> conjunctions("there is an effusion and consolidation is absent".split(), {0, 8})
    [4]
    """
    found: list[int] = []
    for i, word in enumerate(words):
        if word != "and" or i == 0:
            continue
        left = words[max((b for b in (*breaks, *found) if b <= i), default=0) : i]
        stop = min((b for b in breaks if b > i), default=len(words))
        right = words[i + 1 : stop]
        right = right[: right.index(",")] if "," in right else right
        verb = next((k for k, w in enumerate(right) if w in _VERBS), 0)
        if not verb or not complete(left):
            continue
        # "no effusion and edema is seen" is one denial; "no effusion and edema is unchanged" two statements.
        if not _VERBS.isdisjoint(left) or _SIGHT.isdisjoint(right[verb + 1 : verb + 2]):
            found.append(i)
    return found


def asides(words: list[str], after: list[Trigger]) -> list[int]:
    """Find where the last of a list begins, and where the brackets behind it end: they speak of that one alone.

    `after` are the triggers that deny what stands before them.

    >>> asides("tube , drain and line ( not seen today ) are unchanged".split(), [(6, 8)])
    [3, 9]
    """
    found = []
    for start, _ in after:
        if start and words[start - 1] == "(":
            joint = next((k for k in range(start - 2, -1, -1) if words[k] in JOINTS), None)
            if joint is not None:
                found.append(joint)
            if ")" in words[start:]:
                found.append(words.index(")", start))
    return found


def new_degrees(words: list[str], hedges: list[Trigger]) -> list[int]:
    """Find where a degree that the first thing doubted lacks opens a statement of its own.

    >>> new_degrees("possible effusion and mild cardiomegaly".split(), [(0, 1)])
    [2]
    """
    # "possible small effusion and mild edema" is one pair, and "may represent" governs all that follows.
    found = []
    for _, end in hedges:
        if words[end - 1] in _POSSIBLE and "and" in words[end:-1]:
            joint = words.index("and", end)
            if words[joint + 1] in _DEGREES and _DEGREES.isdisjoint(words[end:joint]):
                found.append(joint)
    return found


def resumes(words: list[str], first: int, after: list[Trigger]) -> bool:
    """Say whether the main clause goes on behind a relative one that starts at `first`.

    >>> resumes("edema , which was mild , has resolved".split(), 3, [(6, 8)])
    True
    """
    for start, _ in after:
        between = words[first:start]
        between = between[:-1] if between[-1:] == [","] else between
        if words[start] in _VERBS and not _VERBS.isdisjoint(between) and JOINTS.isdisjoint(between):
            return True
    return False


def complete(words: list[str]) -> bool:
    """Say whether words make a statement: they have a verb or a denial.

    >>> complete("heart is enlarged".split()), complete("no effusion".split()), complete("small effusion".split())
    (True, True, False)
    """
    return not (_DENIALS.isdisjoint(words) and _VERBS.isdisjoint(words))


def gapped(words: list[str]) -> Iterator[tuple[str, int, int]]:
    """Find the pairs of words that decide together with others between them: kind, first word, behind the last one.

    >>> list(gapped("this does not allow pneumonia to be excluded".split()))
    [('refused', 2, 8), ('refused', 5, 8)]
    """
    for kind, gap, firsts, lasts in _GAPS:
        if lasts.keys().isdisjoint(words):
            continue
        for j, word in enumerate(words):
            size = _ends_with(words, j, lasts.get(word, ()))
            for i in range(j - size, max(-1, j - size - gap - 1), -1) if size else ():
                if words[i] in _PARTING and words[i + 1] not in ("which", "that"):
                    break
                if first := _ends_with(words, i, firsts.get(words[i], ())):
                    yield kind, i + 1 - first, j + 1 + (words[j + 1 : j + 2] == ["of"])
                    break


def _ends_with(words: list[str], at: int, phrases: Iterable[str]) -> int:
    # How many words the phrase has that ends at a place; 0 for none.
    pair = " ".join(words[max(0, at - 1) : at + 1])
    return 2 if pair in phrases else int(words[at] in phrases)


def runs_on(words: list[str], places: list[Trigger]) -> list[int]:
    """Find where a finding of a degree or side of its own follows another without a stop; `places` are those of the findings.

    >>> runs_on("no pneumothorax small left effusion".split(), [(1, 2), (4, 5)])
    [2]
    """
    found = []
    for (_, end), (start, _) in pairwise(places):
        between = words[end:start]
        if between and _OPENERS.issuperset(between) and _LISTS.isdisjoint(words[end : start + 8]):
            found.append(end)
    return found
