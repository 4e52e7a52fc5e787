"""Execute one notebook with papermill, in a kernel of the Python that is running now.

Installed kernel specs are never consulted, so a `python3` kernel of another environment cannot take over.
The kernel talks over sockets in a private folder, not over TCP ports that other users of the machine could reach.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient.exceptions import DeadKernelError
from papermill import PapermillExecutionError, execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

from radbook.core.errors import ChapterError

__all__ = ["execute"]

# Set before the kernel loads torch: idle threads sleep, nothing reports home, compiled files stay out of the project.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONHASHSEED": "0",
}

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colors of a terminal


def execute(
    source: Path,
    target: Path,
    *,
    parameters: Mapping[str, object],
    cwd: Path,
    log: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
) -> None:
    """Execute `source` with `parameters` and save it, outputs included, as `target` after every cell.

    The kernel runs in `cwd`, with `environment` added to its own; what the cells print and what its process writes goes
    to `log`, and each line that a cell prints to `on_line`.
    A cell that raises (its traceback goes to `log`, too), or a kernel that dies, is a ChapterError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        said, complained = _Feed(stream, on_line), _Feed(stream, lambda line: None)
        try:
            execute_notebook(
                source,
                target,
                dict(parameters),
                engine_name="radbook",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=cwd,
                stdout_file=said,
                stderr_file=complained,
                start_timeout=180,
                kernel_options={
                    "env": {**os.environ, **ENVIRONMENT, **environment},
                    "cwd": str(cwd),
                    "stdout": stream,
                    "stderr": stream,
                },
            )
        except PapermillExecutionError as error:
            stream.write("".join(f"{_ESCAPES.sub('', line)}\n" for line in error.traceback))
            line = next((s.strip() for s in (error.source or "").splitlines() if s.strip()), "")
            why = error.evalue if error.ename in ("RadbookError", "ChapterError") else f"{error.ename}: {error.evalue}"
            raise ChapterError(f"cell {error.cell_index + 1} ({line[:60]}) stopped: {_plain(why)}") from None
        except DeadKernelError:
            raise ChapterError(
                "the kernel died without an error of its own; most often the machine ran out of memory"
            ) from None
        except RuntimeError as error:
            raise ChapterError(f"the kernel did not start: {_plain(str(error))}") from None


class _Engine(Engine):
    """papermill's own client with our kernel, our environment and our log."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, kernel_options, start_timeout, **options) -> None:
        # The name of a Unix socket is limited to about 100 bytes, which a long TMPDIR would exceed.
        folder = Path(tempfile.mkdtemp(prefix="radbook-", dir="/tmp" if os.path.isdir("/tmp") else None))
        transport = {} if sys.platform == "win32" else {"transport": "ipc", "ip": str(folder / "k")}
        manager = AsyncKernelManager(
            kernel_name=kernel_name,
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # none is installed: the one of this interpreter is left
            connection_file=str(folder / "kernel.json"),
            **transport,
        )
        client = PapermillNotebookClient(
            nb_man,
            km=manager,
            kernel_name=kernel_name,
            timeout=None,
            startup_timeout=start_timeout,
            stdout_file=options["stdout_file"],
            stderr_file=options["stderr_file"],
        )
        try:
            client.execute(cleanup_kc=True, **kernel_options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


papermill_engines.register("radbook", _Engine)


class _Feed:
    """A file for papermill that keeps the log and hands on whole lines, also those of bars that rewrite themselves."""

    def __init__(self, stream, on_line: Callable[[str], None]) -> None:
        self.stream, self.on_line, self.rest = stream, on_line, ""

    def write(self, text: str) -> None:
        self.stream.write(text)
        *lines, self.rest = re.split(r"[\r\n]", self.rest + text)
        for line in filter(None, map(_plain, lines)):
            self.on_line(line)

    def flush(self) -> None:
        self.stream.flush()


def _plain(text: str) -> str:
    """Return `text` on one line without the escape codes of terminals."""
    return " ".join(_ESCAPES.sub("", text).split())
