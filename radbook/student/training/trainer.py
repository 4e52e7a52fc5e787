"""The training itself: rows with their prompts masked, the LoRA adapter, and TRL's trainer set up for this device.

Importing this loads torch, transformers, PEFT and TRL; Unsloth, which changes them, must have been imported before.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import PartialState
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from radbook.core.errors import RadbookError
from radbook.core.files import write_json
from radbook.student.base import base_commit, load_base
from radbook.student.environment import cpu_has_bfloat16, import_unsloth, quiet
from radbook.student.prompts import encode_prompts, template_hash
from radbook.student.training.checkpoints import begin, make_room, newest
from radbook.student.training.config import Settings, world_size
from radbook.student.training.merge import save_adapter

__all__ = ["Watcher", "add_lora", "length_grouped", "make_trainer", "tokenize", "train"]

# Up to this many tokens plain attention trains faster on a CPU than the fused kernel, whose backward pass is slow there.
_PLAIN_ATTENTION = 512


def train(
    instructions: pd.DataFrame, out_dir: Path, settings: Settings, identity: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """Train, or go on from the newest whole checkpoint, and write the student; return what its settings.json holds.

    The arguments are those of `radbook.student.training.finetune.finetune`, checked; `identity` (settings and hashes) tells
    this training from another.
    """
    # Joined before anything loads, so that each of several processes knows its device.
    state = PartialState(cpu=not torch.cuda.is_available())
    longest_known = int(instructions["prompt_tokens"].max() + instructions["completion_tokens"].max()) + 256
    model, tokenizer, backend = load_base(
        settings.base_model,
        backend=settings.backend,
        max_seq_length=longest_known,
        load_in_4bit=settings.load_in_4bit,
    )
    commit = base_commit(model, settings.base_model)
    rows = tokenize(instructions, tokenizer)
    lengths = [len(ids) for ids in rows["input_ids"]]
    limit = getattr(model.config, "max_position_embeddings", max(lengths))
    if max(lengths) > limit:
        raise RadbookError(
            f"{sum(n > limit for n in lengths)} instruction rows are longer than the {limit} tokens that base_model "
            f"{settings.base_model} reads: lower max_prompt_tokens when the instructions are built"
        )
    model = add_lora(model, settings, backend)
    # Nothing is removed before all that can be refused has been accepted, and no student before the next one is trained.
    with state.main_process_first():
        if begin(out_dir, identity):
            say(f"replacing the earlier student in {out_dir}, once this one is trained")
    trainer = make_trainer(model, tokenizer, rows, out_dir, settings, backend=backend)
    trainer.add_callback(Watcher(say, sum(lengths) * settings.epochs))
    checkpoint = newest(out_dir / "checkpoints", processes=world_size())
    if checkpoint:
        say(f"continuing from step {checkpoint.name.partition('-')[2]}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = pd.DataFrame([e for e in trainer.state.log_history if "loss" in e])
    losses = losses[["step", "epoch", "loss", "learning_rate", "seconds"]]
    seconds = float(losses["seconds"].iloc[-1])
    result = {
        **identity,
        "base_commit": commit,
        "template_hash": template_hash(tokenizer, identity["prompt_style"]),
        "backend_used": backend,
        "processes": world_size(),
        "device": str(model.device),
        "precision": next((f"{p} autocast" for p in ("bf16", "fp16") if getattr(trainer.args, p)), "float32"),
        "rows": len(lengths),
        "steps": int(trainer.state.global_step),
        "last_loss": round(float(losses["loss"].tail(10).mean()), 4),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(sum(lengths) * settings.epochs / seconds),
    }
    if trainer.is_world_process_zero():  # the settings last: they say that all of it is there
        make_room(out_dir)
        with quiet():
            save_adapter(trainer.accelerator.unwrap_model(trainer.model), out_dir / "adapter", result)
        losses.to_parquet(out_dir / "losses.parquet", index=False)
        write_json(result, out_dir / "settings.json")
        shutil.rmtree(out_dir / "checkpoints", ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return result


def tokenize(instructions: pd.DataFrame, tokenizer: PreTrainedTokenizerBase) -> dict[str, list]:
    """Return `input_ids` and `labels` of every row; labels are -100 on the prompt, so only the reply is learned."""
    prompts = encode_prompts(tokenizer, instructions["prompt"])
    replies = tokenizer(instructions["completion"].tolist(), add_special_tokens=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    return {
        "input_ids": [p + r + end for p, r in zip(prompts, replies, strict=True)],
        "labels": [[-100] * len(p) + r + end for p, r in zip(prompts, replies, strict=True)],
    }


def add_lora(model: PreTrainedModel, settings: Settings, backend: str) -> PeftModel:
    """Return the model with an untrained adapter beside the layers that the settings name."""
    linear = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    linear = sorted(linear - {"lm_head"})
    names = [name.strip() for name in settings.targets.split(",") if name.strip()]
    names = linear if names == ["all-linear"] else names
    unknown = [name for name in names if name not in linear]
    if unknown:
        raise RadbookError(
            f"targets names {', '.join(unknown)}, which base_model {settings.base_model} does not have: give "
            f"'all-linear' or some of {', '.join(linear)}"
        )
    options = {"r": settings.rank, "lora_alpha": settings.alpha, "lora_dropout": 0.0, "bias": "none", "target_modules": names}
    with quiet():
        if backend == "unsloth":
            unsloth = import_unsloth()
            saving = "unsloth" if unsloth.DEVICE_TYPE == "cuda" else False
            return unsloth.FastLanguageModel.get_peft_model(
                model, use_gradient_checkpointing=saving, random_state=settings.seed, **options
            )
        if settings.load_in_4bit:
            model = prepare_model_for_kbit_training(model)
        torch.manual_seed(settings.seed)
        return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))


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


class _Trainer(SFTTrainer):
    """TRL's trainer with an order of the rows that the seed and the epoch alone decide.

    The order that the library draws from torch's global state is another one after a restart in a later epoch.
    """

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> "_Sampler":
        return _Sampler(self)


class _Sampler:
    """Draws the order of a trainer's rows anew whenever an epoch begins."""

    def __init__(self, trainer: _Trainer) -> None:
        self.trainer, self.lengths = trainer, [len(ids) for ids in trainer.train_dataset["input_ids"]]

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        args, epoch = self.trainer.args, int(self.trainer.state.epoch or 0)
        at_a_time = args.per_device_train_batch_size * args.gradient_accumulation_steps * world_size()
        return iter(length_grouped(self.lengths, at_a_time, seed=args.seed * 1_000_003 + epoch))


def make_trainer(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: dict[str, list],
    out_dir: Path,
    settings: Settings,
    *,
    backend: str = "peft",
) -> SFTTrainer:
    """Return TRL's trainer over tokenized rows, with the settings that are quick on this device."""
    cuda = model.device.type == "cuda"
    if not cuda and max(map(len, rows["input_ids"])) <= _PLAIN_ATTENTION:
        model.set_attn_implementation("eager")
    batch_size, accumulation = settings.per_process(world_size())
    with quiet():
        arguments = SFTConfig(
            output_dir=str(out_dir / "checkpoints"),
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            num_train_epochs=settings.epochs,
            optim="adamw_torch_fused",
            bf16=torch.cuda.is_bf16_supported() if cuda else cpu_has_bfloat16(),
            fp16=cuda and not torch.cuda.is_bf16_supported(),
            gradient_checkpointing=cuda,
            # The vocabulary's logits of trained tokens alone; on CUDA Unsloth has its own way to save them.
            loss_type="nll" if cuda and backend == "unsloth" else "chunked_nll",
            pad_to_multiple_of=16,  # few distinct shapes: the CPU kernels keep memory for each one they meet
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            seed=settings.seed,
            save_steps=settings.checkpoint_steps,
            save_total_limit=1,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=cuda,
            ddp_find_unused_parameters=False,
            use_cpu=not cuda,
        )
        if not cuda:  # of several processes each is given "cpu:0", onto which torch loads no checkpoint
            arguments._setup_devices = torch.device("cpu")
        trainer = _Trainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer
        )
    trainer.remove_callback(PrinterCallback)  # it would print every step
    return trainer


def length_grouped(lengths: list[int], at_a_time: int, *, seed: int) -> list[int]:
    """Return a random order in which rows that are read together are of like length: less padding is computed.

    Rows are drawn, sorted in groups of fifty steps, cut into steps, and the steps shuffled; the longest comes first, so
    that memory runs out at once or never.

    >>> length_grouped([5, 1, 5, 1, 9], 2, seed=0)
    [4, 2, 0, 1, 3]
    """
    rng = random.Random(seed)
    rows = list(range(len(lengths)))
    rng.shuffle(rows)
    groups = [rows[i : i + 50 * at_a_time] for i in range(0, len(rows), 50 * at_a_time)]
    rows = [row for group in groups for row in sorted(group, key=lambda k: -lengths[k])]
    steps = [rows[i : i + at_a_time] for i in range(0, len(rows), at_a_time)]
    rest = [steps.pop()] if len(steps[-1]) < at_a_time else []  # the one step that is not full stays the last
    rng.shuffle(steps)
    longest = max(range(len(steps)), key=lambda k: lengths[steps[k][0]], default=0)
    steps = steps[longest : longest + 1] + steps[:longest] + steps[longest + 1 :]
    return [row for step in steps + rest for row in step]
