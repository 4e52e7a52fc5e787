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
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import finding
from radbook.core.ontology import CATEGORIES, NORMAL
from radbook.student.environment import quiet, torch, transformers
from radbook.student.generation.generate import progress_of, sees_everything, shared_prefix
from radbook.student.prompts import token_ids

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["list_probabilities", "named_from"]

_END = "end of the list"
Path = tuple[int, ...]  # tokens of a reply so far
Ways = list[tuple[Path, str]]  # the tokens of a possible reply, and what it decides
Shares = Callable[[Path, list[int]], Sequence[float]]  # how probable each of these tokens is behind a path


def list_probabilities(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    named: Sequence[Sequence[str]],
    *,
    progress: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Return the probability of each category (prompts, 13), given the categories that each reply to a choice prompt named.

    They are the probabilities of a model that may only write valid lists: at each token where such lists part, its
    probabilities of the tokens that go on are scaled to a sum of one.

    >>> from radbook.student.base import load_base
    >>> from radbook.tasks import CHOICE
    >>> model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    >>> p = list_probabilities(model, tokenizer, [CHOICE.prompt("No acute disease.")], [[]])
    >>> p.shape, bool((p >= 0).all() and (p <= 1).all())
    ((1, 13), True)
    """
    if not sees_everything(model):
        raise RadbookError(
            f"probabilities can be read from Llama-type models, not from {model.config.model_type}"
        )
    lists = [tuple(c for c in CATEGORIES if c in row) for row in named]
    plans = {row: _Plan(tokenizer, row) for row in set(lists)}
    tell = progress_of(progress, len(prompts), "lists")
    cache, before, found = transformers.DynamicCache(), np.array([]), []
    model.eval()
    with quiet(), torch.inference_mode():
        for prompt, row in zip(token_ids(tokenizer, prompts), lists, strict=True):
            # What a prompt begins with as the one before it did, the instruction above all, is not read again.
            cache.crop(len(shared_prefix([before, prompt])))
            logits = _read(model, cache, prompt.tolist(), plans[row])
            found.append(plans[row].probabilities(logits))
            before = prompt
            tell(1)
    return np.reshape(found, (-1, len(CATEGORIES)))


def named_from(predictions: pd.DataFrame, stated: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return predictions that name, in the choice task, every category from this probability on; notes say what changed.

    `stated` is what `Student.confidence` returned for them; answers that failed, and other tasks, stay as they are.

    >>> from radbook.core.findings import label_row
    >>> row = label_row("r", "student:a", "choice", [finding("Fracture")])
    >>> stated = pd.DataFrame({"report_id": "r", "code": ["Edema", "Fracture"], "probability": [0.3, 0.9]})
    >>> found = named_from(pd.DataFrame([row]), stated, 0.25)
    >>> [f["code"] for f in found["findings"][0]], found["note"][0]
    (['Edema', 'Fracture'], 'by a threshold of 0.25: +Edema')
    """
    names = stated[stated["probability"] >= threshold].groupby("report_id")["code"].agg(list)
    rows = []
    for row in predictions.to_dict("records"):
        if row["task"] == "choice" and row["status"] != "failed":
            written = {f["code"]: f for f in row["findings"]}
            named = names.get(row["report_id"], [])
            changes = [f"+{code}" for code in named if code not in written]
            changes += [f"-{code}" for code in written if code not in named]
            note = f"by a threshold of {threshold:g}: {', '.join(changes)}" if changes else ""
            row |= {"findings": [written.get(code) or finding(code) for code in named]}
            row |= {"note": "; ".join(filter(None, [row["note"], note]))}
        rows.append(row)
    return pd.DataFrame(rows, columns=predictions.columns)


class _Plan:
    """What must be read to know every decision of one list: `nodes`, the tokens behind the prompt, as a tree."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", named: tuple[str, ...]) -> None:
        self.places: list[Ways] = []  # for each place in the list, the ways to go on
        forks: dict[Path, None] = {}
        for k in range(len(named) + 1):
            before = named[:k]
            later = CATEGORIES[CATEGORIES.index(named[k - 1]) + 1 if k else 0 :]
            texts = {f" [{', '.join([*before, c])}{tail}": c for c in later for tail in ("]", ",")}
            # In the full style lines of evidence follow, and some tokenizers write bracket and line break as one token.
            texts |= {f" [{', '.join(before) or NORMAL}]{tail}": _END for tail in ("", "\n")}
            ways = [(tuple(tokenizer(t, add_special_tokens=False)["input_ids"]), c) for t, c in texts.items()]
            self.places.append(ways)
            _chances(ways, lambda path, tokens: [forks.setdefault(path, 0.0)] * len(tokens))
        self.nodes = sorted({path[:n] for path in forks for n in range(1, len(path) + 1)}, key=len)
        self.column = {path: k for k, path in enumerate([(), *self.nodes])}
        # Which node looks back at which: itself and those it goes on from.
        self.sees = np.array([[path[: len(q)] == q for q in self.nodes] for path in self.nodes], dtype=bool)

    def probabilities(self, logits: "Tensor") -> list[float]:
        """Turn the logits behind the prompt and behind each node, (1 + nodes, vocabulary), into the 13 probabilities."""
        found = {}
        for ways in self.places:  # a later place says anew what was not yet decided at the ones before
            chances = _chances(ways, lambda path, tokens: logits[self.column[path], tokens].softmax(0).tolist())
            rest = chances[_END]  # the chance of all that may still come, the end among it
            for category in reversed([c for c in CATEGORIES if c in chances]):
                rest += chances[category]
                found[category] = chances[category] / rest if rest > 0 else 0.0
        return [found[category] for category in CATEGORIES]


def _chances(ways: Ways, shares: Shares, path: Path = ()) -> dict[str, float]:
    """Spread a chance of one over what may be decided: at each token where the ways part, as `shares` says."""
    outcomes = {outcome for _, outcome in ways}
    if len(outcomes) == 1:
        return {outcomes.pop(): 1.0}
    if any(len(way) == len(path) for way, _ in ways):
        raise RadbookError(f"this tokenizer cannot tell {' and '.join(sorted(outcomes))} apart")
    tokens = sorted({way[len(path)] for way, _ in ways})
    found = dict.fromkeys(outcomes, 0.0)
    for token, share in zip(tokens, shares(path, tokens), strict=True):
        onward = [way for way in ways if way[0][len(path)] == token]
        for outcome, chance in _chances(onward, shares, (*path, token)).items():
            found[outcome] += share * chance
    return found


def _read(model: "PreTrainedModel", cache: "DynamicCache", prompt: list[int], plan: _Plan) -> "Tensor":
    """Read what the cache lacks of a prompt, then the nodes, each of which sees the prompt and what it goes on from.

    Returns the logits behind the prompt and behind each node: (1 + nodes, vocabulary).
    """
    head, n, nodes = cache.get_seq_length(), len(prompt), len(plan.nodes)
    tokens = [*prompt[head:], *(path[-1] for path in plan.nodes)]
    positions = [*range(head, n), *(n + len(path) - 1 for path in plan.nodes)]
    visible = torch.ones(len(tokens), n + nodes, dtype=torch.bool).tril(head)
    visible[n - head :, n:] = torch.tensor(plan.sees)
    mask = torch.zeros(visible.shape, dtype=model.dtype).masked_fill(~visible, torch.finfo(model.dtype).min)
    logits = model(
        input_ids=torch.tensor([tokens], device=model.device),
        position_ids=torch.tensor([positions], device=model.device),
        attention_mask=mask[None, None].to(model.device),
        past_key_values=cache,
        logits_to_keep=1 + nodes,
    ).logits
    return logits[0].double().cpu()
