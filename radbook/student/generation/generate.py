"""Let a model write its replies: greedy, many reports at a time.

On a CPU the engine CTranslate2 writes, which reads the shared beginning of the prompts once; elsewhere, and where it does
not compute what the model computes, `generate` of transformers.
In float32 every reply is the one that `model.generate` gives to its prompt alone; what differs is the time.
In half precision a close call between two tokens may fall to the other side.
A reply ends at the model's end token and not with its list: what stands behind the list (evidence, or prose that lowers
the status) belongs to what `Task.parse` reads.
"""

import gc
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radbook.core.errors import RadbookError
from radbook.student.environment import quiet, torch
from radbook.student.prompts import token_ids

if TYPE_CHECKING:
    from ctranslate2 import Generator
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    _Tokens = Sequence[Sequence[int]]

__all__ = ["generate", "progress_of", "sees_everything", "shared_prefix"]

_ON_A_CPU = 16  # prompts read together; more wait for the longest of them and are slower
_LEAST = 48  # tokens; a shorter beginning costs more to keep apart than to read again
# Architectures whose attention is plain: one softmax over all earlier tokens, nothing else.
_PLAIN = ("llama", "mistral", "qwen2", "qwen3")


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
    >>> model, tokenizer, _ = load_base("tiny-taught", backend="peft")
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
    threads = torch.get_num_threads()
    model.eval()
    with quiet(), torch.inference_mode():
        write, why = _writer(model, tokenizer, [ids[prompt] for prompt in order], max_new_tokens, size)
        torch.set_num_threads(threads)  # CTranslate2 takes all but one away from torch, for good
        if why and progress:
            progress(f"transformers writes the replies: {why}")
        portion = size if why else size * threads  # every core writes a batch of its own
        for first in range(0, len(order), portion):
            part = order[first : first + portion]
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


def sees_everything(model: "PreTrainedModel") -> bool:
    """Say whether every layer looks back at every earlier token, and at nothing else."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return config.model_type in _PLAIN and kinds == {"full_attention"} and not windowed


def shared_prefix(ids: Sequence[np.ndarray]) -> list[int]:
    """Return the tokens that all prompts begin with; each keeps at least one of its own.

    >>> shared_prefix([np.array([3, 1, 7]), np.array([3, 1, 8, 9]), np.array([3, 1])])
    [3]
    """
    # What the first and the last in order share, all share.
    ends = (pick(ids, key=np.ndarray.tolist).tolist() for pick in (min, max))
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))
    return [token for token, _ in same][: min(map(len, ids)) - 1]


def _writer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    asked: Sequence[np.ndarray],
    max_new_tokens: int,
    batch_size: int,
) -> "tuple[Callable[[_Tokens], list[list[int]]], str]":
    """Return what writes the tokens of the replies to a batch of prompts (the longest first), and why not CTranslate2."""
    known = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])} - {None}
    engine, why = _engine(model, tokenizer, asked[0].tolist())
    prefix = shared_prefix(asked)
    if len(prefix) < _LEAST:
        prefix = []

    def by_ctranslate2(rows: "_Tokens") -> list[list[int]]:
        results = engine.generate_batch(
            [tokenizer.convert_ids_to_tokens(row[len(prefix) :]) for row in rows],
            max_batch_size=batch_size,
            static_prompt=tokenizer.convert_ids_to_tokens(prefix) or None,
            max_length=max_new_tokens,
            end_token=sorted(ends),
            return_end_token=True,
            include_prompt_in_result=False,
            sampling_topk=1,
        )
        return [result.sequences_ids[0] for result in results]

    def by_transformers(rows: "_Tokens") -> list[list[int]]:
        batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(model.device)
        written = model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            eos_token_id=sorted(ends),
            pad_token_id=tokenizer.pad_token_id,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
        )
        return written[:, batch["input_ids"].shape[1] :].tolist()

    return by_ctranslate2 if engine else by_transformers, why


def _engine(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", probe: list[int]
) -> "tuple[Generator | None, str]":
    """Return an engine that computes on `probe`, a prompt, what the model computes, or none and why not."""
    fits = model.device.type == "cpu" and model.dtype == torch.float32 and sees_everything(model)
    if not fits or hasattr(model, "peft_config"):
        kind = f"{model.config.model_type}, {model.dtype}, on {model.device}"
        return None, f"CTranslate2 takes merged Llama-type models in float32 on a CPU, not this one ({kind})"
    try:
        engine = _convert(model, tokenizer)
        found = torch.from_numpy(np.array(engine.forward_batch([probe])))
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        return None, f"CTranslate2 cannot read the model ({reason})"
    expected = model(input_ids=torch.tensor([probe])).logits
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-2):
        return None, "CTranslate2 computes something else than the model"
    return engine, ""


def _convert(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> "Generator":
    """Convert a model: a tenth of a second for the packaged base, so that neither disk nor memory keeps what is made of it."""
    from ctranslate2 import Generator
    from ctranslate2.converters import TransformersConverter

    gc.freeze()  # the converter collects garbage once a layer: half a second each, were all of torch looked through
    try:
        with tempfile.TemporaryDirectory(prefix="radbook-") as folder:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            converted = str(Path(folder, "converted"))
            TransformersConverter(folder).convert(converted, quantization="float32")
            return Generator(converted, compute_type="float32", inter_threads=torch.get_num_threads(), intra_threads=1)
    finally:
        gc.unfreeze()
