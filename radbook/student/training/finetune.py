"""Teach a base model the labels of a training set with LoRA: Unsloth's adapter, TRL's trainer, loss on the replies alone.

A run can be killed at any moment: the same call goes on from the newest whole checkpoint and ends with the same adapter.
On several GPUs the same training is started by `accelerate launch -m radbook.student.training.finetune CONFIG`, where
CONFIG is a YAML file with `instructions` (a Parquet table), `out_dir` and any of the fields of `Settings`.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.files import PACKAGED_BASES
from radbook.core.schema import INSTRUCTIONS, check, read_table
from radbook.student.base import base_hash, prepare_training, resolve_base
from radbook.student.environment import free_memory
from radbook.student.training.checkpoints import check_home, finished
from radbook.student.training.config import Settings, read_config, world_size
from radbook.tasks import STYLES, TASKS

__all__ = ["finetune", "main"]


def finetune(
    instructions: pd.DataFrame,
    out_dir: str | Path,
    settings: Settings | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a LoRA adapter on an instruction table.

    Parameters
    ----------
    instructions
        The `instructions` table; every row is trained on.
    out_dir
        Folder of the student: adapter/, losses.parquet, settings.json, and checkpoints/ while it trains.
        An earlier student in it, of other settings or data, stays until the new one is trained, and is then replaced.
    settings
        What to train and how; the defaults of `Settings` if left out.
    progress
        Called with one line of text now and then.

    Returns
    -------
    dict
        What settings.json holds: settings, hashes, versions, steps, seconds, tokens per second, last loss.

    Raises
    ------
    RadbookError
        For an unknown target layer, rows too long for the base, prompts that no prompt style of this version writes, or
        an `out_dir` with files of others under our names.
    """
    settings = settings or Settings()
    if settings.base_model not in PACKAGED_BASES:  # a packaged base is kept by name: the run's folder then works elsewhere too
        settings = replace(settings, base_model=resolve_base(settings.base_model)[0])
    settings.per_process(world_size())
    instructions = check(instructions, INSTRUCTIONS)
    if instructions.empty:
        raise RadbookError("the instructions table has no row: there is nothing to train on")
    identity = {
        **asdict(settings),
        "base_hash": base_hash(settings.base_model),
        "prompt_style": _style_of(instructions),
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
    say("loading the base model")
    prepare_training(settings.base_model, settings.backend)
    from radbook.student.training.trainer import train  # after Unsloth, which changes what this imports

    result = train(instructions, out_dir, settings, identity, say)
    free_memory()  # of the trainer and its model
    return result


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
        table, out_dir, settings = read_config(arguments[0])
        finetune(read_table(table, INSTRUCTIONS), out_dir, settings, progress=lambda line: print(line, flush=True))
    except RadbookError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
