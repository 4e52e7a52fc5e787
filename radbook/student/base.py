"""The language model a student starts from: a packaged one, a local folder, or a hub id.

Unsloth loads it for training, on CPU and on CUDA alike; where Unsloth cannot be imported, plain transformers + PEFT take
over and one warning says so.
Nothing heavy is imported before the environment variables that keep the libraries quiet and offline are set.
"""

import contextlib
import hashlib
import importlib.util
import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from radbook.core.errors import RadbookError, choose
from radbook.core.files import PACKAGED_BASES, read_json
from radbook.student.environment import import_unsloth, prepare_environment, quiet, torch, transformers
from radbook.student.smollm2 import packaged_smollm2

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "BACKENDS",
    "base_commit",
    "base_hash",
    "base_name",
    "load_base",
    "load_tokenizer",
    "prepare_training",
    "prompt_style",
    "resolve_base",
    "what_it_read",
]

BACKENDS = ("auto", "unsloth", "peft")
_READ = {
    "tiny": "has read the text of generated reports alone: no answers, no instructions, no report of a patient",
    "tiny-taught": "has read generated reports with their correct answers to both tasks, so it knows them before any tuning",
    "smollm2": "(SmolLM2-135M-Instruct) has read general text and conversations, and none of these tasks",
}
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
    base_model = str(base_model)
    location = _packaged(base_model) if base_model in PACKAGED_BASES else Path(base_model).expanduser()
    is_path = location.is_absolute() or base_model.startswith((".", "~")) or base_model.count("/") != 1
    if not location.is_dir() and not is_path:
        return base_model, False
    location = location.absolute()
    if not (location / "config.json").is_file() or not any((location / w).is_file() for w in _WEIGHTS):
        raise RadbookError(
            f"base_model {base_model!r}: no model in {location} (config.json and model.safetensors are needed); "
            f"give {', '.join(PACKAGED_BASES)}, a folder with a model, or a hub id such as owner/name"
        )
    return str(location), True


def _packaged(base_model: str) -> Path:
    return packaged_smollm2() if base_model == "smollm2" else Path(str(files("radbook") / "resources" / base_model))


def base_name(base_model: str) -> str:
    """Return the name under which the untuned base appears in tables: its own if packaged, the folder's, or the hub id.

    >>> base_name("tiny")
    'tiny'
    """
    location, local = resolve_base(base_model)
    return base_model if base_model in PACKAGED_BASES or not local else Path(location).name


def what_it_read(base_model: str) -> str:
    """Say in one sentence what a base has read before any tuning of ours: nothing it can do untuned comes from nowhere.

    >>> what_it_read("tiny")
    'The base tiny has read the text of generated reports alone: no answers, no instructions, no report of a patient.'
    """
    read = _READ.get(base_model, "has read what its own model card says")
    return f"The base {base_name(base_model)} {read}."


def prompt_style(base_model: str) -> str:
    """Return the prompt style a base understands: "short" for bases of `tools.pretrain`, else "full".

    >>> prompt_style("unsloth/Meta-Llama-3.1-8B-Instruct")
    'full'
    """
    location, local = resolve_base(base_model)
    config = read_json(Path(location, "config.json")) if local else None
    return (config or {}).get("prompt_style", "full")


def base_hash(base_model: str) -> str:
    """Hash what decides a base's behavior: configuration, tokenizer and weights (of a hub model, its id)."""
    location, local = resolve_base(base_model)
    if not local:
        return hashlib.sha256(location.encode()).hexdigest()[:16]
    digest = hashlib.sha256()
    for path in sorted(Path(location).glob("*")):
        told = path.name == "training.json"  # a record of what it could do, which decides nothing
        if path.suffix in (".json", ".safetensors", ".jinja", ".model") and not told:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()[:16]


def base_commit(model: "PreTrainedModel", base_model: str) -> str | None:
    """Return the commit of the hub that `model`, just loaded, was read from: a hub id says nothing of its weights.

    There is none for a folder, nor where Unsloth took another repository's copy.
    """
    return getattr(model.config, "_commit_hash", None) if model.name_or_path == base_model else None


def prepare_training(base_model: str, backend: str) -> None:
    """Import Unsloth, where it is wanted and runs, before anything imports the libraries that it patches."""
    prepare_environment(resolve_base(base_model)[1])
    if backend != "peft":
        with contextlib.suppress(ImportError, NotImplementedError):
            import_unsloth()


def load_base(
    base_model: str = "tiny", *, backend: str = "auto", max_seq_length: int = 2048, load_in_4bit: bool = False
) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase", str]:
    """Load a base model and its tokenizer.

    Parameters
    ----------
    base_model
        A packaged base ("tiny", "tiny-taught", "smollm2"), a folder, or a hub id.
    backend
        "unsloth"; "peft" (plain transformers, to which PEFT adds the adapter); "auto": Unsloth where it can be
        imported, else PEFT, said in one warning.
    max_seq_length
        Longest sequence that will be trained.
    load_in_4bit
        Keep the weights in 4 bits, which needs CUDA and bitsandbytes.

    Returns
    -------
    model, tokenizer, backend
        The weights are float32 on a CPU, bfloat16 (else float16) on CUDA; `backend` says which one loaded them.

    Raises
    ------
    RadbookError
        If there is no such model or backend, or 4 bits are asked for where they cannot be had.
    """
    choose(backend, BACKENDS, "backend")
    location, local = resolve_base(base_model)
    prepare_environment(local)
    if load_in_4bit and not torch.cuda.is_available():
        raise RadbookError(
            "load_in_4bit is true, but there is no CUDA device here: set it to false, weights then stay in 32 bits"
        )
    if load_in_4bit and importlib.util.find_spec("bitsandbytes") is None:
        raise RadbookError("load_in_4bit is true, but bitsandbytes is missing: pip install bitsandbytes")
    if backend != "peft":
        try:
            unsloth = import_unsloth()
            with quiet(), _named(location):
                model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
                    location,
                    max_seq_length=max_seq_length,
                    dtype=None if unsloth.DEVICE_TYPE == "cuda" else torch.float32,
                    load_in_4bit=load_in_4bit,
                )
            return model, tokenizer, "unsloth"
        except (ImportError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0][:200]
            if backend == "unsloth":
                raise RadbookError(
                    f"backend unsloth cannot be used here ({reason}); set backend to peft"
                ) from error
            warnings.warn(f"Unsloth cannot be used here ({reason}); plain PEFT takes over", stacklevel=2)
    return _load_plain(location, load_in_4bit), load_tokenizer(location), "peft"


@contextlib.contextmanager
def _named(base_model: str) -> Iterator[None]:
    """Turn what the libraries raise for a model they cannot find or read into one line that names the parameter."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise RadbookError(f"base_model {base_model!r} cannot be loaded: {reason}") from error


def _load_plain(location: str, load_in_4bit: bool) -> "PreTrainedModel":
    cuda = torch.cuda.is_available()
    half = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float16
    options: dict[str, object] = {"dtype": half if cuda else torch.float32}
    if load_in_4bit:
        four = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": half}
        options["quantization_config"] = transformers.BitsAndBytesConfig(load_in_4bit=True, **four)
        options["device_map"] = {"": torch.cuda.current_device()}
    with quiet(), _named(location):
        model = transformers.AutoModelForCausalLM.from_pretrained(location, **options)
    return model.to("cuda") if cuda and not load_in_4bit else model


def load_tokenizer(base_model: str = "tiny") -> "PreTrainedTokenizerBase":
    """Load only the tokenizer of a base model.

    >>> load_tokenizer("tiny").decode(load_tokenizer("tiny")("No XXXX effusion.")["input_ids"])
    'no xxxx effusion.'
    """
    location, local = resolve_base(base_model)
    prepare_environment(local)
    with quiet(), _named(location):
        tokenizer = transformers.AutoTokenizer.from_pretrained(location)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
