"""Let a model write its replies: greedy, many reports at a time, the shared beginning of the prompts read once.

Each step reads the last token of every reply and a guess at the next one (`radbook.student.generation.speculative`).
On a CPU, in float32, every reply is the one that `model.generate` gives to its prompt alone; what differs is the time.
In half precision, or by vLLM's kernels, a close call between two tokens may fall to the other side.
A reply ends at the model's end token and not with its list: what stands behind the list (evidence, or prose that lowers
the status) belongs to what `Task.parse` reads.
On CUDA, vLLM takes over where it is installed, 500 replies or more are wanted and a copy of the model has room.
"""

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any
from weakref import WeakKeyDictionary

from radbook.core.errors import RadbookError
from radbook.student.environment import quiet
from radbook.student.generation.kv_cache import Memory, can_share, rows_at_once
from radbook.student.generation.speculative import Drafts
from radbook.student.prompts import encode_prompts

__all__ = ["PORTION", "end_engine", "generate", "progress_of", "shared_prefix", "worth_vllm"]

_LEAST_PREFIX = 48  # a shorter shared beginning costs more to keep apart than to read again
PORTION = 4096  # prompts
_WORTH_VLLM = 500  # replies; vLLM takes about a minute to start
# Each model's vLLM engine, so that a second task starts at once.
_ENGINES: WeakKeyDictionary = WeakKeyDictionary()

Answer = tuple[int, list[int]]  # which prompt, and the tokens of its reply


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 150,
    batch_size: int = 64,
    vllm: bool = True,
    progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Return the greedy reply to each prompt, in the order of the prompts.

    Parameters
    ----------
    model, tokenizer
        As `load_base` returns them; a LoRA adapter should be merged first, which is faster.
    prompts
        Prompts as `Task.prompt` writes them; one that comes several times is answered once.
    max_new_tokens
        A reply that has not ended by then is cut there.
    batch_size
        Prompts answered at a time.
    vllm
        Let vLLM write where it pays; false for replies that will be compared with others of few prompts.
    progress
        Called with one line of text now and then: replies written, by vLLM if so, replies per second, seconds left.

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
    vllm = vllm and _takes_vllm(model, len(prompts))
    tell = progress_of(progress, len(prompts), "replies by vLLM" if vllm else "replies")
    write = _write_with_vllm if vllm else _write
    replies = [""] * len(prompts)
    model.eval()
    # A portion at a time: the tokens of a whole cohort's prompts would take more memory than anything else.
    for start in range(0, len(prompts), PORTION):
        places: dict[tuple[int, ...], list[int]] = {}
        for place, ids in enumerate(encode_prompts(tokenizer, prompts[start : start + PORTION]), start):
            places.setdefault(tuple(ids), []).append(place)
        # The longest first: prompts of like length are read together, and the slots never have to grow.
        asked = sorted(places, key=len, reverse=True)
        with quiet():
            for k, tokens in write(model, tokenizer, asked, max_new_tokens, batch_size):
                reply = tokenizer.decode(tokens, skip_special_tokens=True).strip()
                for place in places[asked[k]]:
                    replies[place] = reply
                tell(len(places[asked[k]]))
    return replies


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


def shared_prefix(ids: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens all prompts begin with, or none if that is too few to be worth it.

    Every prompt keeps at least one token of its own.
    """
    if len(ids) < 2:
        return []
    # What the first and the last in order share, all share.
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(min(ids), max(ids), strict=False))
    shared = [token for token, _ in pairs][: min(map(len, ids)) - 1]
    return shared if len(shared) >= _LEAST_PREFIX else []


def _write(
    model: Any, tokenizer: Any, ids: list[tuple[int, ...]], max_new_tokens: int, batch_size: int
) -> Iterator[Answer]:
    """Write the replies with a constant number of slots: where a reply has ended, the next prompt moves in."""
    if not can_share(model):
        yield from _write_plainly(model, tokenizer, ids, max_new_tokens, batch_size)
        return
    prefix, stops = shared_prefix(ids), _stops(model, tokenizer)
    drafts = Drafts()
    head, size = len(prefix), min(batch_size, len(ids))
    begun = 0  # how many prompts have moved in
    active: list[tuple[int, list[int]]] = []  # who sits in the slots 0, 1, ..., and what is written so far
    memory = Memory(model, prefix, rows=size, width=len(ids[0]) - head + max_new_tokens + 1)
    with memory.open():
        while active or begun < len(ids):
            # Enough prompts together to keep a core busy, few enough to stay in its cache.
            new = range(begun, len(ids))[: rows_at_once(len(ids[min(begun, len(ids) - 1)]) - head, size // 8)]
            if new and size - len(active) >= len(new):
                begun = new.stop
                first = memory.read([ids[k][head:] for k in new], len(active))
                active += [(k, [token]) for k, token in zip(new, first, strict=True)]
            else:
                # The last token written is not read yet.
                lengths = [len(ids[k]) - head + len(written) - 1 for k, written in active]
                guesses = [drafts.guess(written) for _, written in active]
                asked = [[row[-1], guess or 0] for (_, row), guess in zip(active, guesses, strict=True)]
                following = memory.step(asked, lengths)
                for (_, written), guess, (token, after) in zip(active, guesses, following, strict=True):
                    start = len(written)
                    written.append(token)
                    if token == guess and token not in stops and len(written) < max_new_tokens:
                        written.append(after)
                    drafts.learn(written, start=start)
            for slot in range(len(active) - 1, -1, -1):
                k, written = active[slot]
                if written[-1] in stops or len(written) >= max_new_tokens:
                    yield k, written
                    moved = active.pop()
                    if slot < len(active):
                        active[slot] = moved
                        memory.move(len(active), slot, len(ids[moved[0]]) - head + len(moved[1]) - 1)


def _write_plainly(
    model: Any, tokenizer: Any, ids: list[tuple[int, ...]], max_new_tokens: int, batch_size: int
) -> Iterator[Answer]:
    """Write the replies with `model.generate`, for models that see only part of what came before."""
    import torch

    stops, pad = _stops(model, tokenizer), tokenizer.pad_token_id
    for first in range(0, len(ids), batch_size):
        rows = ids[first : first + batch_size]
        width = max(map(len, rows))
        tokens = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
        options = {"do_sample": False, "num_beams": 1, "temperature": None, "top_p": None, "top_k": None}
        written = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            pad_token_id=pad,
            eos_token_id=sorted(stops),
            **options,
        )
        yield from enumerate(written[:, width:].tolist(), start=first)


def _stops(model: Any, tokenizer: Any) -> set[int]:
    known = model.generation_config.eos_token_id
    return {tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])} - {None}


def worth_vllm(*, device: str, installed: bool, n_prompts: int, free: int, weights: int) -> bool:
    """Say whether vLLM should write: on CUDA, installed, worth its start, and with room (bytes) for a copy of the model.

    >>> worth_vllm(device="cuda", installed=True, n_prompts=20_000, free=60 * 2**30, weights=16 * 2**30)
    True
    """
    return device == "cuda" and installed and n_prompts >= _WORTH_VLLM and free > 2 * weights


def _takes_vllm(model: Any, n_prompts: int) -> bool:
    if model.device.type != "cuda":
        return False
    import torch

    return model in _ENGINES or worth_vllm(
        device=model.device.type,
        installed=importlib.util.find_spec("vllm") is not None,
        n_prompts=n_prompts,
        free=torch.cuda.mem_get_info()[0],
        weights=sum(p.numel() * p.element_size() for p in model.parameters()),
    )


def end_engine(model: Any) -> None:
    """Let go of the model's vLLM engine, if it has one; it ends, and its memory is free, once it is collected."""
    _ENGINES.pop(model, None)


def _write_with_vllm(
    model: Any, tokenizer: Any, ids: list[tuple[int, ...]], max_new_tokens: int, batch_size: int
) -> Iterator[Answer]:
    import torch

    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    from vllm import LLM, SamplingParams

    if model not in _ENGINES:
        free, total = torch.cuda.mem_get_info()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            _ENGINES[model] = LLM(
                model=folder,
                dtype=str(model.dtype).removeprefix("torch."),
                enable_prefix_caching=True,
                gpu_memory_utilization=0.9 * free / total,
            )
    greedy = SamplingParams(
        temperature=0.0, max_tokens=max_new_tokens, stop_token_ids=sorted(_stops(model, tokenizer))
    )
    share = max(1000, batch_size)  # vLLM makes its own batches; this is how often it can be asked for news
    for first in range(0, len(ids), share):
        asked = [{"prompt_token_ids": list(row)} for row in ids[first : first + share]]
        outputs = _ENGINES[model].generate(asked, greedy, use_tqdm=False)
        yield from enumerate((list(output.outputs[0].token_ids) for output in outputs), start=first)
