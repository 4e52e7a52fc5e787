"""What will work on this machine: one line per thing, in words that say what to do where something is missing."""

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

from radbook.core.errors import RadbookError

__all__ = ["examine"]

PACKAGES = ("torch", "transformers", "trl", "peft", "spacy", "negspacy", "papermill", "jupyter-book")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def examine() -> tuple[list[str], bool]:
    """Return the lines to print, and whether the default profile will run here."""
    rows, well = [], True
    for name, check in (
        ("Python", _python),
        ("packages", _packages),
        ("device", _device),
        ("backend", _backend),
        ("memory", _memory),
        ("disk", _disk),
        ("project", _project),
        ("browser", _browser),
        ("licenses", _licenses),
    ):
        fine, text = check()
        well = well and fine
        rows.append(f"{'ok ' if fine else 'NO '} {name:<9} {text}")
    rows.append("The default profile will run here." if well else "Mend the lines marked NO first.")
    return rows, well


def _python() -> tuple[bool, str]:
    return sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.system()} {platform.machine()} (3.11 or newer)"


def _packages() -> tuple[bool, str]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return False, f"missing: {', '.join(missing)}; run make setup"
    return True, ", ".join(found)


def _device() -> tuple[bool, str]:
    try:
        import torch
    except ImportError as error:
        return False, f"torch cannot be imported ({error}); run make setup"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return True, ", ".join(f"{d.name}, {d.total_memory / 2**30:.0f} GiB" for d in names) + f", CUDA {torch.version.cuda}"
    features = torch.backends.cpu.get_cpu_capability()
    return True, f"CPU with {torch.get_num_threads()} threads, {features}; enough for the tiny base"


def _backend() -> tuple[bool, str]:
    try:
        from radbook.student.environment import import_unsloth

        unsloth = import_unsloth()
    except (ImportError, NotImplementedError, RadbookError) as error:
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        return True, f"plain PEFT, because Unsloth cannot be imported: {why}"
    return True, f"Unsloth {metadata.version('unsloth')} on {unsloth.DEVICE_TYPE}"


def _memory() -> tuple[bool, str]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    return free >= 3, f"{free:.1f} GiB free (the default profile takes up to 4)"


def _disk() -> tuple[bool, str]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return free >= 1, f"{free:.1f} GiB free here (a run of the tiny base takes less than 1)"


def _project() -> tuple[bool, str]:
    from radbook.pipeline.run import project_root

    try:
        root = project_root()
    except RadbookError as error:
        return False, str(error)
    runs = sorted(p.parent.name for p in root.glob("runs/*/manifest.json"))
    return True, f"{root}; runs: {', '.join(runs) or 'none yet'}"


def _browser() -> tuple[bool, str]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    return True, f"{path} (for the browser tests)" if path else "no Chromium; the browser tests will be skipped"


def _licenses() -> tuple[bool, str]:
    return True, (
        "radbook's code is MIT, its text and figures CC BY 4.0; Unsloth is Apache-2.0 with AGPL-3.0 files; "
        "other models and data keep their own terms"
    )
