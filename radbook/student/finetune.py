"""Teach a base model the labels of a training set with LoRA: Unsloth's adapter, TRL's trainer, loss on the replies alone.

A run can be killed at any moment: the same call goes on from the newest complete checkpoint and ends with the same
adapter, and a finished run returns at once.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from radbook.errors import RadbookError
from radbook.schema import INSTRUCTIONS, check
from radbook.student.base import (
    base_hash,
    cpu_has_bfloat16,
    encode_prompts,
    import_unsloth,
    load_base,
    prepare_training,
    quiet,
    resolve_base,
    template_hash,
)
from radbook.student.settings import Settings
from radbook.student.watch import watcher
from radbook.tasks import STYLES, TASKS

__all__ = ["finetune", "tokenize"]

# A checkpoint without one of these resumes silently with another result.
_CHECKPOINT_FILES = (
    "trainer_state.json",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "adapter_model.safetensors",
)
_PACKAGES = ("torch", "transformers", "trl", "peft", "unsloth")


def finetune(
    instructions: pd.DataFrame,
    out_dir: str | Path,
    *,
    base_model: str = "tiny",
    rank: int = 16,
    alpha: int = 32,
    targets: str = "all-linear",
    learning_rate: float = 1e-3,
    epochs: float = 3.0,
    batch_size: int = 16,
    accumulation: int = 1,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    seed: int = 0,
    backend: str = "auto",
    checkpoint_steps: int = 50,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a LoRA adapter on an instruction table.

    Parameters
    ----------
    instructions
        The `instructions` table; every row is trained on.
    out_dir
        Folder of the student: adapter/, losses.parquet, settings.json, and checkpoints/ while it trains.
    base_model
        "tiny", a folder, or a hub id; see `radbook.student.base.load_base`.
    rank, alpha, targets
        LoRA's rank, its scale, and the layers it adapts: "all-linear", or names separated by commas ("q_proj,v_proj").
    learning_rate, epochs, batch_size, accumulation, weight_decay
        AdamW with a cosine schedule; one step sees batch_size x accumulation rows.
    warmup
        Below 1 a fraction of all steps, from 1 on a number of steps.
    seed
        Seed of the adapter's first weights and of the order of the rows.
    backend
        "auto", "unsloth" or "peft".
    checkpoint_steps
        Save the state every so many steps.
    progress
        Called with one line of text now and then.

    Returns
    -------
    dict
        What settings.json holds: settings, hashes, versions, steps, seconds, tokens per second, last loss.

    Raises
    ------
    RadbookError
        For a parameter that cannot be meant, an unknown target layer, rows too long for the base, or prompts that no
        prompt style of this version writes.
    """
    if base_model != "tiny":  # the packaged base is kept by name: the run's folder then works elsewhere too
        base_model = resolve_base(base_model)[0]
    settings = Settings(
        base_model, rank, alpha, targets, learning_rate, epochs, batch_size, accumulation, warmup, weight_decay, seed,
        backend, checkpoint_steps,
    )  # fmt: skip
    instructions = check(instructions, INSTRUCTIONS)
    if instructions.empty:
        raise RadbookError("the instructions table has no row: there is nothing to train on")
    style = _style_of(instructions)
    identity = {
        **settings.as_dict(),
        "base_hash": base_hash(base_model),
        "prompt_style": style,
        "data_hash": _data_hash(instructions),
    }
    out_dir = Path(out_dir).absolute()
    say = progress or (lambda line: None)
    finished = _finished(out_dir, identity)
    if finished:
        say("the student is already trained with these settings and data")
        return finished
    _start_or_continue(out_dir, identity)
    return _train(instructions, out_dir, settings, identity, say)


def tokenize(instructions: pd.DataFrame, tokenizer: Any) -> dict[str, list]:
    """Return `input_ids` and `labels` of every row; labels are -100 on the prompt, so only the reply is learned."""
    prompts = encode_prompts(tokenizer, instructions["prompt"])
    replies = tokenizer(instructions["completion"].tolist(), add_special_tokens=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    return {
        "input_ids": [p + r + end for p, r in zip(prompts, replies, strict=True)],
        "labels": [[-100] * len(p) + r + end for p, r in zip(prompts, replies, strict=True)],
    }


def _train(
    instructions: pd.DataFrame, out_dir: Path, settings: Settings, identity: dict, say: Callable[[str], None]
) -> dict[str, Any]:
    say("loading the base model")
    prepare_training(settings.base_model, settings.backend)
    longest_known = int(instructions["prompt_tokens"].max() + instructions["completion_tokens"].max()) + 256
    model, tokenizer, backend = load_base(
        settings.base_model, backend=settings.backend, max_seq_length=longest_known
    )
    rows = tokenize(instructions, tokenizer)
    lengths = [len(ids) for ids in rows["input_ids"]]
    limit = getattr(model.config, "max_position_embeddings", max(lengths))
    if max(lengths) > limit:
        raise RadbookError(
            f"{sum(n > limit for n in lengths)} instruction rows are longer than the {limit} tokens that base_model "
            f"{settings.base_model} reads: lower max_prompt_tokens when the instructions are built"
        )
    model = _add_lora(model, settings, backend)
    trainer = _trainer(model, tokenizer, rows, out_dir, settings)
    trainer.add_callback(watcher(say, sum(lengths) * settings.epochs))
    checkpoint = _newest_checkpoint(out_dir / "checkpoints")
    if checkpoint:
        say(f"continuing from step {checkpoint.name.rpartition('-')[2]}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    with quiet():
        _save_adapter(trainer.model, out_dir)
    losses = pd.DataFrame([e for e in trainer.state.log_history if "loss" in e])
    losses = losses[["step", "epoch", "loss", "learning_rate", "seconds"]]
    losses.to_parquet(out_dir / "losses.parquet", index=False)
    seconds = float(losses["seconds"].iloc[-1])
    result = {
        **identity,
        "template_hash": template_hash(tokenizer, identity["prompt_style"]),
        "backend_used": backend,
        "device": str(model.device),
        "precision": next((f"{p} autocast" for p in ("bf16", "fp16") if getattr(trainer.args, p)), "float32"),
        "rows": len(lengths),
        "steps": int(trainer.state.global_step),
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "last_loss": round(float(losses["loss"].tail(10).mean()), 4),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(sum(lengths) * settings.epochs / seconds),
        "versions": {name: _version(name) for name in _PACKAGES},
    }
    _write_json(out_dir / "settings.json", result)
    shutil.rmtree(out_dir / "checkpoints", ignore_errors=True)
    return result


def _add_lora(model: Any, settings: Settings, backend: str) -> Any:
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
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(settings.seed)
        return get_peft_model(model, LoraConfig(target_modules=names, task_type="CAUSAL_LM", **options))


def _trainer(model: Any, tokenizer: Any, rows: dict, out_dir: Path, settings: Settings) -> Any:
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    cuda = model.device.type == "cuda"
    with quiet():
        arguments = SFTConfig(
            output_dir=str(out_dir / "checkpoints"),
            per_device_train_batch_size=settings.batch_size,
            gradient_accumulation_steps=settings.accumulation,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            num_train_epochs=settings.epochs,
            optim="adamw_torch_fused",
            bf16=torch.cuda.is_bf16_supported() if cuda else cpu_has_bfloat16(),
            fp16=cuda and not torch.cuda.is_bf16_supported(),
            gradient_checkpointing=cuda,
            train_sampling_strategy="group_by_length",
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
            use_cpu=not cuda,
        )
        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer
        )
    trainer.remove_callback(PrinterCallback)  # it would print every step
    return trainer


def _save_adapter(model: Any, out_dir: Path) -> None:
    partial = out_dir / ".adapter"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, safe_serialization=True)
    shutil.rmtree(out_dir / "adapter", ignore_errors=True)
    os.replace(partial, out_dir / "adapter")


def _newest_checkpoint(folder: Path) -> Path | None:
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)
    return next((p for p in found if all((p / name).is_file() for name in _CHECKPOINT_FILES)), None)


def _finished(out_dir: Path, identity: dict) -> dict | None:
    stored = _read_json(out_dir / "settings.json")
    done = stored and (out_dir / "losses.parquet").is_file() and (out_dir / "adapter").is_dir()
    return stored if done and all(stored.get(k) == v for k, v in identity.items()) else None


def _start_or_continue(out_dir: Path, identity: dict) -> None:
    """Keep the checkpoints of an interrupted run of the same settings and data; remove what another run left."""
    out_dir.mkdir(parents=True, exist_ok=True)
    if _read_json(out_dir / "training.json") != identity or (out_dir / "settings.json").is_file():
        for name in ("adapter", "checkpoints"):
            shutil.rmtree(out_dir / name, ignore_errors=True)
        for name in ("settings.json", "losses.parquet"):
            (out_dir / name).unlink(missing_ok=True)
        _write_json(out_dir / "training.json", identity)


def _style_of(instructions: pd.DataFrame) -> str:
    """Find the prompt style that wrote the rows, so that the student is later asked in the same words."""
    for style in STYLES:
        heads = {name: task.prompt("\0", style).split("\0") for name, task in TASKS.items()}
        if all(
            p.startswith(heads[t][0]) and p.endswith(heads[t][1])
            for t, p in zip(instructions["task"], instructions["prompt"], strict=True)
        ):
            return style
    raise RadbookError(
        "the instructions were written with prompts that this version does not have: build them again (chapter 05)"
    )


def _data_hash(instructions: pd.DataFrame) -> str:
    rows = instructions[["report_id", "task", "prompt", "completion"]].to_numpy().tolist()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _read_json(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_json(path: Path, content: dict) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(partial, path)
