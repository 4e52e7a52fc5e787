"""The parts of a training: rows with their prompts masked, the LoRA adapter, and TRL's trainer set up for this device."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.student.environment import cpu_has_bfloat16, import_unsloth, quiet
from radbook.student.prompts import encode_prompts
from radbook.student.training.config import Settings

__all__ = ["add_lora", "length_grouped", "make_trainer", "per_process", "tokenize", "world_size"]

# Up to this many tokens plain attention trains faster on a CPU than the fused kernel, whose backward pass is slow there.
_PLAIN_ATTENTION = 512


def tokenize(instructions: pd.DataFrame, tokenizer: Any) -> dict[str, list]:
    """Return `input_ids` and `labels` of every row; labels are -100 on the prompt, so only the reply is learned."""
    prompts = encode_prompts(tokenizer, instructions["prompt"])
    replies = tokenizer(instructions["completion"].tolist(), add_special_tokens=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    return {
        "input_ids": [p + r + end for p, r in zip(prompts, replies, strict=True)],
        "labels": [[-100] * len(p) + r + end for p, r in zip(prompts, replies, strict=True)],
    }


def world_size() -> int:
    """Return how many processes train together, as `accelerate launch` and `torchrun` say it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def per_process(settings: Settings, processes: int) -> tuple[int, int]:
    """Return batch size and accumulation of one process, so that a step sees as many rows with any number of them.

    >>> per_process(Settings(batch_size=2, accumulation=64), 8)
    (2, 8)
    >>> per_process(Settings(batch_size=16, accumulation=1), 2)
    (8, 1)
    """
    if settings.accumulation % processes == 0:
        return settings.batch_size, settings.accumulation // processes
    if settings.batch_size % processes == 0:
        return settings.batch_size // processes, settings.accumulation
    raise RadbookError(
        f"{processes} processes can share neither accumulation {settings.accumulation} nor batch_size "
        f"{settings.batch_size}: make one of them a multiple of {processes}"
    )


def add_lora(model: Any, settings: Settings, backend: str) -> Any:
    """Return the model with an untrained adapter beside the layers that the settings name."""
    import torch

    linear = sorted(
        {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    )
    linear = [name for name in linear if name != "lm_head"]
    names = linear if settings.targets == "all-linear" else settings.target_names()
    unknown = [name for name in names if name not in linear]
    if unknown:
        raise RadbookError(
            f"targets names {', '.join(unknown)}, which base_model {settings.base_model} does not have: give "
            f"'all-linear' or some of {', '.join(linear)}"
        )
    options = {"r": settings.rank, "lora_alpha": settings.alpha, "lora_dropout": 0.0, "bias": "none"}
    with quiet():
        if backend == "unsloth":
            unsloth = import_unsloth()
            return unsloth.FastLanguageModel.get_peft_model(
                model,
                target_modules=names,
                use_gradient_checkpointing="unsloth" if unsloth.DEVICE_TYPE == "cuda" else False,
                random_state=settings.seed,
                **options,
            )
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

        if settings.load_in_4bit:
            model = prepare_model_for_kbit_training(model)
        torch.manual_seed(settings.seed)
        return get_peft_model(model, LoraConfig(target_modules=names, task_type="CAUSAL_LM", **options))


def make_trainer(
    model: Any, tokenizer: Any, rows: dict, out_dir: Path, settings: Settings, *, backend: str = "peft"
) -> Any:
    """Return TRL's trainer over tokenized rows, with the settings that are quick on this device."""
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    lengths = [len(ids) for ids in rows["input_ids"]]
    at_a_time = settings.batch_size * settings.accumulation

    class Trainer(SFTTrainer):
        """Draws the order of an epoch from the seed and the epoch alone.

        The order that the library draws from torch's global state is another one after a restart in a later epoch.
        """

        def _get_train_sampler(self, train_dataset=None):
            return _sampler(lengths, at_a_time, settings.seed, lambda: int(self.state.epoch or 0))

    cuda = model.device.type == "cuda"
    if not cuda:
        _add_in_one_pass(model)
        if max(lengths) <= _PLAIN_ATTENTION:
            model.set_attn_implementation("eager")
    batch_size, accumulation = per_process(settings, world_size())
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
            packing=False,
            padding_free=False,
            pad_to_multiple_of=16,  # few distinct shapes: the CPU kernels keep memory for each one they meet
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            seed=settings.seed,
            save_steps=settings.checkpoint_steps,
            save_total_limit=2,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=cuda,
            ddp_find_unused_parameters=False,
            use_cpu=not cuda,
        )
        if not cuda:  # of several processes each is given "cpu:0", onto which torch loads no checkpoint
            arguments._setup_devices = torch.device("cpu")
        trainer = Trainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer
        )
    trainer.remove_callback(PrinterCallback)  # it would print every step
    return trainer


def _add_in_one_pass(model: Any) -> None:
    """Let the adapted layers scale and add LoRA's product while they compute it, not in two more passes over memory.

    The numbers are the same up to rounding, and a CPU trains about a seventh faster.
    """
    import torch
    from peft.tuners.lora.layer import Linear

    def faster(layer: Any) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            (name,) = layer.active_adapters
            base, down, up = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
            if torch.is_autocast_enabled("cpu"):
                x = x.to(torch.get_autocast_dtype("cpu"))  # once, for both products
            rows = x.flatten(0, -2)
            plain = torch.nn.functional.linear(rows, base.weight, base.bias)
            product = torch.nn.functional.linear(rows, down)
            return torch.addmm(plain, product, up.t(), alpha=layer.scaling[name]).unflatten(0, x.shape[:-1])

        return forward

    for layer in model.modules():
        if type(layer) is Linear:
            layer.forward = faster(layer)


def _sampler(lengths: list[int], at_a_time: int, seed: int, epoch: Callable[[], int]) -> Any:
    """Return a sampler that brings the rows of `order` together, anew for every epoch."""
    import torch

    class Sampler(torch.utils.data.Sampler):
        """Shuffles from the seed and the epoch."""

        def __len__(self) -> int:
            return len(lengths)

        def __iter__(self):
            return iter(length_grouped(lengths, at_a_time, seed=seed * 1_000_003 + epoch()))

    return Sampler()


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
