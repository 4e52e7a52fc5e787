"""How far is the training: a trainer callback that speaks in lines of plain text and times every step."""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["watcher"]


def watcher(say: Callable[[str], None], tokens: float) -> Any:
    """Return a trainer callback that tells `say` about a run over `tokens` tokens, and times every loss."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        """Notes the training seconds beside every loss, over interruptions too, and tells how far it is."""

        def __init__(self) -> None:
            self.start, self.told = time.monotonic(), 0.0

        def on_train_begin(self, args, state, control, **kwargs) -> None:
            self.before = next((e["seconds"] for e in reversed(state.log_history) if "seconds" in e), 0.0)
            self.first, self.start = state.global_step, time.monotonic()

        def on_log(self, args, state, control, logs=None, **kwargs) -> None:
            entry = state.log_history[-1]
            spent = time.monotonic() - self.start
            entry["seconds"] = round(self.before + spent, 2)
            if "loss" not in entry or (spent - self.told < 2 and state.global_step < state.max_steps):
                return
            self.told = spent
            rate = (state.global_step - self.first) / max(spent, 1e-6)
            left = (state.max_steps - state.global_step) / rate
            say(
                f"step {state.global_step} of {state.max_steps}, loss {float(entry['loss']):.3f}, "
                f"{tokens * rate / state.max_steps:,.0f} tokens/s, {left:.0f} s left"
            )

    return Watcher()
