"""What a training leaves on disk while it runs: which checkpoints are whole, and whose training they belong to."""

import shutil
from pathlib import Path

from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json

__all__ = ["begin", "check_home", "finished", "newest"]

# What a training writes into its folder, and the next one removes. The settings go first: without them nothing of what is
# left counts as finished. The file that says whose the rest is stays until it is replaced.
_OURS = ("settings.json", "losses.parquet", "adapter", "checkpoints", "merged", "training.json")


def newest(folder: Path, *, processes: int = 1) -> Path | None:
    """Return the last checkpoint that as many processes have written whole.

    The trainer writes file by file, the random state of every process late and its own state last; a checkpoint that lacks
    one of them would resume without a word and end with another adapter.
    """
    whole = (
        path
        for path in folder.glob("checkpoint-*")
        if read_json(path / "trainer_state.json") and len(list(path.glob("rng_state*.pth"))) == processes
    )
    return max(whole, key=lambda path: int(path.name.partition("-")[2]), default=None)


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
    """Keep the checkpoints of an interrupted training of the same identity; say whether another training's files went."""
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
