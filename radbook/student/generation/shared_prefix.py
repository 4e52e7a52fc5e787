"""What prompts begin with in common, the instruction above all: read once, kept in a cache of transformers.

A causal model turns every token into one key and one value per layer and looks back at them; those of a shared beginning
are the same for every prompt.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from radbook.student.environment import torch, transformers

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

__all__ = ["read_prefix", "repeated", "sees_everything", "shared_prefix"]

_LEAST = 48  # tokens; a shorter beginning costs more to keep apart than to read again
# Architectures whose attention is plain: one softmax over all earlier tokens, nothing else.
_PLAIN = ("llama", "mistral", "qwen2", "qwen3")


def shared_prefix(ids: Sequence[np.ndarray]) -> list[int]:
    """Return the tokens all prompts begin with, or none if that is too few to be worth it.

    Every prompt keeps at least one token of its own.

    >>> shared_prefix([np.array([*range(60), 7]), np.array([*range(60), 8, 9])]) == list(range(60))
    True
    """
    if len(ids) < 2:
        return []
    # What the first and the last in order share, all share.
    ends = (pick(ids, key=np.ndarray.tolist).tolist() for pick in (min, max))
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))
    shared = [token for token, _ in same][: min(map(len, ids)) - 1]
    return shared if len(shared) >= _LEAST else []


def sees_everything(model: "PreTrainedModel") -> bool:
    """Say whether every layer looks back at every earlier token, so that what was read of a beginning serves all prompts."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return config.model_type in _PLAIN and kinds == {"full_attention"} and not windowed


def read_prefix(model: "PreTrainedModel", prefix: Sequence[int]) -> "DynamicCache | None":
    """Read a beginning; return its keys and values, or none if it is empty."""
    if not prefix:
        return None
    cache = transformers.DynamicCache()
    model(
        input_ids=torch.tensor([list(prefix)], device=model.device), past_key_values=cache, logits_to_keep=1
    )
    return cache


def repeated(cache: "DynamicCache | None", rows: int) -> "DynamicCache | None":
    """Return a copy of such a cache for so many prompts, to be written on."""
    if cache is None:
        return None
    copy = deepcopy(cache)
    copy.batch_repeat_interleave(rows)
    return copy
