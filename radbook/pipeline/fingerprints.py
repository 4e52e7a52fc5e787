"""What a chapter depends on besides its tables: files, library code, and the machine it ran on."""

import ast
import hashlib
import json
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

import radbook

__all__ = [
    "cores",
    "describe_machine",
    "file_digest",
    "library_digest",
    "library_files",
    "path_digest",
    "sweep_digest",
    "tree_digest",
]

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


def path_digest(value: object) -> str:
    """Return a digest of the file, or of the names, sizes and times in the folder, that a parameter names.

    Examples
    --------
    >>> path_digest("tiny")
    ''
    """
    path = Path(str(value))
    if not path.is_absolute() or not path.is_dir():
        return file_digest(path) if path.is_absolute() else ""
    entries = [
        (str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.rglob("*")) if p.is_file()
    ]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


def sweep_digest(folder: Path) -> str:
    """Return a digest of what a published sweep holds; not of its times, which a checkout sets anew.

    >>> sweep_digest(Path("nowhere"))
    '-'
    """
    return "-".join(file_digest(folder / name) for name in ("sweep.csv", "sweep.json"))


def tree_digest(folder: Path, pattern: str = "*") -> str:
    """Return a digest of the names and contents of the files in a folder, those of its folders too.

    >>> tree_digest(Path("nowhere"))
    'e3b0c44298fc1c14'
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob(pattern) if p.is_file()):
        digest.update(f"{path.relative_to(folder)} {file_digest(path)}\n".encode())
    return digest.hexdigest()[:16]


def library_digest() -> str:
    """Return a digest of radbook's own code."""
    return tree_digest(PACKAGE, "*.py")


def library_files(notebook: Path) -> list[Path]:
    """Return the radbook modules that a notebook imports, directly or through others, and all resources.

    Imports inside functions count; a notebook that cannot be parsed depends on the whole library.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = [line for c in cells if c["cell_type"] == "code" for line in "".join(c["source"]).splitlines()]
    try:
        tree = ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))
    except SyntaxError:
        found = set(PACKAGE.rglob("*.py"))
    else:
        found, waiting = set(), _imported(tree)
        while waiting:
            module = waiting.pop()
            if module not in found:
                found.add(module)
                waiting |= _imports_of(module, module.stat().st_mtime_ns)
    resources = {p for p in (PACKAGE / "resources").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    return sorted(found | resources)


def describe_machine() -> dict[str, object]:
    """Return what a reader needs to judge a run's time and numbers; nothing that names a machine or a person."""
    versions = {}
    for name in REPORTED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "radbook": radbook.__version__,
        "code": library_digest(),
        "python": platform.python_version(),
        "packages": versions,
        "hardware": {
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": cores(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "gpus": _gpus(),
        },
    }


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _imports_of(module: Path, mtime: int) -> set[Path]:
    return _imported(ast.parse(module.read_text(encoding="utf-8")))


def _imported(tree: ast.AST) -> set[Path]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:  # all of ours name the package; `from . import` does not
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {path for name in names if name.split(".")[0] == "radbook" for path in _module_files(name)}


def _module_files(name: str) -> set[Path]:
    """Return the files that importing `name` executes: the module and the packages around it."""
    files, place = set(), PACKAGE.parent
    for part in name.split("."):
        place = place / part
        files |= {p for p in (place / "__init__.py", place.with_suffix(".py")) if p.is_file()}
    return files


def _gpus() -> list[str]:
    """Return the names of the NVIDIA devices, without loading torch for it."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
