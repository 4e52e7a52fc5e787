"""Teach a base model the labels of a training set with LoRA: Unsloth's adapter, TRL's trainer, loss on the replies alone.

A run can be killed at any moment: the same call goes on from the newest complete checkpoint and ends with the same
adapter, and a finished run returns at once.

On several GPUs the same training is started by `accelerate launch -m radbook.student.training.finetune CONFIG`, where CONFIG is a
YAML file with `instructions` (a Parquet table), `out_dir` and any of the options of `finetune`.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.files import write_json
from radbook.core.schema import INSTRUCTIONS, check, read_table
from radbook.student.base import base_hash, load_base, prepare_training, resolve_base
from radbook.student.environment import free_memory, package_versions, quiet
from radbook.student.prompts import template_hash
from radbook.student.training.adapter import base_commit, save_adapter
from radbook.student.training.callbacks import watcher
from radbook.student.training.checkpoints import begin, check_home, finished, newest, remove_broken, sealer
from radbook.student.training.config import Settings, read_config
from radbook.student.training.trainer import add_lora, make_trainer, per_process, tokenize, world_size
from radbook.tasks import STYLES, TASKS

__all__ = ["finetune", "main"]


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
    load_in_4bit: bool = False,
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
        An earlier student in it, of other settings or data, is replaced once nothing speaks against the new one.
    base_model
        "tiny", a folder, or a hub id; see `radbook.student.base.load_base`.
    rank, alpha, targets
        LoRA's rank, its scale, and the layers it adapts: "all-linear", or names separated by commas ("q_proj,v_proj").
    learning_rate, epochs, weight_decay
        AdamW with a cosine schedule.
    batch_size, accumulation
        One step sees batch_size x accumulation rows, whatever the number of processes: several share them, each with
        its part of the accumulation, or of the batch if the accumulation cannot be divided.
    warmup
        Below 1 a fraction of all steps, from 1 on a number of steps.
    seed
        Seed of the adapter's first weights and of the order of the rows.
    backend
        "auto", "unsloth" or "peft".
    load_in_4bit
        Keep the base in 4 bits while training (CUDA and bitsandbytes only); the finished student runs in 16.
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
        For a parameter that cannot be meant, an unknown target layer, rows too long for the base, prompts that no
        prompt style of this version writes, or an `out_dir` with files of others under our names.
    """
    if base_model != "tiny":  # the packaged base is kept by name: the run's folder then works elsewhere too
        base_model = resolve_base(base_model)[0]
    settings = Settings(
        base_model=base_model, rank=rank, alpha=alpha, targets=targets, learning_rate=learning_rate, epochs=epochs,
        batch_size=batch_size, accumulation=accumulation, warmup=warmup, weight_decay=weight_decay, seed=seed,
        backend=backend, load_in_4bit=load_in_4bit, checkpoint_steps=checkpoint_steps,
    )  # fmt: skip
    per_process(settings, world_size())
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
    # Of several processes only the first speaks.
    say = progress if progress and os.environ.get("RANK", "0") == "0" else (lambda line: None)
    done = finished(out_dir, identity)
    if done:
        say("the student is already trained with these settings and data")
        shutil.rmtree(out_dir / "checkpoints", ignore_errors=True)  # killed while it tidied up
        return done
    check_home(out_dir)
    result = _train(instructions, out_dir, settings, identity, say)
    free_memory()  # of the trainer and its model
    return result


def _train(
    instructions: pd.DataFrame, out_dir: Path, settings: Settings, identity: dict, say: Callable[[str], None]
) -> dict[str, Any]:
    say("loading the base model")
    prepare_training(settings.base_model, settings.backend)
    processes, others = world_size(), _join()
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
    # Nothing is removed before all that can be refused has been accepted.
    with others.main_process_first() if others else nullcontext():
        if begin(out_dir, identity):
            say(f"replacing the earlier student in {out_dir}")
        remove_broken(out_dir / "checkpoints", processes=processes)
    trainer = make_trainer(model, tokenizer, rows, out_dir, settings, backend=backend)
    trainer.add_callback(watcher(say, sum(lengths) * settings.epochs))
    trainer.add_callback(sealer())
    checkpoint = newest(out_dir / "checkpoints", processes=processes)
    if checkpoint:
        say(f"continuing from step {checkpoint.name.rpartition('-')[2]}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = pd.DataFrame([e for e in trainer.state.log_history if "loss" in e])
    losses = losses[["step", "epoch", "loss", "learning_rate", "seconds"]]
    result = {
        **identity,
        "base_commit": commit,
        "template_hash": template_hash(tokenizer, identity["prompt_style"]),
        "backend_used": backend,
        "processes": processes,
        **_measured(trainer, model, losses, lengths),
        "versions": package_versions(),
    }
    if trainer.is_world_process_zero():  # the settings last: they say that all of it is there
        with quiet():
            save_adapter(trainer.accelerator.unwrap_model(trainer.model), out_dir / "adapter", result)
        losses.to_parquet(out_dir / "losses.parquet", index=False)
        write_json(result, out_dir / "settings.json")
        shutil.rmtree(out_dir / "checkpoints", ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return result


def _join() -> Any:
    """Join the other processes, before anything loads, so that each knows its device; None where there are none."""
    if world_size() == 1:
        return None
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def _measured(trainer: Any, model: Any, losses: pd.DataFrame, lengths: list[int]) -> dict[str, Any]:
    """Return what is known of a training once it is over; `lengths` are the tokens of its rows."""
    seconds = float(losses["seconds"].iloc[-1])
    return {
        "device": str(model.device),
        "precision": next((f"{p} autocast" for p in ("bf16", "fp16") if getattr(trainer.args, p)), "float32"),
        "rows": len(lengths),
        "steps": int(trainer.state.global_step),
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "last_loss": round(float(losses["loss"].tail(10).mean()), 4),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(sum(lengths) * trainer.args.num_train_epochs / seconds),
    }


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


def main(arguments: list[str] | None = None) -> int:
    """Train what a configuration file says; exit status 2 and one line if it cannot be."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if len(arguments) != 1:
            raise RadbookError("give one configuration file: python -m radbook.student.training.finetune CONFIG")
        config = read_config(arguments[0])
        table, out_dir = read_table(config.pop("instructions"), INSTRUCTIONS), config.pop("out_dir")
        finetune(table, out_dir, progress=lambda line: print(line, flush=True), **config)
    except RadbookError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
