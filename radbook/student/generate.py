"""Let a model write its replies: greedy, many reports at a time, the shared beginning of the prompts read once."""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from radbook.errors import RadbookError
from radbook.student.base import encode_prompts, quiet

__all__ = ["generate"]

_LEAST_PREFIX = 48  # a shorter shared beginning costs more to copy than to read again


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 150,
    batch_size: int = 32,
    progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Return the greedy reply to each prompt, in the order of the prompts.

    Parameters
    ----------
    model, tokenizer
        As `load_base` returns them; a LoRA adapter should be merged first, which is faster.
    prompts
        Prompts as `Task.prompt` writes them.
    max_new_tokens
        A reply that has not ended by then is cut there.
    batch_size
        Prompts per batch. They are sorted by length, so that little padding is read; the replies do not depend on it.
    progress
        Called with one line of text now and then.
    """
    if max_new_tokens < 1 or batch_size < 1:
        name = "max_new_tokens" if max_new_tokens < 1 else "batch_size"
        raise RadbookError(f"{name} is {min(max_new_tokens, batch_size)}: give a whole number of at least 1")
    import torch

    ids = encode_prompts(tokenizer, prompts)
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    prefix = _shared_prefix(ids)
    replies = [""] * len(ids)
    start = told = time.monotonic()
    model.eval()
    with torch.inference_mode(), quiet():
        cache = _prefill(model, prefix) if prefix else None
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            for row, reply in zip(
                rows,
                _batch(model, tokenizer, [ids[i] for i in rows], prefix, cache, max_new_tokens),
                strict=True,
            ):
                replies[row] = reply
            done, now = first + len(rows), time.monotonic()
            if progress and (now - told > 2 or done == len(order)):
                rate = done / (now - start)
                told = now
                progress(
                    f"{done} of {len(order)} replies, {rate:.1f}/s, {(len(order) - done) / rate:.0f} s left"
                )
    return replies


def _shared_prefix(ids: list[list[int]]) -> list[int]:
    """Return the tokens all prompts begin with, or none if that is too few to be worth it."""
    if len(ids) < 2:
        return []
    low, high = min(ids), max(ids)
    length = next(
        (k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high))
    )
    length = min(length, min(map(len, ids)) - 1)  # every prompt keeps at least one token of its own
    return low[:length] if length >= _LEAST_PREFIX else []


def _prefill(model: Any, prefix: list[int]) -> Any:
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    model(input_ids=torch.tensor([prefix], device=model.device), past_key_values=cache, use_cache=True)
    return cache


def _batch(
    model: Any, tokenizer: Any, ids: list[list[int]], prefix: list[int], cache: Any, max_new_tokens: int
) -> list[str]:
    import torch

    # Left padding keeps the reply adjacent to the prompt; with a prefilled prefix the padding lies behind the prefix.
    width, head = max(map(len, ids)), len(prefix)
    pad = tokenizer.pad_token_id
    rows = [prefix + [pad] * (width - len(row)) + row[head:] for row in ids]
    mask = [[1] * head + [0] * (width - len(row)) + [1] * (len(row) - head) for row in ids]
    tokens = torch.tensor(rows, device=model.device)
    past = None
    if cache is not None:
        past = deepcopy(cache)
        past.batch_repeat_interleave(len(ids))
    written = model.generate(
        input_ids=tokens,
        attention_mask=torch.tensor(mask, device=model.device),
        past_key_values=past,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=None,
        top_p=None,
        pad_token_id=pad,
        eos_token_id=tokenizer.eos_token_id,
        use_cache=True,
    )
    return [text.strip() for text in tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)]
