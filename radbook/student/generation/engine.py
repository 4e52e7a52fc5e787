"""Greedy replies by CTranslate2, an inference engine for CPUs that others keep.

The model is converted into a temporary folder and loaded from there; the engine is kept for as long as the model is.
No conversion is kept on disk: it takes a tenth of a second for the packaged base and some seconds for 135 million
parameters, which would be a folder of half a gigabyte for every student.
An engine that does not compute what the model computes is not used.
"""

import gc
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from radbook.student.environment import torch

if TYPE_CHECKING:
    from ctranslate2 import Generator
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["engine_of", "sees_everything", "shared_prefix", "writer"]

_LEAST = 48  # tokens; a shorter beginning costs more to keep apart than to read again
# Architectures whose attention is plain: one softmax over all earlier tokens, nothing else.
_PLAIN = ("llama", "mistral", "qwen2", "qwen3")

# Of each model: its weights and the threads, then its engine, or why it has none.
_ENGINES: WeakKeyDictionary = WeakKeyDictionary()


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


def engine_of(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", probe: list[int]
) -> "tuple[Generator | None, str]":
    """Return the engine that writes what a model would write, or none and why not; on `probe`, a prompt, both must agree."""
    fits = model.device.type == "cpu" and model.dtype == torch.float32 and sees_everything(model)
    if not fits or hasattr(model, "peft_config"):
        kind = f"{model.config.model_type}, {model.dtype}, on {model.device}"
        return None, f"CTranslate2 takes merged Llama-type models in float32 on a CPU, not this one ({kind})"
    made_of = torch.get_num_threads(), _digest(model)
    if _ENGINES.get(model, ((),))[0] != made_of:
        try:
            engine = _convert(model, tokenizer)
            why = "" if _agree(engine, model, probe) else "CTranslate2 computes something else than the model"
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            reason = str(error).strip().partition("\n")[0][:200]
            engine, why = None, f"CTranslate2 cannot read the model ({reason})"
        _ENGINES[model] = made_of, (None if why else engine), why
    return _ENGINES[model][1:]


def writer(
    engine: "Generator",
    tokenizer: "PreTrainedTokenizerBase",
    asked: Sequence[np.ndarray],
    *,
    stops: Sequence[int],
    max_new_tokens: int,
) -> Callable[[Sequence[Sequence[int]]], list[list[int]]]:
    """Return a function that writes the tokens of the reply to each prompt of a batch, all of them among `asked`."""
    prefix = shared_prefix(asked)
    if len(prefix) < _LEAST:
        prefix = []
    head = tokenizer.convert_ids_to_tokens(prefix) or None

    def write(rows: Sequence[Sequence[int]]) -> list[list[int]]:
        results = engine.generate_batch(
            [tokenizer.convert_ids_to_tokens(row[len(prefix) :]) for row in rows],
            static_prompt=head,
            max_length=max_new_tokens,
            end_token=list(stops),
            return_end_token=True,
            include_prompt_in_result=False,
            sampling_topk=1,
        )
        return [result.sequences_ids[0] for result in results]

    return write


def _digest(model: "PreTrainedModel") -> bytes:
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy())
    return digest.digest()


def _convert(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> "Generator":
    from ctranslate2 import Generator
    from ctranslate2.converters import TransformersConverter

    gc.freeze()  # the converter collects garbage once a layer: half a second each, were all of torch looked through
    try:
        with tempfile.TemporaryDirectory(prefix="radbook-") as folder:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            converted = str(Path(folder, "converted"))
            TransformersConverter(folder).convert(converted, quantization="float32")
            return Generator(converted, compute_type="float32", intra_threads=torch.get_num_threads())
    finally:
        gc.unfreeze()


def _agree(engine: "Generator", model: "PreTrainedModel", probe: list[int]) -> bool:
    found = torch.from_numpy(np.array(engine.forward_batch([probe])))
    expected = model(input_ids=torch.tensor([probe])).logits
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-2)
