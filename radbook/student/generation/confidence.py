"""How sure the student is of each of the 13 categories, from the probabilities of its own tokens.

A list in canonical order is a row of 13 decisions: is the first category named, is the second, and so on.
The model writes only names, but what it thought of the others stands in the same place: where it wrote "Edema", it might
have named any later category or have ended the list.
So the probability of a category is P(it is named | its own decisions before it): the chance that it comes next among the
chances of it, of all later ones and of the end.
The product over the 13 decisions is the probability of the list.
One pass over prompt and list reads them all; names that begin alike are told apart on branches read in the same pass.

They say what the student would answer, not what is true: `radbook.evaluation.calibrate` fits them to curated labels.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES, NORMAL
from radbook.student.environment import quiet
from radbook.student.generation.generate import PORTION, progress_of, shared_prefix
from radbook.student.generation.kv_cache import Memory, can_share, rows_at_once
from radbook.student.prompts import encode_prompts

__all__ = ["list_probabilities"]

_END = "end of the list"
Path = tuple[int, ...]  # tokens of a reply so far


def list_probabilities(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    named: Sequence[Sequence[str]],
    *,
    batch_size: int = 64,
    progress: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Return the probability of each category, given the list that was written.

    Parameters
    ----------
    model, tokenizer, batch_size, progress
        As for `generate`.
    prompts
        Prompts of the choice task.
    named
        For each prompt, the categories in the model's list; none for "Normal".

    Returns
    -------
    Shape (prompts, 13), in the order of `CATEGORIES`.
    They are the probabilities of a model that may only write valid lists: at each token where such lists part, its
    probabilities of the tokens that go on are scaled to a sum of one.

    Raises
    ------
    RadbookError
        For a model that is no Llama-type one, or a tokenizer that cannot tell two categories apart.

    Examples
    --------
    >>> from radbook.student.base import load_base
    >>> from radbook.tasks import CHOICE
    >>> model, tokenizer, _ = load_base("tiny", backend="peft")
    >>> p = list_probabilities(model, tokenizer, [CHOICE.prompt("No acute disease.")], [[]])
    >>> p.shape, bool((p >= 0).all() and (p <= 1).all())
    ((1, 13), True)
    """
    if not can_share(model):
        raise RadbookError(
            f"probabilities can be read from Llama-type models, not from {model.config.model_type}"
        )
    lists = [tuple(c for c in CATEGORIES if c in row) for row in named]
    plans = {row: _Plan(tokenizer, row) for row in dict.fromkeys(lists)}
    extra = max((len(plan.nodes) for plan in plans.values()), default=0)
    result = np.full((len(prompts), len(CATEGORIES)), np.nan)
    tell = progress_of(progress, len(prompts), "lists")
    model.eval()
    for start in range(0, len(prompts), PORTION):
        ids = encode_prompts(tokenizer, prompts[start : start + PORTION])
        prefix = shared_prefix(ids)
        own = [row[len(prefix) :] for row in ids]
        order = sorted(range(len(own)), key=lambda k, own=own: -len(own[k]))
        memory = Memory(model, prefix, rows=batch_size, width=len(own[order[0]]) + extra)
        with quiet(), memory.open():
            while order:
                size = rows_at_once(len(own[order[0]]) + extra, batch_size)
                rows, order = order[:size], order[size:]
                places = [start + k for k in rows]
                result[places] = _read(memory, [own[k] for k in rows], [plans[lists[p]] for p in places])
                tell(len(rows))
    return result


class _Plan:
    """What must be read to know every decision of one list: `nodes`, the tokens behind the prompt, as a tree."""

    def __init__(self, tokenizer: Any, named: tuple[str, ...]) -> None:
        self.decisions: list[tuple[tuple[str, ...], list[tuple[Path, str]]]] = []
        for k in range(len(named) + 1):
            before = named[:k]
            later = CATEGORIES[CATEGORIES.index(named[k - 1]) + 1 if k else 0 :]
            texts = {f" [{', '.join([*before, c])}{tail}": c for c in later for tail in ("]", ",")}
            # In the full style lines of evidence follow, and some tokenizers write bracket and line break as one token.
            texts |= {f" [{', '.join(before) or NORMAL}]{tail}": _END for tail in ("", "\n")}
            ways = [(tuple(tokenizer(t, add_special_tokens=False)["input_ids"]), c) for t, c in texts.items()]
            decided = named[k] if k < len(named) else None
            asked = later[: later.index(decided) + 1] if decided else later
            self.decisions.append((asked, ways))
        self.forks: dict[Path, tuple[int, ...]] = {}  # path -> the tokens that may follow
        for _, ways in self.decisions:
            self._find_forks((), ways)
        paths = {path[:n] for path in self.forks for n in range(1, len(path) + 1)}
        self.nodes = sorted(paths, key=lambda path: (len(path), path))
        self.place = {path: column for column, path in enumerate(self.nodes)}

    def _find_forks(self, path: Path, ways: list[tuple[Path, str]]) -> None:
        if len({outcome for _, outcome in ways}) < 2:
            return
        if any(len(way) == len(path) for way, _ in ways):
            names = " and ".join(sorted({outcome for _, outcome in ways}))
            raise RadbookError(f"this tokenizer cannot tell {names} apart")
        followers = tuple(sorted({way[len(path)] for way, _ in ways}))
        self.forks[path] = tuple(sorted({*self.forks.get(path, ()), *followers}))
        for token in followers:
            self._find_forks((*path, token), [w for w in ways if w[0][len(path)] == token])

    @cached_property
    def sees(self) -> np.ndarray:
        """Which node looks back at which: (nodes, nodes), true for itself and those it goes on from."""
        return np.array([[path[: len(q)] == q for q in self.nodes] for path in self.nodes], dtype=bool)

    def probabilities(self, logits: dict[Path, dict[int, float]]) -> np.ndarray:
        """Turn the logits at the forks into the 13 probabilities."""
        found = np.full(len(CATEGORIES), np.nan)
        for asked, ways in self.decisions:
            chances = dict.fromkeys((outcome for _, outcome in ways), 0.0)
            self._spread((), ways, 1.0, logits, chances)
            later = [c for c in CATEGORIES if c in chances]
            # Chance of this one against this one and all that may still come, the end among them.
            rest = np.cumsum([chances[_END], *(chances[c] for c in reversed(later))])[::-1]
            for category, total in zip(later, rest, strict=False):
                if category in asked:
                    found[CATEGORIES.index(category)] = chances[category] / total if total > 0 else 0.0
        return found

    def _spread(
        self,
        path: Path,
        ways: list[tuple[Path, str]],
        mass: float,
        logits: dict[Path, dict[int, float]],
        chances: dict[str, float],
    ) -> None:
        outcomes = {outcome for _, outcome in ways}
        if len(outcomes) == 1:
            chances[outcomes.pop()] += mass
            return
        tokens = sorted({way[len(path)] for way, _ in ways})
        scores = np.array([logits[path][token] for token in tokens])
        shares = np.exp(scores - scores.max())
        for token, share in zip(tokens, shares / shares.sum(), strict=True):
            onward = [w for w in ways if w[0][len(path)] == token]
            self._spread((*path, token), onward, mass * float(share), logits, chances)


def _read(memory: Memory, prompts: list[list[int]], plans: list[_Plan]) -> np.ndarray:
    """One pass: each prompt, then the tokens of its plan, each of which sees the prompt and what it goes on from."""
    import torch

    width, extra = max(map(len, prompts)), max(len(plan.nodes) for plan in plans)
    total = width + extra
    tokens = np.zeros((len(prompts), total), dtype=np.int64)
    positions = np.tile(np.arange(total), (len(prompts), 1))
    hidden = np.tile(np.triu(np.ones((total, total), dtype=bool), 1), (len(prompts), 1, 1))
    for row, (prompt, plan) in enumerate(zip(prompts, plans, strict=True)):
        n, nodes = len(prompt), len(plan.nodes)
        tokens[row, :n] = prompt
        tokens[row, width : width + nodes] = [path[-1] for path in plan.nodes]
        positions[row, width : width + nodes] = [n + len(path) - 1 for path in plan.nodes]
        hidden[row, width:, n:width] = True
        if nodes:
            hidden[row, width : width + nodes, width : width + nodes] = ~plan.sees
    # Only where the lists part does the next token matter; rows with fewer such places ask for column 0 too.
    columns = np.zeros((len(prompts), max(len(plan.forks) for plan in plans)), dtype=np.int64)
    for row, (prompt, plan) in enumerate(zip(prompts, plans, strict=True)):
        columns[row, : len(plan.forks)] = [
            width + plan.place[path] if path else len(prompt) - 1 for path in plan.forks
        ]
    logits = memory.logits(tokens, *map(torch.from_numpy, (positions, hidden, columns)))
    wanted = [
        (row, place, token)
        for row, plan in enumerate(plans)
        for place, following in enumerate(plan.forks.values())
        for token in following
    ]
    picked = iter(logits[tuple(torch.tensor(wanted, device=logits.device).T)].double().tolist())
    return np.array(
        [
            plan.probabilities({path: {t: next(picked) for t in ts} for path, ts in plan.forks.items()})
            for plan in plans
        ]
    )
