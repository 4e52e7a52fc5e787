"""What a training leaves on disk while it runs: which checkpoints are whole, and whose training they belong to."""

import shutil
from pathlib import Path

from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json

__all__ = ["begin", "check_home", "finished", "make_room", "newest"]

# What a training writes into its folder: the student, whose settings go first, since without them nothing of what is left
# counts as finished, and what is there while it trains; training.json says whose the checkpoints are.
_STUDENT = ("settings.json", "losses.parquet", "adapter", "merged")
_OURS = (*_STUDENT, "checkpoints", "training.json")


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
    """Keep the checkpoints of an interrupted training of the same identity, no others; say whether a student is there.

    That one stays until the new one is trained.
    """
    if read_json(out_dir / "training.json") != identity:
        if (out_dir / "checkpoints").exists():
            shutil.rmtree(out_dir / "checkpoints", ignore_errors=True)
        write_json(identity, out_dir / "training.json")
    return (out_dir / "settings.json").is_file()


def make_room(out_dir: Path) -> None:
    """Remove the student that was there before; killed from here on, the next one is finished from its last checkpoint."""
    for path in (out_dir / name for name in _STUDENT):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
