"""What the trainer calls back: one tells how far it is and times every step, one keeps its checkpoints."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import TrainerCallback

from radbook.student.training.checkpoints import keep

__all__ = ["Keeper", "Watcher"]


class Watcher(TrainerCallback):
    """Notes the training seconds beside every loss, over interruptions too, and tells how far it is.

    `say` gets a line of text, every two seconds at most; `tokens` are those of the whole training.
    """

    def __init__(self, say: Callable[[str], None], tokens: float) -> None:
        self.say, self.tokens, self.told = say, tokens, 0.0

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.before = next((e["seconds"] for e in reversed(state.log_history) if "seconds" in e), 0.0)
        self.first, self.start = state.global_step, time.monotonic()

    def on_log(self, args, state, control, **kwargs) -> None:
        entry, spent = state.log_history[-1], time.monotonic() - self.start
        entry["seconds"] = round(self.before + spent, 2)
        if "loss" not in entry or (spent - self.told < 2 and state.global_step < state.max_steps):
            return
        self.told = spent
        rate = (state.global_step - self.first) / max(spent, 1e-6)
        left = (state.max_steps - state.global_step) / rate
        self.say(
            f"step {state.global_step} of {state.max_steps}, loss {float(entry['loss']):.3f}, "
            f"{self.tokens * rate / state.max_steps:,.0f} tokens/s, {left:.0f} s left"
        )


class Keeper(TrainerCallback):
    """Keeps every checkpoint once all processes have written their part of it."""

    def on_save(self, args, state, control, **kwargs) -> None:
        if args.world_size > 1:
            torch.distributed.barrier()
        if state.is_world_process_zero:
            keep(Path(args.output_dir, f"checkpoint-{state.global_step}"), processes=max(1, args.world_size))
