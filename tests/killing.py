"""Trainings in processes of their own that kill themselves, as `kill -9` would, at a named point.

The processes are forked from one that has imported the libraries already, so that many of them take seconds.
"""

import multiprocessing
import os
import shutil
import signal
from multiprocessing import forkserver
from pathlib import Path

import pytest

from radbook.student.environment import prepare_environment

prepare_environment(True)

import transformers.trainer as hf  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402, F401

import radbook.student.training.trainer as training  # noqa: E402
from radbook.core.schema import INSTRUCTIONS, read_table  # noqa: E402
from radbook.student.training.config import Settings  # noqa: E402
from radbook.student.training.finetune import finetune  # noqa: E402


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _patch(place, name: str, *, before=None, after=None, call: int = 1) -> None:
    """Let `place.name` run `before` ahead of, or `after` behind, its call number `call`."""
    original, calls = getattr(place, name), []

    def patched(*args, **kwargs):
        calls.append(1)
        if before and len(calls) == call:
            before(*args, **kwargs)
        result = original(*args, **kwargs)
        if after and len(calls) == call:
            after(*args, **kwargs)
        return result

    setattr(place, name, patched)


def _half_an_optimizer(trainer, checkpoint) -> None:
    with Path(checkpoint, "optimizer.pt").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)
    die()


def _half_removed(folder: str, **kwargs) -> None:
    Path(folder, "scheduler.pt").unlink()
    die()


_T, _SAVE = hf.Trainer, "_save_optimizer_and_scheduler"
_KILL = lambda *args, **kwargs: die()  # noqa: E731
# With twelve steps and a checkpoint every third.
POINTS = {
    "in the second step, before any checkpoint": lambda: _patch(_T, "training_step", before=_KILL, call=2),
    "between two checkpoints": lambda: _patch(_T, "training_step", before=_KILL, call=5),
    "in the first checkpoint, no optimizer yet": lambda: _patch(_T, _SAVE, before=_KILL),
    "in the second checkpoint, half an optimizer": lambda: _patch(
        _T, _SAVE, after=_half_an_optimizer, call=2
    ),
    "in the third checkpoint, no random state yet": lambda: _patch(
        _T, "_save_rng_state", before=_KILL, call=3
    ),
    "in the second checkpoint, no state of the trainer yet": lambda: _patch(
        hf.TrainerState, "save_to_json", before=_KILL, call=2
    ),
    "while an older checkpoint is removed": lambda: _patch(shutil, "rmtree", before=_half_removed),
    "after the last step, before the adapter": lambda: _patch(training, "save_adapter", before=_KILL),
    "before the settings": lambda: _patch(training, "write_json", before=_KILL),
    "before the checkpoints are removed": lambda: _patch(training, "write_json", after=_KILL),
}


def _work(table: str, home: str, options: dict, point: str | None, lines) -> None:
    if point:
        POINTS[point]()
    finetune(read_table(table, INSTRUCTIONS), home, Settings(**options), progress=lines.append)
    with open(Path(home, "said.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def train(table: Path, home: Path, options: dict, *, point: str | None = None) -> tuple[int, str]:
    """Train in a process of its own, which dies at `point`; return its exit code and what it said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])
    with pytest.MonkeyPatch.context() as patch:  # the process that forks does not take over sys.path
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        forkserver.ensure_running()
    said = home / "said.txt"
    said.unlink(missing_ok=True)
    process = context.Process(target=_work, args=(str(table), str(home), options, point, []))
    process.start()
    process.join()
    return process.exitcode, said.read_text(encoding="utf-8") if said.exists() else ""
