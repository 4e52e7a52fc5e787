"""The language model a student starts from: the packaged tiny base, a local folder, or a hub id.

Unsloth loads it for training, on CPU and on CUDA alike; where Unsloth cannot be imported, plain transformers + PEFT take
over and one warning says so.
Heavy libraries are imported inside functions, after the environment variables that keep them quiet and offline are set.
"""

import contextlib
import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from radbook.errors import RadbookError

__all__ = [
    "BACKENDS",
    "TINY",
    "base_hash",
    "base_name",
    "encode_prompts",
    "load_base",
    "load_tokenizer",
    "prompt_style",
    "resolve_base",
    "template_hash",
]

TINY = str(files("radbook") / "resources" / "tiny")
BACKENDS = ("auto", "unsloth", "peft")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def resolve_base(base_model: str) -> tuple[str, bool]:
    """Say where a base model lies.

    Returns
    -------
    location, local
        The absolute path of a folder and True, or a hub id and False.

    Raises
    ------
    RadbookError
        If `base_model` is a path and no model lies there.

    Examples
    --------
    >>> resolve_base("unsloth/Meta-Llama-3.1-8B-Instruct")
    ('unsloth/Meta-Llama-3.1-8B-Instruct', False)
    """
    if not isinstance(base_model, str) or not base_model.strip():
        raise RadbookError(
            f"base_model is {base_model!r}: give 'tiny', a folder, or a hub id such as owner/name"
        )
    if base_model == "tiny":
        location = Path(TINY)
    else:
        location = Path(base_model).expanduser()
        is_path = location.is_absolute() or base_model.startswith((".", "~")) or base_model.count("/") != 1
        if not location.is_dir() and not is_path:
            return base_model, False
    location = location.absolute()
    if not (location / "config.json").is_file() or not any((location / w).is_file() for w in _WEIGHTS):
        raise RadbookError(
            f"base_model {base_model!r}: no model in {location} (config.json and model.safetensors are needed); "
            "give 'tiny', a folder with a model, or a hub id such as owner/name"
        )
    return str(location), True


def base_name(base_model: str) -> str:
    """Return the name under which the untuned base appears in tables: "tiny", the folder's name, or the hub id.

    >>> base_name("tiny")
    'tiny'
    """
    location, local = resolve_base(base_model)
    return base_model if base_model == "tiny" or not local else Path(location).name


def prompt_style(base_model: str) -> str:
    """Return the prompt style a base understands: "short" for bases of `radbook pretrain`, else "full".

    >>> prompt_style("unsloth/Meta-Llama-3.1-8B-Instruct")
    'full'
    """
    location, local = resolve_base(base_model)
    config = json.loads(Path(location, "config.json").read_text(encoding="utf-8")) if local else {}
    return config.get("prompt_style", "full")


def base_hash(base_model: str) -> str:
    """Hash what decides a base's behavior: configuration, tokenizer and weights (of a hub model, its id)."""
    location, local = resolve_base(base_model)
    if not local:
        return hashlib.sha256(location.encode()).hexdigest()[:16]
    digest = hashlib.sha256()
    for path in sorted(Path(location).glob("*")):
        if path.suffix in (".json", ".safetensors", ".jinja", ".model"):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:16]


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


def import_unsloth() -> Any:
    """Import Unsloth without its banner; raises ImportError or NotImplementedError where it does not run."""
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import unsloth
    return unsloth


def prepare_training(base_model: str, backend: str) -> None:
    """Import Unsloth, where it is wanted and runs, before anything imports the libraries that it patches."""
    prepare_environment(resolve_base(base_model)[1])
    if backend != "peft":
        with contextlib.suppress(ImportError, NotImplementedError):
            import_unsloth()


def load_base(
    base_model: str = "tiny", *, backend: str = "auto", max_seq_length: int = 2048
) -> tuple[Any, Any, str]:
    """Load a base model and its tokenizer.

    Parameters
    ----------
    base_model
        "tiny" (the packaged base), a folder, or a hub id.
    backend
        "unsloth"; "peft" (plain transformers, to which PEFT adds the adapter); "auto": Unsloth where it can be
        imported, else PEFT, said in one warning.
    max_seq_length
        Longest sequence that will be trained.

    Returns
    -------
    model, tokenizer, backend
        The weights are float32 on a CPU, bfloat16 (else float16) on CUDA; `backend` says which one loaded them.
    """
    if backend not in BACKENDS:
        raise RadbookError(f"backend {backend!r} is none of {', '.join(BACKENDS)}")
    location, local = resolve_base(base_model)
    prepare_environment(local)
    if backend != "peft":
        try:
            return *_load_with_unsloth(location, max_seq_length), "unsloth"
        except (ImportError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0][:200]
            if backend == "unsloth":
                raise RadbookError(
                    f"backend unsloth cannot be used here ({reason}); set backend to peft"
                ) from error
            warnings.warn(f"Unsloth cannot be used here ({reason}); plain PEFT takes over", stacklevel=2)
    return *_load_plain(location), "peft"


@contextlib.contextmanager
def _named(base_model: str) -> Iterator[None]:
    """Turn what the libraries raise for a model they cannot find or read into one line that names the parameter."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise RadbookError(f"base_model {base_model!r} cannot be loaded: {reason}") from error


def _load_with_unsloth(location: str, max_seq_length: int) -> tuple[Any, Any]:
    unsloth = import_unsloth()
    import torch

    with quiet(), _named(location):
        model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
            location,
            max_seq_length=max_seq_length,
            dtype=None if unsloth.DEVICE_TYPE == "cuda" else torch.float32,
            load_in_4bit=False,
        )
    return model, tokenizer


def _load_plain(location: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    cuda = torch.cuda.is_available()
    half = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float16
    with quiet(), _named(location):
        model = AutoModelForCausalLM.from_pretrained(location, dtype=half if cuda else torch.float32)
    return model.to("cuda") if cuda else model, load_tokenizer(location)


def load_tokenizer(base_model: str = "tiny") -> Any:
    """Load only the tokenizer of a base model.

    >>> load_tokenizer("tiny").decode(load_tokenizer("tiny")("No XXXX effusion.")["input_ids"])
    'no xxxx effusion.'
    """
    location, local = resolve_base(base_model)
    prepare_environment(local)
    from transformers import AutoTokenizer

    with quiet(), _named(location):
        tokenizer = AutoTokenizer.from_pretrained(location)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _as_chat(tokenizer: Any, prompt: str) -> str:
    if tokenizer.chat_template:
        # A fixed date: templates that print today's would make tomorrow's prompts differ from the trained ones.
        turn = [{"role": "user", "content": prompt}]
        return tokenizer.apply_chat_template(
            turn, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"
        )
    return (tokenizer.bos_token or "") + prompt


def encode_prompts(tokenizer: Any, prompts: Iterable[str]) -> list[list[int]]:
    """Turn prompts into the token ids that training and generation both start from (chat template included)."""
    texts = [_as_chat(tokenizer, p) for p in prompts]
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def template_hash(tokenizer: Any, style: str) -> str:
    """Hash both tasks' prompts of an example report as this tokenizer's model would read them."""
    from radbook.tasks import TASKS

    texts = [_as_chat(tokenizer, task.prompt("Heart is enlarged.", style)) for task in TASKS.values()]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
