"""What surrounds the heavy libraries: variables set before their import, silence, versions, and what this processor can do."""

import contextlib
import gc
import io
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["cpu_has_bfloat16", "free_memory", "import_unsloth", "package_versions", "prepare_environment", "quiet"]

_PACKAGES = ("torch", "transformers", "trl", "peft", "unsloth")


def prepare_environment(local: bool) -> None:
    """Set, before the heavy imports, what keeps the libraries quiet, offline and quick beside other processes."""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # spinning threads cost a factor of three on busy machines
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(Path.home() / ".cache" / "radbook" / "unsloth"))
    if local:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def package_versions() -> dict[str, str]:
    """Return the versions of the libraries that a student is trained with."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def cpu_has_bfloat16() -> bool:
    """Say whether this CPU multiplies bfloat16 natively; where it does not, torch emulates it, many times slower."""
    try:
        flags = set(
            Path("/proc/cpuinfo").read_text(encoding="utf-8").split("flags", 1)[1].split("\n", 1)[0].split()
        )
    except (OSError, IndexError):
        return False
    return bool(flags & {"amx_bf16", "avx512_bf16"})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow banners, bars and advice; warnings and errors that are raised still come through."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    sink = io.StringIO()
    try:
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            yield
    finally:
        logging.set_verbosity(before)


def free_memory() -> None:
    """Give back the memory of models that nobody uses any more: they hang in cycles until the collector comes."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()


def import_unsloth() -> Any:
    """Import Unsloth without its banner; raises ImportError or NotImplementedError where it does not run.

    Of its warnings one comes through: that a library it patches was imported before it.
    """
    sink = io.StringIO()
    with (
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        import unsloth
    for line in (str(warning.message).partition("\n")[0] for warning in told):
        if "imported before" in line:
            warnings.warn(line, stacklevel=2)
    return unsloth
