"""What a training leaves on disk while it runs: checkpoints that are known to be whole, and whose training they belong to.

The trainer writes a checkpoint file by file, and one that lacks its optimizer, or holds half of it, resumes without a
word and ends with another adapter.
So a checkpoint counts only once it is sealed: a last file lists all the others with their sizes and hashes.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json

__all__ = ["begin", "check_home", "finished", "newest", "remove_broken", "seal", "sealer"]

SEAL = "sealed.json"
# What a training writes into its folder, and the next one removes. The settings go first: without them nothing of what is
# left counts as finished. The file that says whose the rest is stays until it is replaced.
_OURS = ("settings.json", "losses.parquet", "adapter", "checkpoints", "merged", "training.json")


def seal(checkpoint: Path, *, processes: int = 1) -> None:
    """Write the file that says that `checkpoint` is whole, as `processes` processes wrote it."""
    (checkpoint / SEAL).unlink(missing_ok=True)
    write_json({"processes": processes, "files": _contents(checkpoint)}, checkpoint / SEAL)


def is_whole(checkpoint: Path, *, processes: int = 1) -> bool:
    """Say whether every file is as it was when the checkpoint was sealed, by as many processes."""
    sealed = read_json(checkpoint / SEAL)
    try:
        return bool(sealed) and sealed["processes"] == processes and sealed["files"] == _contents(checkpoint)
    except OSError:
        return False


def newest(folder: Path, *, processes: int = 1) -> Path | None:
    """Return the whole checkpoint of the highest step in `folder`."""
    return next((c for c in _checkpoints(folder) if is_whole(c, processes=processes)), None)


def remove_broken(folder: Path, *, processes: int = 1) -> None:
    """Remove the checkpoints that are not whole: the trainer, which counts them, would remove a whole one for them."""
    for checkpoint in _checkpoints(folder):
        if not is_whole(checkpoint, processes=processes):
            shutil.rmtree(checkpoint)


def sealer() -> Any:
    """Return a trainer callback that seals every checkpoint once all processes have written their part of it."""
    from transformers import TrainerCallback

    class Sealer(TrainerCallback):
        """Seals what the trainer has just saved."""

        def on_save(self, args, state, control, **kwargs) -> None:
            if args.world_size > 1:
                import torch

                torch.distributed.barrier()
            if state.is_world_process_zero:
                seal(
                    Path(args.output_dir, f"checkpoint-{state.global_step}"),
                    processes=max(1, args.world_size),
                )

    return Sealer()


def finished(out_dir: Path, identity: dict) -> dict | None:
    """Return the settings of the student in `out_dir` if it is finished and `identity` is what it was made of."""
    stored = read_json(out_dir / "settings.json")
    needed = (out_dir / "losses.parquet", out_dir / "adapter" / "adapter_model.safetensors")
    done = stored and all(path.is_file() for path in needed)
    return stored if done and all(stored.get(k) == v for k, v in identity.items()) else None


def check_home(out_dir: Path) -> None:
    """Refuse a folder in which something stands under our names that no training of ours has written."""
    records = (read_json(out_dir / name) for name in ("training.json", "settings.json"))
    if any(isinstance(record, dict) and "data_hash" in record for record in records):
        return
    there = [name for name in _OURS if (out_dir / name).exists()]
    if there:
        raise RadbookError(
            f"out_dir {out_dir} holds {', '.join(there)}, which no training of ours has written: name another folder"
        )


def begin(out_dir: Path, identity: dict) -> bool:
    """Keep the checkpoints of an interrupted training of the same identity; remove what another training left.

    Returns
    -------
    Whether something was removed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
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


def _checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints, the newest first."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdigit() and p.is_dir()]
    return sorted(found, key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)


def _contents(checkpoint: Path) -> dict[str, list]:
    files = {}
    for path in sorted(checkpoint.iterdir()):
        if not path.name.removeprefix(".").startswith(SEAL):  # nor what a kill has left of a seal
            with path.open("rb") as file:
                files[path.name] = [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]
    return files
