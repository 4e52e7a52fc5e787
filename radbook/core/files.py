"""Files as the library writes them: all or nothing, so that a kill leaves the old file or the new one, never half of one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["PACKAGED_BASES", "encodable", "read_json", "replacing", "shown_path", "write_json", "write_text"]

PACKAGED_BASES = ("tiny", "tiny-taught", "smollm2")
"""Base models that packages bring: names, and no folders. Here, since what only reads parameters needs no model library."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; once the block has ended well, what is there takes the place of `path`.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "tables", "demo.csv")
    >>> with replacing(file) as partial:
    ...     _ = partial.write_text("a,b\\n")
    >>> [p.name for p in file.parent.iterdir()]
    ['demo.csv']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")  # of this process: two may write one file
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write `text` to `path`, all or nothing."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(data: object, path: Path) -> None:
    """Write `data` as JSON to `path`, all or nothing."""
    write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", path)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or None if it is missing or damaged.

    >>> read_json(Path("nowhere.json")) is None
    True
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def encodable(text: str) -> str:
    """Return `text` with half characters, which no file can hold, replaced by U+FFFD; two halves are joined.

    >>> encodable("lungs \\ud83d clear") == "lungs \\ufffd clear"
    True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shown_path(path: str | Path) -> str:
    """Return a path as messages show it: from the current folder on, if it lies in there.

    >>> shown_path(Path.cwd() / "runs" / "demo"), shown_path("/demo")
    ('runs/demo', '/demo')
    """
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else str(path)
