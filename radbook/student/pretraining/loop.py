"""The training loop of `pretrain`: a kill loses a minute, and the same call then ends with the weights it would have had."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from radbook.core.files import replacing
from radbook.student.environment import cpu_has_bfloat16
from radbook.student.pretraining.data import LONGEST, REPLY, TEXT, batches
from radbook.student.pretraining.packed_llama import PackedLlama, can_compile

__all__ = ["POINTS", "train"]

POINTS = 10  # of the curve of zero-shot scores over training
SAVE_SECONDS = 60


def train(
    model: Any,
    tokenizer: Any,
    *,
    state_path: Path,
    steps: int,
    seed: int,
    learning_rate: float,
    text_weight: float,
    batch_tokens: int,
    say: Callable[[str], None],
    snap: Callable[[int, dict[str, Any]], None],
) -> dict[str, Any]:
    """Train a model in place.

    Parameters
    ----------
    model, tokenizer
        The model with its first weights.
    state_path
        File of the state; where it is there, the training goes on from it.
    steps, seed, learning_rate, text_weight, batch_tokens
        See `radbook.student.pretraining.pretrain.pretrain`.
    say
        Called with a line of text every ten seconds.
    snap
        Called at each tenth of the training with its number and what has been spent.

    Returns
    -------
    dict
        Steps, tokens, minutes, tokens per second, precision, device and threads.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = device == "cuda" or cpu_has_bfloat16()
    model.to(device).train()
    packed = PackedLlama(
        model, batch_tokens, dtype=torch.bfloat16 if half else torch.float32, compiled=can_compile()
    )
    optimizers = _optimizers(model, learning_rate)
    spent = _restored(state_path, model, optimizers) or {
        "step": 0, "tokens": 0, "seconds": 0.0, "points": 1, "chunk": 0,
    }  # fmt: skip
    if spent["step"]:
        say(f"continuing from step {spent['step']}")
    start = time.monotonic() - spent["seconds"]
    saved = told = spent["seconds"]
    losses: list[float] = []

    def done() -> float:
        return spent["step"] / steps

    stream = batches(tokenizer, seed, batch_tokens, longest=lambda: _longest(done()), chunk=spent["chunk"])
    for batch in stream:
        if done() >= 1:
            break
        if batch["chunk"] > spent["chunk"]:
            spent["chunk"] = batch["chunk"]
            if spent["seconds"] - saved >= SAVE_SECONDS:
                _keep(state_path, model, optimizers, spent)
                saved = spent["seconds"]
        losses.append(
            _step(packed, optimizers, batch, learning_rate * _schedule(done()), text_weight, device)
        )
        spent["step"] += 1
        spent["tokens"] += batch["tokens"]
        spent["seconds"] = time.monotonic() - start
        if spent["seconds"] - told >= 10:
            told = spent["seconds"]
            left = told / max(done(), 1e-3) * (1 - done()) / 60
            mean, rate = sum(losses) / len(losses), spent["tokens"] / told
            say(f"step {spent['step']}, reply loss {mean:.3f}, {rate:,.0f} tokens/s, {left:.1f} min left")
            losses.clear()
        if spent["points"] / POINTS <= done() < 1:
            snap(spent["points"], {"minutes": round(spent["seconds"] / 60, 1), "tokens": spent["tokens"]})
            spent["points"] += 1
    model.to("cpu").eval()
    return {
        "steps": spent["step"], "tokens": spent["tokens"], "minutes": round(spent["seconds"] / 60, 1),
        "tokens_per_second": round(spent["tokens"] / max(spent["seconds"], 1e-9)),
        "precision": "bfloat16" if half else "float32", "device": device, "threads": torch.get_num_threads(),
    }  # fmt: skip


def _keep(path: Path, model: Any, optimizers: list[Any], spent: dict[str, Any]) -> None:
    state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "spent": spent}
    with replacing(path) as partial:
        torch.save(state, partial)


def _restored(path: Path, model: Any, optimizers: list[Any]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    state = torch.load(path, map_location=model.device, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, content in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(content)
    return state["spent"]


def _step(
    packed: PackedLlama,
    optimizers: list[Any],
    batch: dict,
    learning_rate: float,
    text_weight: float,
    device: str,
) -> float:
    """Take one step and return the loss of the replies."""
    for group in (g for o in optimizers for g in o.param_groups):
        group["lr"] = learning_rate
    loss, reply_loss = _loss(packed, batch, text_weight, device)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(packed.model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(reply_loss)


def _optimizers(model: Any, learning_rate: float) -> list[Any]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms.

    With AdamW for everything the same loss took more than twice as many tokens.
    """
    inner = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" in n]
    norms = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": outer, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return [
        torch.optim.Muon(inner, lr=learning_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True),
    ]


def _schedule(done: float) -> float:
    """Warm up over the first 3%, then follow a cosine down to a fiftieth."""
    return min(1.0, (done + 1e-4) / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _longest(done: float) -> int:
    """Start with examples of up to 80 tokens; from two fifths of the training on, all lengths are read."""
    return int(80 + 750 * done) if done < 0.4 else LONGEST


def _loss(packed: Any, batch: dict, text_weight: float, device: str) -> tuple[Any, Any]:
    ids, kind = batch["ids"].to(device), batch["kind"].to(device)
    hidden = packed.hidden(ids, batch["width"])[:-1]
    chosen = kind[1:].nonzero().squeeze(1)
    padding = chosen.new_zeros(
        -len(chosen) % 256
    )  # few distinct shapes: the kernels keep memory for each one
    logits = packed.logits(hidden[torch.cat([chosen, padding])])[: len(chosen)]
    losses = torch.nn.functional.cross_entropy(logits, ids[1:][chosen], reduction="none")
    kind = kind[1:][chosen]
    reply = losses[kind == REPLY].mean()
    return reply + text_weight * losses[kind == TEXT].mean(), reply.detach()
