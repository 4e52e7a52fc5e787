"""Measure training and generation of a Llama-3.1-8B on a CUDA machine, with one command and nothing to download:

python benchmarks/full_size.py [--out full_size.json]

The model has the architecture of Llama-3.1-8B and random weights, which take as long as real ones and learn nothing.
Trained are the rows our own instructions make of synthetic reports, in the long prompts of a large base, with the
settings of `notebooks/profiles/paper.yaml`: through Unsloth and through plain PEFT, each in a process of its own.
Then replies are written.

By estimate it needs 40 GiB of GPU memory, as the chapters do; it takes 17 GB of disk for the model, which is removed at the end.
`--tiny` does the same with two small layers on any machine, to see that everything runs; its figures mean nothing.
Apart from `--tiny` on a CPU it has not been run: no GPU was at hand.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from work import layer_shapes, matrix_rate, work_per_token

LLAMA_8B = {
    "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    },
}  # fmt: skip
SMALL = {
    **LLAMA_8B, "vocab_size": 3072, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
}  # fmt: skip
SIDES = ("unsloth", "peft", "generation")


def build_model(folder: Path, *, tiny: bool) -> None:
    """Save a model of random weights, with the tokenizer of the packaged base."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from radbook.student.base import load_tokenizer

    tokenizer = load_tokenizer("tiny-taught")
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(**(SMALL if tiny else LLAMA_8B), **ends, pad_token_id=tokenizer.pad_token_id)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def rows_of(folder: Path, n_rows: int) -> Any:
    """Return so many instruction rows of both tasks, two of the open task for every one of choice."""
    from radbook.corpora import load_corpus
    from radbook.instructions import build_instructions
    from radbook.student.base import load_tokenizer

    reports, curated = load_corpus("synthetic", n_reports=max(60, 2 * n_rows), seed=1)
    table, _ = build_instructions(
        reports,
        {"choice": curated, "open": curated},
        n={"choice": n_rows // 3, "open": n_rows - n_rows // 3},
        tokenizer=load_tokenizer(str(folder)),
        style="full",
        max_prompt_tokens=4000,
    )
    return table


def train(folder: Path, backend: str, *, batch_size: int, accumulation: int, steps: int) -> dict[str, Any]:
    """Train one step to warm up and `steps` that count; return tokens per second, memory and the share of the chip."""
    import torch

    from radbook.student.base import load_base, prepare_training
    from radbook.student.training.config import Settings

    prepare_training(str(folder), backend)  # before the trainer, whose libraries Unsloth changes
    from radbook.student.training.trainer import Watcher, add_lora, make_trainer, tokenize

    settings = Settings(
        base_model=str(folder), rank=8, alpha=16, targets="q_proj,v_proj", learning_rate=1e-5, epochs=1.0,
        batch_size=batch_size, accumulation=accumulation, warmup=0.94, backend=backend, checkpoint_steps=10_000,
    )  # fmt: skip
    table = rows_of(folder, batch_size * accumulation * (steps + 1))
    model, tokenizer, used = load_base(str(folder), backend=backend, max_seq_length=4096)
    rows = tokenize(table, tokenizer)
    model = add_lora(model, settings, used)
    with tempfile.TemporaryDirectory() as out:
        trainer = make_trainer(model, tokenizer, rows, Path(out), settings, backend=used)
        trainer.args.save_strategy = "no"
        order = list(trainer._get_train_sampler())
        trainer.add_callback(Watcher(lambda line: print(line, file=sys.stderr, flush=True), 1.0))
        trainer.train()
    told = [e for e in trainer.state.log_history if "loss" in e]
    seconds = told[-1]["seconds"] - told[0]["seconds"]
    timed = rows_timed(order, batch_size * accumulation)
    tokens = sum(len(rows["input_ids"][k]) for k in timed)
    rate = tokens / seconds
    device = str(model.device)
    kind = "bfloat16" if trainer.args.bf16 else "float32"
    work = work_per_token(
        model.config,
        length=tokens / len(timed),
        trained=sum(label != -100 for k in timed for label in rows["labels"][k]) / len(timed),
        rank=8,
        targets=("q_proj", "v_proj"),
    )
    shapes = [
        (4096 if device.startswith("cuda") else 256, a, b) for a, b in layer_shapes(model.config).values()
    ]
    chip = matrix_rate(device, kind, shapes)
    return {
        "tokens_per_second": rate,
        "tokens_per_row": tokens / len(timed),
        "memory_gib": _peak(torch),
        "matrix_tflops": chip / 1e12,
        "share_of_matrix_rate": rate * work / chip,
        "first_loss": told[0]["loss"],
        "last_loss": told[-1]["loss"],
    }


def rows_timed(order: list[int], at_a_time: int) -> list[int]:
    """Return the rows of all steps but the first, which is not timed: the longest rows come first, so it is no average one.

    >>> rows_timed([4, 2, 0, 1, 3], 2)
    [0, 1, 3]
    """
    return order[at_a_time:]


def write(folder: Path, *, n_replies: int, max_new_tokens: int) -> dict[str, Any]:
    """Write replies; random weights seldom end a reply, so each has full length."""
    import torch

    from radbook.student.base import load_base
    from radbook.student.generation.generate import generate

    model, tokenizer, _ = load_base(str(folder), backend="peft")
    prompts = rows_of(folder, n_replies)["prompt"].tolist()
    start = time.perf_counter()
    generate(model, tokenizer, prompts, max_new_tokens=max_new_tokens, batch_size=32)
    rate = len(prompts) / (time.perf_counter() - start)
    return {"replies_per_second": rate, "memory_gib": _peak(torch)}


def _peak(torch: Any) -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(folder: Path, *, tiny: bool, batch_size: int, accumulation: int, steps: int) -> dict[str, Any]:
    """Measure every side in a process of its own; one that fails leaves its last line."""
    sizes = ["--batch-size", str(batch_size), "--accumulation", str(accumulation), "--steps", str(steps)]
    results: dict[str, Any] = {}
    for side in ("build", *SIDES):
        print(f"{side} ...", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "--side", side, "--model", str(folder), *sizes]
        done = subprocess.run([*command, *(["--tiny"] if tiny else [])], capture_output=True, text=True)
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            said = done.stderr.strip().splitlines()
            results[side] = {"failed": said[-1] if said else "no word why"}
        else:
            results[side] = json.loads(lines[-1])
        if side == "build" and "failed" in results[side]:
            break
    return results


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Return the rates and memories of two sides over each other, for pairs of which both finished."""
    unsloth, peft, _ = (results.get(side, {}) for side in SIDES)
    return {
        f"unsloth / peft, {key}": unsloth[key] / peft[key]
        for key in ("tokens_per_second", "memory_gib")
        if key in unsloth and key in peft
    }


def run_side(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one side in this process."""
    folder, tiny = Path(options.model), options.tiny
    if options.side == "build":
        build_model(folder, tiny=tiny)
        return {"built": True}
    if options.side == "generation":
        return write(folder, n_replies=6 if tiny else 128, max_new_tokens=4 if tiny else 150)
    sizes = {name: getattr(options, name) for name in ("batch_size", "accumulation", "steps")}
    return train(folder, options.side, **sizes)


def main(arguments: list[str] | None = None) -> int:
    """Print the table and write the JSON file; exit status 1 if a side failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--tiny", action="store_true", help="two small layers, few rows: does everything run?"
    )
    parser.add_argument("--out", default="full_size.json", help="where the figures go, as JSON")
    parser.add_argument("--batch-size", type=int, default=2, help="rows per forward pass")
    parser.add_argument("--accumulation", type=int, default=64, help="forward passes per step")
    parser.add_argument("--steps", type=int, default=2, help="steps that are timed")
    parser.add_argument("--side", choices=("build", *SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        print(json.dumps(run_side(options)))
        return 0
    if options.tiny:
        options.batch_size, options.accumulation = 2, 2
    sizes = {name: getattr(options, name) for name in ("batch_size", "accumulation", "steps")}
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder) / "model", tiny=options.tiny, **sizes)
    Path(options.out).write_text(
        json.dumps({"tiny": options.tiny, **sizes, **results, "ratios": ratios(results)}, indent=1),
        encoding="utf-8",
    )
    for side in SIDES:
        for name, value in results.get(side, {"failed": "the model could not be built"}).items():
            shown = value if isinstance(value, str) else f"{value:12,.3f}"
            label = f"{side}, {name.replace('_', ' ')}"
            print(f"{label:<60} {shown}")
    for name, value in ratios(results).items():
        print(f"{name.replace('_', ' '):<60} {value:12,.3f}")
    return int(any("failed" in result for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
