"""Make the packaged tiny base: a small Llama that learns to read chest reports from generated text alone.

Every batch is new: reports are written in the *general* style while the model trains, and each becomes one prompt of one
task with its correct reply.
The loss is that of the reply plus a share of that of the report itself, so the model also learns the language.
Short reports come first: a larger share of their tokens are replies, which teach the tasks.
"""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from radbook.core.errors import RadbookError
from radbook.core.files import write_json
from radbook.student.environment import prepare_environment, quiet
from radbook.student.pretraining.model_card import eval_sets, model_card, score_base
from radbook.student.pretraining.tokenizer import build_tokenizer

__all__ = ["grammar_hash", "pretrain"]


def grammar_hash() -> str:
    """Hash the files that the synthetic reports are written from."""
    digest = hashlib.sha256()
    folder = files("radbook") / "resources" / "grammar"
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if path.name.endswith(".yaml"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def pretrain(
    out_dir: str | Path,
    *,
    steps: int = 6000,
    seed: int = 0,
    hidden_size: int = 256,
    layers: int = 4,
    intermediate_size: int = 1024,
    heads: int = 4,
    vocab_size: int = 3072,
    learning_rate: float = 4e-3,
    text_weight: float = 0.3,
    batch_tokens: int = 6144,
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
    steps
        Number of optimizer steps; the learning rate follows the share of them that is done.
    seed
        Seed of the weights, the reports and the order: the same seed gives the same model on the same machine, with the
        same number of threads.
    hidden_size, layers, intermediate_size, heads, vocab_size
        Shape of the model.
    learning_rate, text_weight, batch_tokens
        Peak learning rate, weight of the report's own tokens beside the reply's, tokens per step.
    eval_path
        Open-I reports (CSV, XML folder or archive) to score the finished base on; never trained on.
    n_eval
        Held-out synthetic reports per style to score on; 0 skips the scores.
    progress
        Called with one line of text now and then.

    Returns
    -------
    dict
        What the model card states: parameters, steps, tokens, minutes, megabytes, scores and their curve over the training.
    """
    options = {k: v for k, v in locals().items() if k not in ("out_dir", "eval_path", "n_eval", "progress")}
    _check(steps=steps, hidden_size=hidden_size, heads=heads, n_eval=n_eval)
    sets = eval_sets(n_eval, openi_path=eval_path) if n_eval else {}  # before the training, which a file that fails would waste
    prepare_environment(True)
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from radbook.student.pretraining.loop import train

    say = progress or (lambda line: None)
    say("building the tokenizer")
    tokenizer = build_tokenizer(vocab_size, seed=seed)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden_size, num_hidden_layers=layers,
        intermediate_size=intermediate_size, num_attention_heads=heads, num_key_value_heads=heads,
        max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, prompt_style="short",
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    out_dir = Path(out_dir)
    scratch = _scratch(out_dir, {"grammar": grammar_hash(), "options": options})

    def snap(number: int, entry: dict[str, Any]) -> None:
        if n_eval:
            _save(model, tokenizer, scratch / f"{number:02}")
            write_json(entry, scratch / f"{number:02}.json")

    trained = train(
        model, tokenizer, state_path=scratch / "state.pt", steps=steps, seed=seed,
        learning_rate=learning_rate, text_weight=text_weight, batch_tokens=batch_tokens, say=say, snap=snap,
    )  # fmt: skip
    _save(model, tokenizer, out_dir)
    card = {
        "parameters": sum(p.numel() for p in model.parameters()), "layers": layers, "hidden_size": hidden_size,
        "vocabulary": len(tokenizer), "grammar": grammar_hash(), "seed": seed, **trained,
        "megabytes": round(sum(p.stat().st_size for p in out_dir.iterdir() if p.is_file()) / 1e6, 2),
    }  # fmt: skip
    if n_eval:
        say("scoring the base on held-out reports")
        card["scores"], card["curve"] = score_base(out_dir, sets), []
        for entry in sorted(scratch.glob("*.json")):
            scores = score_base(entry.with_suffix(""), sets, tasks=("choice",))
            spent = json.loads(entry.read_text(encoding="utf-8"))
            card["curve"].append({**spent, **{name: values["choice"] for name, values in scores.items()}})
    write_json(card, out_dir / "training.json")
    (out_dir / "README.md").write_text(model_card(card), encoding="utf-8")
    shutil.rmtree(scratch)
    return card


def _scratch(out_dir: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of the training's state; what another training left in it is removed."""
    scratch, told = out_dir / ".pretraining", json.dumps(identity, sort_keys=True)
    if (scratch / "identity").is_file() and (scratch / "identity").read_text(encoding="utf-8") == told:
        return scratch
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    (scratch / "identity").write_text(told, encoding="utf-8")
    return scratch


def _check(*, steps: int, hidden_size: int, heads: int, n_eval: int) -> None:
    if steps < 1:
        raise RadbookError(f"steps is {steps}: train for at least one step")
    if n_eval < 0:
        raise RadbookError(f"n_eval is {n_eval}: give a number of reports, or 0 for no scores")
    if hidden_size % (2 * heads):
        raise RadbookError(f"hidden_size {hidden_size} cannot be divided into {heads} heads of even width")


def _save(model: Any, tokenizer: Any, out_dir: Path) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    with quiet():
        copy.deepcopy(model).half().save_pretrained(out_dir)
        tokenizer.save_pretrained(out_dir)
    (out_dir / "model.safetensors").chmod(0o644)
