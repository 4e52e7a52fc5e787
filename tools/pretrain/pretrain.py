"""Make a tiny base: the tokenizer, the training, what the finished base can do and its model card.

Every batch is new: reports are written in the *general* style while the model trains, and are read as text, or each as one
prompt of one task with its correct reply (`tools.pretrain.data`).
There the loss is that of the reply plus a share of that of the report itself, so the model also learns the language.
Short reports come first: a larger share of their tokens are replies, which teach the tasks.
"""

import copy
import hashlib
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from radbook.core.errors import RadbookError
from radbook.core.files import read_json, write_json
from radbook.student.environment import cpu_has_bfloat16, quiet
from tools.pretrain.data import Source, text
from tools.pretrain.loop import train
from tools.pretrain.model_card import eval_sets, measure_base, model_card
from tools.pretrain.tokenizer import build_tokenizer

__all__ = ["grammar_hash", "pretrain"]

SHAPE = {
    "hidden_size": 256, "num_hidden_layers": 4, "intermediate_size": 1024, "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip


def grammar_hash() -> str:
    """Hash the files that the synthetic reports are written from."""
    folder = files("radbook") / "resources" / "grammar"
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in paths)).hexdigest()[:12]


def pretrain(
    out_dir: str | Path,
    *,
    source: Source = text,
    steps: int = 6000,
    seed: int = 0,
    shape: dict[str, int] = SHAPE,
    eval_path: str | Path | None = None,
    n_eval: int = 400,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a small Llama and its tokenizer from scratch and write both, with a model card, to `out_dir`.

    After a kill the same call goes on: `out_dir`/.pretraining keeps the state until the base is finished.

    Parameters
    ----------
    out_dir
        Folder to write to; files of an earlier base in it are replaced at the end. training.json holds what is returned.
    source
        What is read; see `tools.pretrain.data`.
    steps
        Number of optimizer steps; the learning rate follows the share of them that is done.
    seed
        Seed of the weights, the reports and the order: the same seed gives the same model on the same machine, with the
        same number of threads.
    shape
        Of the model, as `LlamaConfig` names it; as many key heads as query heads.
    eval_path
        Open-i reports (CSV, XML folder or archive) to score the finished base on; never trained on.
    n_eval
        Held-out synthetic reports per style to measure on; 0 skips that.
    progress
        Called with one line of text now and then.

    Returns
    -------
    dict
        What the model card states: parameters, steps, tokens, minutes, megabytes and scores.
    """
    if steps < 1:
        raise RadbookError(f"steps is {steps}: train for at least one step")
    if n_eval < 0:
        raise RadbookError(f"n_eval is {n_eval}: give a number of reports, or 0 for no scores")
    out_dir = Path(out_dir)
    ours = (read_json(out_dir / name) or {} for name in ("training.json", ".pretraining/identity.json"))
    if out_dir.exists() and any(out_dir.iterdir()) and not any("grammar" in record for record in ours):
        raise RadbookError(f"out {out_dir} holds files that no pretraining has written: name another folder")
    sets = eval_sets(n_eval, openi_path=eval_path) if n_eval else {}  # before the training, which a file that fails would waste
    say = progress or (lambda line: None)
    say("building the tokenizer")
    tokenizer = build_tokenizer(seed=seed)
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = LlamaConfig(
        **shape, vocab_size=len(tokenizer), max_position_embeddings=2048, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        prompt_style="short",
        # On a CPU, short rows train faster with plain attention than with the fused kernel.
        attn_implementation="sdpa" if device == "cuda" else "eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(device).train()
    identity = {"grammar": grammar_hash(), "source": source.__name__, "steps": steps, "seed": seed, "shape": shape}
    scratch = _scratch(out_dir, identity)
    spent = train(model, tokenizer, source, state_path=scratch / "state.pt", steps=steps, seed=seed, say=say)
    _save(model, tokenizer, out_dir)
    card = {
        "parameters": model.num_parameters(), "layers": config.num_hidden_layers, "hidden_size": config.hidden_size,
        "vocabulary": len(tokenizer), "grammar": grammar_hash(), "source": source.__name__, "seed": seed,
        "steps": steps, "minutes": round(spent["seconds"] / 60, 1), "tokens": spent["tokens"],
        "tokens_per_second": round(spent["tokens"] / spent["seconds"]),
        "precision": "bfloat16" if device == "cuda" or cpu_has_bfloat16() else "float32",
        "device": device, "threads": torch.get_num_threads(),
        "megabytes": round(sum(p.stat().st_size for p in out_dir.iterdir() if p.is_file()) / 1e6, 2),
    }  # fmt: skip
    if n_eval:
        say("measuring the base on held-out reports")
        card["scores"] = measure_base(out_dir, sets, source)
    write_json(card, out_dir / "training.json")
    (out_dir / "README.md").write_text(model_card(out_dir.name, card), encoding="utf-8")
    shutil.rmtree(scratch)
    return card


def _scratch(out_dir: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of the training's state; what another training left in it is removed."""
    scratch = out_dir / ".pretraining"
    if read_json(scratch / "identity.json") != identity:
        shutil.rmtree(scratch, ignore_errors=True)
        write_json(identity, scratch / "identity.json")
    return scratch


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        copy.deepcopy(model).half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # it is written for the owner alone
