"""What a training leaves on disk while it runs: checkpoints that are known to be whole, and whose training they belong to.

The trainer writes a checkpoint file by file, and one that lacks its optimizer, or holds half of it, resumes without a
word and ends with another adapter.
So a checkpoint counts only under a name that it is given once all of it is on the disk.
"""

import os
import shutil
from pathlib import Path

from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json

__all__ = ["begin", "check_home", "finished", "keep", "newest", "step_of"]

# What a training writes into its folder, and the next one removes. The settings go first: without them nothing of what is
# left counts as finished. The file that says whose the rest is stays until it is replaced.
_OURS = ("settings.json", "losses.parquet", "adapter", "checkpoints", "merged", "training.json")


def keep(checkpoint: Path, *, processes: int = 1) -> None:
    """Give `checkpoint`, which `processes` processes have written, the name that says it is whole; older ones go."""
    whole = checkpoint.with_name(f"whole-{processes}-{step_of(checkpoint)}")
    os.sync()  # a name that outlives a power cut its files have not outlived would say what is not so
    os.replace(checkpoint, whole)
    for older in checkpoint.parent.glob("whole-*"):
        if older != whole:
            shutil.rmtree(older)


def newest(folder: Path, *, processes: int = 1) -> Path | None:
    """Return the whole checkpoint of the highest step that as many processes have written."""
    return max(folder.glob(f"whole-{processes}-*"), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written.

    >>> step_of(Path("checkpoints", "whole-1-50"))
    50
    """
    return int(checkpoint.name.rpartition("-")[2])


def finished(out_dir: Path, identity: dict) -> dict | None:
    """Return the settings of the student in `out_dir` if it is finished and `identity` is what it was made of."""
    stored = read_json(out_dir / "settings.json")
    needed = (out_dir / "losses.parquet", out_dir / "adapter" / "adapter_model.safetensors")
    done = stored and all(path.is_file() for path in needed)
    return stored if done and all(stored.get(k) == v for k, v in identity.items()) else None


def check_home(out_dir: Path) -> None:
    """Refuse a folder in which something stands under our names that no training of ours has written."""
    records = (read_json(out_dir / name) for name in ("training.json", "settings.json"))
    there = [name for name in _OURS if (out_dir / name).exists()]
    if there and not any(isinstance(record, dict) and "data_hash" in record for record in records):
        raise RadbookError(
            f"out_dir {out_dir} holds {', '.join(there)}, which no training of ours has written: name another folder"
        )


def begin(out_dir: Path, identity: dict) -> bool:
    """Keep the checkpoints of an interrupted training of the same identity; remove what another training left.

    Returns
    -------
    Whether something was removed.
    """
    if read_json(out_dir / "training.json") == identity and not (out_dir / "settings.json").is_file():
        return False
    left = [out_dir / name for name in _OURS if (out_dir / name).exists()]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "training.json":
            path.unlink()
    write_json(identity, out_dir / "training.json")
    return bool(left)
