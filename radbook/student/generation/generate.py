"""Let a model write its replies: greedy, many reports at a time.

On a CPU CTranslate2 writes, which reads the shared beginning of the prompts once; elsewhere, and where it cannot read a
model, `generate` of transformers.
In float32 every reply is the one that `model.generate` gives to its prompt alone; what differs is the time.
In half precision a close call between two tokens may fall to the other side.
A reply ends at the model's end token and not with its list: what stands behind the list (evidence, or prose that lowers
the status) belongs to what `Task.parse` reads.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from radbook.core.errors import RadbookError
from radbook.student.environment import quiet, torch
from radbook.student.generation import engine as ctranslate2
from radbook.student.prompts import token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["generate", "progress_of"]

_ON_A_CPU = 16  # prompts read together; more wait for the longest of them and are slower


def generate(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 150,
    batch_size: int = 64,
    progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Return the greedy reply to each prompt, in the order of the prompts.

    Parameters
    ----------
    model, tokenizer
        As `load_base` returns them, a LoRA adapter merged.
    prompts
        Prompts as `Task.prompt` writes them; one that comes several times is answered once.
    max_new_tokens
        A reply that has not ended by then is cut there.
    batch_size
        Prompts answered at a time; on a CPU at most 16.
    progress
        Called with one line of text now and then: why CTranslate2 does not write, if it does not; then replies written,
        replies per second, seconds left.

    Examples
    --------
    >>> from radbook.student.base import load_base
    >>> from radbook.tasks import CHOICE
    >>> model, tokenizer, _ = load_base("tiny", backend="peft")
    >>> replies = generate(model, tokenizer, [CHOICE.prompt("No acute disease.")], max_new_tokens=20)
    >>> replies[0].startswith("[")
    True
    """
    for name, value in (("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise RadbookError(f"{name} is {value}: give a whole number of at least 1")
    if not prompts:
        return []
    asked = Counter(prompts)
    ids = dict(zip(asked, token_ids(tokenizer, list(asked)), strict=True))
    order = sorted(ids, key=lambda prompt: -len(ids[prompt]))  # prompts of like length are read together
    tell = progress_of(progress, len(prompts), "replies")
    size = min(batch_size, _ON_A_CPU) if model.device.type == "cpu" else batch_size
    replies: dict[str, str] = {}
    model.eval()
    with quiet(), torch.inference_mode():
        write, why = _writer(model, tokenizer, [ids[prompt] for prompt in order], max_new_tokens)
        if why and progress:
            progress(f"transformers writes the replies: {why}")
        for first in range(0, len(order), size):
            part = order[first : first + size]
            written = write([ids[prompt].tolist() for prompt in part])
            texts = tokenizer.batch_decode(written, skip_special_tokens=True)
            replies |= {prompt: text.strip() for prompt, text in zip(part, texts, strict=True)}
            tell(sum(asked[prompt] for prompt in part))
    return [replies[prompt] for prompt in prompts]


def progress_of(progress: Callable[[str], None] | None, total: int, what: str) -> Callable[[int], None]:
    """Return a function that is told how many more are done; it passes on a line every two seconds, and the last one."""
    start = told = time.monotonic()
    done = 0

    def tell(more: int) -> None:
        nonlocal told, done
        done, now = done + more, time.monotonic()
        if progress and (now - told > 2 or done == total):
            told, rate = now, done / max(now - start, 1e-9)
            progress(f"{done} of {total} {what}, {rate:.1f}/s, {(total - done) / rate:.0f} s left")

    return tell


def _writer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    asked: Sequence[np.ndarray],
    max_new_tokens: int,
) -> tuple[Callable[[Sequence[Sequence[int]]], list[list[int]]], str]:
    """Return what writes the tokens of the replies to a batch of prompts (the longest first), and why not CTranslate2."""
    known = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])} - {None}
    limits = {"stops": sorted(ends), "max_new_tokens": max_new_tokens}
    engine, why = ctranslate2.engine_of(model, tokenizer, asked[0].tolist())
    if engine:
        return ctranslate2.writer(engine, tokenizer, asked, **limits), ""

    def write(rows: Sequence[Sequence[int]]) -> list[list[int]]:
        batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(model.device)
        written = model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            eos_token_id=limits["stops"],
            pad_token_id=tokenizer.pad_token_id,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
        )
        return written[:, batch["input_ids"].shape[1] :].tolist()

    return write, why
