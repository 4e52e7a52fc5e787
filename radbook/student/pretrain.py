"""Make the packaged tiny base: a small Llama that learns to read chest reports from generated text alone.

Every batch is new: reports are written in the *general* style while the model trains, and each becomes one prompt of one
task with its correct reply.
The loss is that of the reply plus a share of that of the report itself, so the model also learns the language.
"""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from radbook.errors import RadbookError
from radbook.student.base import cpu_has_bfloat16, prepare_environment, quiet
from radbook.student.examples import REPLY, TEXT, batches
from radbook.student.tokenizer import build_tokenizer
from radbook.tasks import TASKS

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
    minutes: float = 35.0,
    steps: int = 0,
    seed: int = 0,
    hidden_size: int = 256,
    layers: int = 4,
    intermediate_size: int = 1024,
    heads: int = 4,
    vocab_size: int = 3072,
    learning_rate: float = 4e-3,
    text_weight: float = 0.3,
    batch_tokens: int = 3072,
    eval_path: str | Path | None = None,
    n_eval: int = 400,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a small Llama and its tokenizer from scratch and write both, with a model card, to `out_dir`.

    Parameters
    ----------
    out_dir
        Folder to write to; files of an earlier base in it are replaced at the end.
    minutes
        Time to train for; the learning rate follows the share of the time that is used up.
    steps
        If above 0, train for so many steps instead: the same seed then gives the same model on the same machine.
    seed
        Seed of the weights, the reports and the order.
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
        What the model card states: parameters, steps, tokens, minutes, megabytes and scores.
    """
    _check(minutes=minutes, steps=steps, hidden_size=hidden_size, heads=heads)
    prepare_environment(True)
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

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
    # Plain attention: for short sequences it trains twice as fast on a CPU as the fused kernel's backward pass.
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager")
    trained = _train(
        model, tokenizer, minutes=minutes, steps=steps, seed=seed, learning_rate=learning_rate,
        text_weight=text_weight, batch_tokens=batch_tokens, say=say,
    )  # fmt: skip
    out_dir = Path(out_dir)
    card = {
        "parameters": sum(p.numel() for p in model.parameters()), "layers": layers, "hidden_size": hidden_size,
        "vocabulary": len(tokenizer), "grammar": grammar_hash(), "seed": seed, **trained,
    }  # fmt: skip
    model.config._attn_implementation = "sdpa"
    _save(model, tokenizer, out_dir)
    card["megabytes"] = round(sum(p.stat().st_size for p in out_dir.iterdir()) / 1e6, 2)
    if n_eval:
        say("scoring the base on held-out reports")
        card["scores"] = score_base(out_dir, n_reports=n_eval, eval_path=eval_path)
    (out_dir / "README.md").write_text(_model_card(card), encoding="utf-8")
    return card


def _check(*, minutes: float, steps: int, hidden_size: int, heads: int) -> None:
    if steps < 0 or (not steps and minutes <= 0):
        raise RadbookError(f"minutes is {minutes} and steps is {steps}: one of them must be above 0")
    if hidden_size % (2 * heads):
        raise RadbookError(f"hidden_size {hidden_size} cannot be divided into {heads} heads of even width")


def _train(
    model: Any, tokenizer: Any, *, minutes: float, steps: int, seed: int, learning_rate: float, text_weight: float,
    batch_tokens: int, say: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = device == "cuda" or cpu_has_bfloat16()
    model.to(device).train()
    optimizers = _optimizers(model, learning_rate)
    start, told, tokens, step, loss_sum, told_step = time.monotonic(), 0.0, 0, 0, 0.0, 0
    for batch in batches(tokenizer, seed, batch_tokens):
        elapsed = time.monotonic() - start
        done = step / steps if steps else elapsed / (60 * minutes)
        if done >= 1:
            break
        for group in (g for o in optimizers for g in o.param_groups):
            group["lr"] = learning_rate * _schedule(done)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss, reply_loss = _loss(model, batch, text_weight, device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        tokens += batch["tokens"]
        loss_sum += float(reply_loss)
        elapsed = time.monotonic() - start
        if elapsed - told >= 10:
            left = elapsed / max(done, 1e-3) * (1 - done)
            mean = loss_sum / (step - told_step)
            say(
                f"step {step}, reply loss {mean:.3f}, {tokens / elapsed:,.0f} tokens/s, {left / 60:.1f} min left"
            )
            told, told_step, loss_sum = elapsed, step, 0.0
    elapsed = time.monotonic() - start
    model.to("cpu").eval()
    return {
        "steps": step, "tokens": tokens, "minutes": round(elapsed / 60, 1), "tokens_per_second": round(tokens / elapsed),
        "precision": "bfloat16 autocast" if half else "float32", "device": device, "threads": torch.get_num_threads(),
    }  # fmt: skip


def _optimizers(model: Any, learning_rate: float) -> list[Any]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms.

    With AdamW for everything the same loss took more than twice as many tokens.
    """
    import torch

    inner = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" in n]
    norms = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": outer, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return [
        torch.optim.Muon(inner, lr=learning_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True),
    ]


def _schedule(done: float) -> float:
    """Warm up over the first 3 %, then follow a cosine down to a fiftieth."""
    return min(1.0, (done + 1e-4) / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _loss(model: Any, batch: dict, text_weight: float, device: str) -> tuple[Any, Any]:
    import torch

    ids, kind = batch["ids"].to(device), batch["kind"][:, 1:].flatten().to(device)
    # Right padding and causal attention: no real token ever sees a padding token, so no mask is needed.
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
    chosen = kind.nonzero().squeeze(1)
    padding = chosen.new_zeros(-len(chosen) % 256)  # for the same reason as in `batches`: few distinct shapes
    at = torch.cat([chosen, padding])
    logits = model.lm_head(hidden[at]).float()[: len(chosen)]
    losses = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten()[chosen], reduction="none")
    reply = losses[kind[chosen] == REPLY].mean()
    return reply + text_weight * losses[kind[chosen] == TEXT].mean(), reply.detach()


def _save(model: Any, tokenizer: Any, out_dir: Path) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    with quiet():
        copy.deepcopy(model).half().save_pretrained(out_dir)
        tokenizer.save_pretrained(out_dir)
    (out_dir / "model.safetensors").chmod(0o644)


def score_base(
    base: str | Path, *, n_reports: int = 400, eval_path: str | Path | None = None
) -> dict[str, dict[str, float]]:
    """Return micro-F1 ("certain": uncertain findings count as absent) of an untuned base, by test set and task."""
    from radbook.corpora.synthetic import generate_reports
    from radbook.student import Student

    student = Student.untuned(str(base))
    sets = {
        style: generate_reports(n_reports, style=style, seed=987_654_321) for style in ("general", "cohort")
    }
    if eval_path:
        from radbook.corpora import load_corpus

        reports, curated = load_corpus("openi", path=eval_path, seed=13)
        sets["openi_test"] = reports[reports["split"] == "test"], curated
    scores: dict[str, dict[str, float]] = {}
    for name, (reports, curated) in sets.items():
        predicted = student.label(reports)
        scores[name] = {t: round(_micro_f1(curated, predicted, t), 3) for t in TASKS}
    return scores


def _micro_f1(curated: pd.DataFrame, predicted: pd.DataFrame, task: str) -> float:
    # A plain count for the model card; the book's figures come from radbook.evaluation, which stands further on.
    def codes(frame: pd.DataFrame) -> dict[str, set[str]]:
        frame = frame[(frame["task"] == task)]
        return {
            r.report_id: {
                f["code"][: None if task == "choice" else 3] for f in r.findings if f["presence"] == "present"
            }
            for r in frame.itertuples()
        }

    kept = curated[(curated["task"] == task) & (curated["status"] != "failed")]
    truth, said = codes(kept), codes(predicted)
    shared = [i for i in truth if i in said]
    hits = sum(len(truth[i] & said[i]) for i in shared)
    total = sum(len(truth[i]) + len(said[i]) for i in shared)
    return 2 * hits / total if total else float("nan")


_OPENI_NOTE = """
`openi_test` is the test split of the Open-I reports.
No such report was trained on, but the wordings of the grammar were chosen while reading that collection, its test split too.
So this score does not say how well the base would read the reports of a hospital nobody has looked at."""


def _model_card(card: dict[str, Any]) -> str:
    machine = "one GPU" if card["device"] == "cuda" else f"a CPU, {card['threads']} thread(s)"
    openi = _OPENI_NOTE if "openi_test" in card.get("scores", {}) else ""
    rows = "".join(
        f"| {name} | {values['choice']:.3f} | {values['open']:.3f} |\n"
        for name, values in card.get("scores", {}).items()
    )
    return f"""# The packaged tiny base

A Llama of {card["parameters"] / 1e6:.1f} million parameters, trained from scratch by `radbook pretrain`.
It stands in for a large instruction model: it knows the language of chest reports, not the hospital it is tuned to.

- **Shape**: {card["layers"]} layers, width {card["hidden_size"]}, a vocabulary of {card["vocabulary"]} tokens.
- **Data**: reports written by this package's own generator in the *general* style (grammar {card["grammar"]}).
  Every one was new, and came with its correct replies to both tasks.
  No report of a patient was used, and nothing was downloaded.
- **Training**: seed {card["seed"]}, {card["steps"]:,} steps, {card["tokens"] / 1e6:.1f} million tokens.
  It took {card["minutes"]} minutes in {card["precision"]} on {machine}.
- **Size**: {card["megabytes"]} MB, stored in half precision as safetensors.
- **Text**: the tokenizer lower-cases everything, so replies come in lower case.

Micro-F1 without any tuning (uncertain findings count as absent; the open task at ICD-10 category level):

| held-out reports | choice | open |
|---|---|---|
{rows}
`general` and `cohort` are new synthetic reports of the two styles.{openi}

Not a medical device: for teaching and research.
License: MIT, like the code.

```json
{json.dumps(card, indent=1)}
```
"""
