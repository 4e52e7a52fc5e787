"""One side of bench_training.py: trains the same adapter on the same rows in one way, each time from the start.

python train_side.py radbook|trl|trl-quick|loop ROWS.parquet

radbook imports Unsloth, which changes TRL for the whole process; hence a process for each.
"""

import contextlib
import functools
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from rounds import serve
from work import matrix_rate

from radbook.core.schema import INSTRUCTIONS, read_table
from radbook.student.base import load_base, load_tokenizer
from radbook.student.environment import cpu_has_bfloat16, import_unsloth, prepare_environment
from radbook.student.training.config import Settings

# What decides the losses is the same for all; everything else is each one's own.
SETTINGS = Settings(epochs=1.0, batch_size=16, rank=16, alpha=32, learning_rate=1e-3, seed=1)
# Shapes of the tiny base's layers: rows, inputs, outputs.
SHAPES = ((2048, 256, 1024), (2048, 1024, 256), (2048, 256, 256))


def with_radbook(table: pd.DataFrame) -> tuple[Any, Callable[[], object]]:
    """Prepare what `finetune` trains with."""
    from radbook.student.training.trainer import add_lora, make_trainer, tokenize

    model, tokenizer, backend = load_base("tiny-taught")
    model = add_lora(model, SETTINGS, backend)
    rows = tokenize(table, tokenizer)
    trainer = make_trainer(model, tokenizer, rows, Path(tempfile.mkdtemp()), SETTINGS, backend=backend)
    trainer.args.save_strategy = "no"
    return model, trainer.train


def with_trl(table: pd.DataFrame, **changes: object) -> tuple[Any, Callable[[], object]]:
    """Prepare TRL's trainer as it comes: only what decides the losses is set, and what `changes` names."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=SETTINGS.batch_size,
        learning_rate=SETTINGS.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=SETTINGS.warmup,
        weight_decay=SETTINGS.weight_decay,
        num_train_epochs=SETTINGS.epochs,
        max_length=None,
        seed=SETTINGS.seed,
        save_strategy="no",
        use_cpu=True,  # without it, it looks for a GPU and ends
        report_to="none",
        **changes,
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_pandas(table[["prompt", "completion"]], preserve_index=False),
        processing_class=tokenizer,
        peft_config=_lora(),
    )
    return trainer.model, trainer.train


def with_loop(table: pd.DataFrame) -> tuple[Any, Callable[[], object]]:
    """Prepare a loop written by hand: rows of like length together, mixed precision, the fused AdamW."""
    import torch
    from peft import get_peft_model
    from transformers import get_cosine_schedule_with_warmup

    from radbook.student.training.trainer import tokenize

    model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    torch.manual_seed(SETTINGS.seed)
    model = get_peft_model(model, _lora())
    rows = tokenize(table, tokenizer)

    def batches() -> list[list[int]]:
        order = torch.randperm(len(table)).tolist()
        order.sort(key=lambda k: len(rows["input_ids"][k]))
        parts = [order[i : i + SETTINGS.batch_size] for i in range(0, len(order), SETTINGS.batch_size)]
        return [parts[k] for k in torch.randperm(len(parts)).tolist()]

    def train() -> None:
        weights = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            weights, lr=SETTINGS.learning_rate, weight_decay=SETTINGS.weight_decay, fused=True
        )
        steps = -(-len(table) // SETTINGS.batch_size)
        schedule = get_cosine_schedule_with_warmup(optimizer, int(SETTINGS.warmup * steps), steps)
        model.train()
        for part in batches():
            ids, labels, mask = _padded(rows, part, tokenizer.pad_token_id)
            with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bfloat16()):
                loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    return model, train


def _lora() -> Any:
    from peft import LoraConfig

    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return LoraConfig(
        r=SETTINGS.rank,
        lora_alpha=SETTINGS.alpha,
        lora_dropout=0.0,
        target_modules=names,
        task_type="CAUSAL_LM",
    )


def _padded(rows: dict, part: list[int], pad: int) -> tuple[Any, Any, Any]:
    import torch

    width = max(len(rows["input_ids"][k]) for k in part)
    ids = torch.tensor([rows["input_ids"][k] + [pad] * (width - len(rows["input_ids"][k])) for k in part])
    labels = torch.tensor([rows["labels"][k] + [-100] * (width - len(rows["labels"][k])) for k in part])
    mask = torch.tensor(
        [[1] * len(rows["input_ids"][k]) + [0] * (width - len(rows["input_ids"][k])) for k in part]
    )
    return ids, labels, mask


def loss_of(model: Any, table: pd.DataFrame) -> float:
    """Return the mean loss per trained token, in single precision, the same way for everyone."""
    import torch

    from radbook.student.training.trainer import tokenize

    rows = tokenize(table, load_tokenizer("tiny-taught"))
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for first in range(0, len(table), 32):
            part = list(range(first, min(first + 32, len(table))))
            ids, labels, mask = _padded(rows, part, 0)
            logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].flatten(0, 1)
            total += float(
                torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:].flatten(), reduction="sum")
            )
            count += int((labels[:, 1:] != -100).sum())
    return total / count


def main(side: str, path: str) -> None:
    """Answer "train" with seconds and losses, and "rate" with the matrix rate."""
    prepare_environment(True)
    if side == "radbook":
        with contextlib.suppress(ImportError, NotImplementedError):
            import_unsloth()
    table = read_table(path, INSTRUCTIONS)
    # TRL computes activations twice to save memory, which a small model does not need.
    quick = functools.partial(with_trl, gradient_checkpointing=False)
    prepare = {"radbook": with_radbook, "trl": with_trl, "trl-quick": quick, "loop": with_loop}[side]

    def train() -> dict:
        with contextlib.redirect_stdout(io.StringIO()):
            model, run = prepare(table)
            before = loss_of(model, table.head(96))
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return {**spent, "before": before, "after": loss_of(model, table.head(96))}

    serve(
        {"train": train, "rate": lambda: {k: matrix_rate("cpu", k, SHAPES) for k in ("float32", "bfloat16")}}
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
