"""Letting the tiny base write: replies per CPU second, against transformers' `generate` in the ways it is commonly used.

One process and one thread; the ways take turns, and the rate of each is the median of its rounds.
Converting the model for CTranslate2 is a part of every call and has a line of its own.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.student import Student
from radbook.student.environment import quiet, torch
from radbook.student.generation.generate import generate
from radbook.student.prompts import encode_prompts
from radbook.tasks import STYLES, TASKS

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MAX_NEW_TOKENS = 150
PEER_BATCH = (
    16  # of 8, 16, 32 and 64 the fastest for `generate` on a CPU, whose cache is copied at every token
)
WAYS = {
    "one": "generate, one prompt at a time",
    "batched": f"generate in batches of {PEER_BATCH}, no prefix kept",
}


def measure(
    *, n_reports: int = 256, n_batched: int = 64, n_alone: int = 16, rounds: int = 3
) -> list[tuple[str, float, str]]:
    """Answer both tasks for distinct reports in both prompt styles; `generate` answers evenly spaced ones of them."""
    reports, _ = generate_reports(2 * n_reports, style="cohort", seed=1)
    bodies = list(dict.fromkeys(report_body(text) for text in reports["text"]))[:n_reports]
    model, tokenizer = Student.untuned().model()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.process_time()
        generate(model, tokenizer, [TASKS["choice"].prompt(bodies[0])], max_new_tokens=1)
        rows = [("converting the model, and one token", time.process_time() - start, "CPU s")]
        rows.append(_confidence(reports.head(n_reports), rounds))
        for style in STYLES:
            asked = {name: [task.prompt(body, style) for body in bodies] for name, task in TASKS.items()}
            some, few = (
                {name: prompts[:: max(1, len(prompts) // n)] for name, prompts in asked.items()}
                for n in (n_batched, n_alone)
            )
            ways = {
                "radbook": (asked, lambda p: generate(model, tokenizer, p, max_new_tokens=MAX_NEW_TOKENS)),
                "one": (few, lambda p: in_batches(model, tokenizer, p, 1)),
                "batched": (some, lambda p: in_batches(model, tokenizer, p, PEER_BATCH)),
            }
            rate, replies = _in_turn(ways, rounds)
            own = dict(zip(chain.from_iterable(asked.values()), replies["radbook"], strict=True))
            alone = zip(chain.from_iterable(few.values()), replies["one"], strict=True)
            same = statistics.mean(own[prompt] == reply for prompt, reply in alone)
            what = f"{style} prompts"
            rows.append((f"student, {what}, {len(own)} replies", rate["radbook"], "replies/CPU s"))
            rows += [(f"{WAYS[way]}, {what}", rate[way], "replies/CPU s") for way in WAYS]
            rows += [
                (f"student / {WAYS[way]}, {what}", rate["radbook"] / rate[way], "times as fast")
                for way in WAYS
            ]
            rows.append((f"replies that are those of one at a time, {what}", 100 * same, "%"))
    finally:
        torch.set_num_threads(threads)
    return rows


def in_batches(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], batch_size: int
) -> list[str]:
    """Answer with transformers' `generate`, the prompts sorted by length and padded on the left."""
    ids = encode_prompts(tokenizer, prompts)
    order = sorted(range(len(ids)), key=lambda k: -len(ids[k]))
    replies = [""] * len(ids)
    with torch.inference_mode(), quiet():
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            width = max(len(ids[k]) for k in rows)
            pad = [[0] * (width - len(ids[k])) for k in rows]
            written = model.generate(
                input_ids=torch.tensor([p + ids[k] for p, k in zip(pad, rows, strict=True)]),
                attention_mask=torch.tensor([p + [1] * len(ids[k]) for p, k in zip(pad, rows, strict=True)]),
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
            )
            texts = tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)
            for k, text in zip(rows, texts, strict=True):
                replies[k] = text.strip()
    return replies


def _in_turn(ways: dict[str, tuple[dict, Callable]], rounds: int) -> tuple[dict, dict]:
    seconds, replies = {way: [] for way in ways}, {}
    for _ in range(rounds):
        for way, (asked, answer) in ways.items():
            start = time.process_time()
            replies[way] = [*chain.from_iterable(answer(prompts) for prompts in asked.values())]
            seconds[way].append(time.process_time() - start)
    return {way: len(replies[way]) / statistics.median(seconds[way]) for way in ways}, replies


def _confidence(reports: "pd.DataFrame", rounds: int) -> tuple[str, float, str]:
    student = Student.untuned()
    labels = student.label(reports, ["choice"])
    ratios = []
    for _ in range(rounds):
        start = time.process_time()
        student.label(reports, ["choice"])
        middle = time.process_time()
        student.confidence(reports, labels)
        ratios.append((time.process_time() - middle) / (middle - start))
    return "confidence / labeling the choice task", statistics.median(ratios), "times its CPU time"


if __name__ == "__main__":
    for row in measure():
        print(*row, sep=" | ", flush=True)
