"""What surrounds the heavy libraries: a door to them, variables set before it opens, silence, what this processor can do."""

import contextlib
import gc
import importlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = [
    "cpu_has_bfloat16",
    "free_memory",
    "import_unsloth",
    "prepare_environment",
    "quiet",
    "torch",
    "transformers",
]


class _Door:
    """A library that is imported when the first thing is asked of it: behind `prepare_environment`, and behind Unsloth."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        if self._name not in sys.modules:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="IProgress not found")  # advice of tqdm, which no page needs
                importlib.import_module(self._name)
        return getattr(sys.modules[self._name], attribute)


if TYPE_CHECKING:
    import torch
    import transformers
else:
    torch, transformers = _Door("torch"), _Door("transformers")


def prepare_environment(local: bool) -> None:
    """Set, before the heavy imports, what keeps the libraries quiet, offline and quick beside other processes."""
    variables = {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads cost a factor of three on busy machines
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "UNSLOTH_COMPILE_LOCATION": str(Path.home() / ".cache" / "radbook" / "unsloth"),
    }
    for name, value in (variables | ({"HF_HUB_OFFLINE": "1"} if local else {})).items():
        os.environ.setdefault(name, value)


def cpu_has_bfloat16() -> bool:
    """Say whether this CPU multiplies bfloat16 natively; where it does not, torch emulates it, many times slower."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow banners, bars and advice; warnings and errors that are raised still come through."""
    logging = transformers.utils.logging
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
    if "torch" in sys.modules and torch.cuda.is_available():
        torch.cuda.empty_cache()


def import_unsloth() -> ModuleType:
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
