"""A run: the one folder in which chapters hand tables to each other.

`open_run` finds the project (the folder with `_toc.yml`, or `RADBOOK_HOME`) and returns a `Run`, whose `read` and `write`
go through the contracts of `radbook.core.schema`.
`radbook.pipeline.runner` executes chapters into it.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from radbook.core.errors import RadbookError
from radbook.core.files import read_json
from radbook.core.schema import CONTRACTS, Contract, read_table, write_table

__all__ = ["LABEL_KINDS", "Run", "hold", "open_run", "project_root"]

LABEL_KINDS = ("curated", "indexer", "keywords", "rules", "chat", "simulated")
"""Whose labels a run may hold; `curated` are those of people."""


def project_root() -> Path:
    """Return the project folder: `RADBOOK_HOME`, or the nearest folder at or above the current one that holds `_toc.yml`.

    Raises
    ------
    RadbookError
        If there is no such folder.
    """
    home = os.environ.get("RADBOOK_HOME")
    if home:
        if (Path(home) / "_toc.yml").is_file():
            return Path(home).resolve()
        raise RadbookError(f"RADBOOK_HOME is {home}, which holds no _toc.yml: set it to the project folder or unset it")
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file():
            return folder
    raise RadbookError("this is not inside a radbook project (no _toc.yml here or above): cd into it or set RADBOOK_HOME")


@dataclass(frozen=True)
class Run:
    """One run folder, `runs/NAME` of a project.

    Parameters
    ----------
    name
        Name of the run: letters, digits, dot, dash and underscore.
    project
        The project folder.

    Examples
    --------
    >>> import tempfile
    >>> from radbook.core.findings import label_row
    >>> run = Run("demo", Path(tempfile.mkdtemp()))
    >>> table = pd.DataFrame([label_row("r1", "rules", "choice", [])])
    >>> run.write("labels/rules", table).name
    'rules.parquet'
    >>> run.read("labels/rules").report_id.tolist(), run.sources()
    (['r1'], ['rules'])
    """

    name: str
    project: Path

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.project / "runs" / self.name

    @property
    def student(self) -> Path:
        """The folder of the trained student: adapter, losses, settings, checkpoints."""
        return self.path / "student"

    def make(self) -> None:
        """Make the folder if need be, for its owner alone: reports, labels and the student that learned from them are private."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def table_path(self, table: str) -> Path:
        """Where a table lives, for example `labels/rules` in `labels/rules.parquet`."""
        return self.path / f"{table}.parquet"

    def has(self, table: str) -> bool:
        """Whether a chapter has written this table."""
        return self.table_path(table).is_file()

    def read(self, table: str) -> pd.DataFrame:
        """Read a table by name: `reports`, `labels/KIND`, `predictions`, `scores`, `errors`, and so on."""
        return read_table(self.table_path(table), _contract(table))

    def write(self, table: str, frame: pd.DataFrame) -> Path:
        """Check `frame` against its contract and write it; returns the file's path."""
        self.make()
        return write_table(frame, self.table_path(table), _contract(table))

    def read_labels(self, kind: str) -> pd.DataFrame:
        """Read the labels of one source, one of `LABEL_KINDS`."""
        return self.read(f"labels/{kind}")

    def write_labels(self, kind: str, frame: pd.DataFrame) -> Path:
        """Write the labels of one source, one of `LABEL_KINDS`."""
        return self.write(f"labels/{kind}", frame)

    def sources(self) -> list[str]:
        """Return the kinds of labels this run holds, in a fixed order, those of other names last."""
        found = {p.stem for p in (self.path / "labels").glob("*.parquet")}
        return [k for k in LABEL_KINDS if k in found] + sorted(found - set(LABEL_KINDS))

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies."""
        return self.path / "manifest.json"

    def manifest(self) -> dict:
        """Return what is known of the run (parameters, versions, records of its chapters); empty before the first chapter."""
        held = read_json(self.manifest_path) if self.manifest_path.exists() else {}
        if not isinstance(held, dict) or not isinstance(held.get("chapters", {}), dict):
            again = f"delete it, and radbook run runs/{self.name}/profile.yaml --run {self.name} executes the chapters again"
            raise RadbookError(f"runs/{self.name}/manifest.json is damaged: {again}")
        return held


def open_run(name: str = "default", *, project: str | Path | None = None) -> Run:
    """Return the run `name` of the project around the current folder; its folder need not exist yet.

    Raises
    ------
    RadbookError
        For a name that cannot be a folder name, or outside a project.

    Examples
    --------
    >>> open_run("../elsewhere")
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: '../elsewhere' cannot name a run: use up to 120 letters, digits, dots, dashes, underscores
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", name):
        raise RadbookError(f"{name[:130]!r} cannot name a run: use up to 120 letters, digits, dots, dashes, underscores")
    return Run(name, Path(project).resolve() if project else project_root())


@contextmanager
def hold(run: Run) -> Iterator[None]:
    """Keep every other process from working on this run; the lock of a process that died counts for nothing."""
    run.make()
    owner = run.path / ".owner"
    lock = FileLock(run.path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = owner.read_text(encoding="utf-8").strip() if owner.is_file() else ""
        raise RadbookError(
            f"run {run.name} is in use{f' by {who}' if who else ''}: wait for it, or work on another with --run NAME"
        ) from None
    try:
        owner.write_text(f"process {os.getpid()} since {datetime.now():%H:%M}\n", encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _contract(table: str) -> Contract:
    kind = table.split("/")[0].split("_")[0]
    if kind not in CONTRACTS or ("/" in table) != (kind == "labels"):
        raise RadbookError(f"there is no table {table!r}; tables are {', '.join(CONTRACTS)}; labels as labels/KIND")
    return CONTRACTS[kind]
