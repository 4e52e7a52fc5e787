"""The training loop of `pretrain`: a kill loses a minute, and the same call then ends with the weights it would have had."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from radbook.core.files import replacing
from radbook.student.environment import cpu_has_bfloat16
from tools.pretrain.data import LONGEST, REPLY, TEXT, Source, batches, tasks

__all__ = ["train"]

LEARNING_RATE = 4e-3  # the highest
TEXT_WEIGHT = 0.3  # of the loss of the prompt's tokens beside that of the reply's
BATCH_TOKENS = 6144  # padding included
SAVE_SECONDS = 60


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    source: Source,
    *,
    state_path: Path,
    steps: int,
    seed: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train a model in place, on from `state_path` if that file is there; `say` gets a line of text every ten seconds.

    Returns
    -------
    dict
        What was spent: `step`, `tokens`, `seconds`, and `chunk`.
    """
    optimizers = _optimizers(model)
    spent = _restored(state_path, model, optimizers) or {"step": 0, "tokens": 0, "seconds": 0.0, "chunk": 0}
    if spent["step"]:
        say(f"continuing from step {spent['step']}")
    start = time.monotonic() - spent["seconds"]
    saved = told = spent["seconds"]
    while spent["step"] < steps:
        if spent["seconds"] - saved >= SAVE_SECONDS:
            saved = spent["seconds"]
            _keep(state_path, model, optimizers, spent)
        own_seed = seed * 1_000_003 + spent["chunk"]
        longest = _longest(spent["step"] / steps) if source is tasks else LONGEST
        for ids, kind in batches(tokenizer, source, seed=own_seed, n_tokens=BATCH_TOKENS, longest=longest):
            for group in (g for o in optimizers for g in o.param_groups):
                group["lr"] = LEARNING_RATE * _schedule(spent["step"] / steps)
            loss = _step(model, optimizers, ids.to(model.device), kind.to(model.device))
            spent["step"] += 1
            spent["tokens"] += int((ids != tokenizer.pad_token_id).sum())
            spent["seconds"] = time.monotonic() - start
            if spent["seconds"] - told >= 10:
                told = spent["seconds"]
                left, rate = told * (steps / spent["step"] - 1) / 60, spent["tokens"] / told
                say(f"step {spent['step']}, reply loss {loss:.3f}, {rate:,.0f} tokens/s, {left:.1f} min left")
            if spent["step"] == steps:
                return spent
        spent["chunk"] += 1
    return spent


def _keep(path: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], spent: dict[str, Any]) -> None:
    state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "spent": spent}
    with replacing(path) as partial:
        torch.save(state, partial)


def _restored(path: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    state = torch.load(path, map_location=model.device, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, content in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(content)
    return state["spent"]


def _optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms.

    With AdamW for everything the same loss took more than twice as many tokens.
    """
    inner = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" in n]
    norms = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": outer, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return [
        torch.optim.Muon(inner, lr=LEARNING_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True),
    ]


def _schedule(done: float) -> float:
    """Warm up over the first 3%, then follow a cosine down to a fiftieth."""
    return min(1.0, (done + 1e-4) / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def _longest(done: float) -> int:
    """Start with examples of up to 80 tokens; from two fifths of the training on, all lengths are read."""
    return int(80 + 750 * done) if done < 0.4 else LONGEST


def _step(
    model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], ids: torch.Tensor, kind: torch.Tensor
) -> float:
    """Take one step and return the loss of the replies."""
    half = ids.is_cuda or cpu_has_bfloat16()
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=half):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
        kind, targets = kind[:, 1:].flatten(), ids[:, 1:].flatten()
        chosen = kind.nonzero().squeeze(1)
        padding = -len(chosen) % 256  # few distinct shapes: the kernels keep memory for each one
        logits = model.lm_head(hidden[torch.nn.functional.pad(chosen, (0, padding))])[: len(chosen)]
    losses = torch.nn.functional.cross_entropy(logits.float(), targets[chosen], reduction="none")
    text, reply = losses[kind[chosen] == TEXT], losses[kind[chosen] == REPLY].mean()
    (reply + TEXT_WEIGHT * text.sum() / max(1, len(text))).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(reply.detach())
