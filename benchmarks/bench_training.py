"""Fine-tuning the tiny base: training tokens per second against TRL's trainer as it comes and a loop written by hand.

Each side is a process of its own with one thread, and they take turns: Unsloth changes TRL for a whole process.
"""

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rounds import Worker
from train_side import SETTINGS
from transformers import AutoConfig
from work import work_per_token

from radbook.core.schema import INSTRUCTIONS, write_table
from radbook.corpora import load_corpus
from radbook.instructions import build_instructions
from radbook.student.base import load_tokenizer, resolve_base
from radbook.student.environment import cpu_has_bfloat16

TAUGHT = resolve_base("tiny-taught")[0]

SIDES = {
    "radbook": "radbook",
    "trl": "TRL's trainer as it comes",
    "trl-quick": "TRL's trainer without activation checkpointing",
    "loop": "a hand-written loop",
}


def measure(*, n_reports: int = 400, rounds: int = 3) -> list[tuple[str, float, str]]:
    """Train each side once a round on the same rows; a rate is the median of its rounds in CPU time."""
    reports, curated = load_corpus("synthetic", n_reports=n_reports, seed=1)
    table, _ = build_instructions(reports, {"choice": curated, "open": curated}, tokenizer=load_tokenizer("tiny-taught"))
    tokens = int(table["prompt_tokens"].sum() + table["completion_tokens"].sum()) + 2 * len(table)
    script = Path(__file__).with_name("train_side.py")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = write_table(table, Path(folder) / "rows.parquet", INSTRUCTIONS)
        workers = {s: stack.enter_context(Worker(sys.executable, script, s, path)) for s in SIDES}
        told = [{s: w.ask("train")["answer"] for s, w in workers.items()} for _ in range(rounds)]
        matrix = workers["radbook"].ask("rate")["answer"]
    middle = {s: {k: statistics.median(t[s][k] for t in told) for k in told[0][s]} for s in SIDES}
    rate = {s: tokens / middle[s]["cpu"] for s in SIDES}
    what = f"{len(table):,} rows"
    used = "bfloat16" if cpu_has_bfloat16() else "float32"
    work = work_per_token(
        AutoConfig.from_pretrained(TAUGHT),
        length=tokens / len(table),
        trained=float(table["completion_tokens"].mean() + 1),
        rank=SETTINGS.rank,
    )
    return [
        *((f"training, {SIDES[s]}, {what}", rate[s], "tokens/CPU s") for s in SIDES),
        *((f"training, {SIDES[s]}, {what}", tokens / middle[s]["wall"], "tokens/s (clock)") for s in SIDES),
        *((f"training / {SIDES[s]}", rate["radbook"] / rate[s], "times as fast") for s in SIDES if s != "radbook"),
        *((f"loss before, {SIDES[s]}", middle[s]["before"], "nats per trained token") for s in SIDES),
        *((f"loss after, {SIDES[s]}", middle[s]["after"], "nats per trained token") for s in SIDES),
        *((f"matrix rate of one thread, {kind}", value / 1e9, "GFLOP/s") for kind, value in matrix.items()),
        (f"training / matrix rate, {used}", 100 * rate["radbook"] * work / matrix[used], "%"),
    ]


if __name__ == "__main__":
    for name, figure, unit in measure():
        print(f"{name:<70} {figure:>10,.2f} {unit}")
