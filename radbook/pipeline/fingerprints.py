"""Digests of what a chapter depends on besides its tables, and a description of the machine it ran on."""

import ast
import hashlib
import json
import os
import platform
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

import radbook

__all__ = ["describe_machine", "file_digest", "library_digest", "library_files", "path_digest", "tree_digest"]

PACKAGE = Path(radbook.__file__).parent
REPORTED = (
    *("torch", "transformers", "trl", "peft", "datasets", "accelerate", "unsloth", "spacy", "pandas"),
    *("numpy", "pyarrow", "rapidfuzz", "simple-icd-10-cm", "papermill", "jupyter-book"),
)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, shortened to 16 characters; empty if there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def path_digest(path: Path) -> str:
    """Return a digest of a file, or of the names, sizes and times in a folder, whose files may be too large to be read.

    >>> path_digest(Path("nowhere"))
    ''
    """
    if not path.is_dir():
        return file_digest(path)
    files = ((p, p.stat()) for p in sorted(path.rglob("*")) if p.is_file())
    entries = [(str(p.relative_to(path)), s.st_size, s.st_mtime_ns) for p, s in files]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


def tree_digest(folder: Path, pattern: str = "*") -> str:
    """Return a digest of the names and contents of the files in a folder, those of its folders too.

    >>> tree_digest(Path("nowhere"))
    'e3b0c44298fc1c14'
    """
    return _digest_all(sorted(p for p in folder.rglob(pattern) if p.is_file()), folder)


def library_digest(notebook: Path | None = None) -> str:
    """Return a digest of radbook's own code: of all of it, or of what a notebook uses (`library_files`)."""
    return _digest_all(library_files(notebook), PACKAGE) if notebook else tree_digest(PACKAGE, "*.py")


def library_files(notebook: Path) -> list[Path]:
    """Return the radbook modules that a notebook imports, directly or through others, and all resources.

    Imports inside functions count; a notebook that cannot be parsed depends on the whole library.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = [line for c in cells if c["cell_type"] == "code" for line in "".join(c["source"]).splitlines()]
    try:
        waiting = _imported("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))
    except SyntaxError:
        waiting = set(PACKAGE.rglob("*.py"))
    found: set[Path] = set()
    while waiting:
        found |= waiting
        waiting = {f for module in waiting for f in _imported(module.read_text(encoding="utf-8"))} - found
    resources = {p for p in (PACKAGE / "resources").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    return sorted(found | resources)


def describe_machine() -> dict[str, object]:
    """Return what a reader needs to judge a run's time and numbers; nothing that names a machine or a person."""
    versions = {}
    for name in REPORTED:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "radbook": radbook.__version__,
        "code": library_digest(),
        "python": platform.python_version(),
        "packages": versions,
        "hardware": {
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "gpus": _gpus(),
        },
    }


def _digest_all(files: list[Path], folder: Path) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder)} {file_digest(path)}\n".encode())
    return digest.hexdigest()[:16]


@cache
def _imported(source: str) -> frozenset[Path]:
    """Return the files of radbook that the imports in a text execute: the modules and the packages around them."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:  # all of ours name the package; `from . import` does not
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.split(".")[0] == "radbook"]
    places = {PACKAGE.parent.joinpath(*p[:n]) for p in parts for n in range(1, len(p) + 1)}
    return frozenset(f for place in places for f in (place / "__init__.py", place.with_suffix(".py")) if f.is_file())


def _gpus() -> list[str]:
    """Return the names of the NVIDIA devices, without loading torch for it."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
