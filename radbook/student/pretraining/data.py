"""What the tiny base is trained on: an endless stream of generated reports, each as one prompt with its correct reply."""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.student.prompts import encode_prompts
from radbook.tasks import TASKS

__all__ = ["CHUNK", "REPLY", "TEXT", "batches", "make_examples", "mask_words"]

CHUNK = 1536  # reports generated at a time; batches of similar length are cut from one chunk
CHOICE_SHARE = 0.6
LONG_SHARE = 0.05  # examples made of two or three reports, so that long notes are no surprise
MASKED_SHARE = 0.35  # examples in which some words are blotted out as de-identification does
TEXT_SHARE = 0.3  # of the report's tokens, how many the language loss is computed on
LONGEST = 1100  # tokens of an example
TEXT, REPLY = 1, 2  # which loss a token belongs to
Example = tuple[list[int], int]  # token ids, and how many of them are the prompt
_KEPT = re.compile(
    r"(?i)^(no|not|non|nor|without|free|absent|negative|resol\w*|clear\w*|remov\w*|possib\w*|probab\w*|likely|may|might|could|"
    r"suspect\w*|question\w*|cannot|exclude\w*|rule\w*|versus|or|suggest\w*|concern\w*|evidence|normal|unremarkable|with|and)\W*$"
)


def batches(
    tokenizer: Any, seed: int, n_tokens: int, *, longest: Callable[[], int] = lambda: LONGEST, chunk: int = 0
) -> Iterator[dict]:
    """Yield batches of `n_tokens` tokens without end, each report used once.

    Parameters
    ----------
    tokenizer
        The base's own.
    seed
        Decides the reports, the tasks and the order.
    n_tokens
        Tokens of a batch, padding included.
    longest
        Asked before a chunk of reports is written: longer examples are left out of it.
    chunk
        Where to begin: each chunk has its own seed, so that an interrupted training can go on.

    Yields
    ------
    dict
        `ids` and `kind` (0, TEXT or REPLY), both of shape (n_tokens,): rows of `width` tokens one after the other;
        `tokens` counts those that are no padding; `chunk` says which one they are of.
    """
    import torch

    for number in itertools.count(chunk):
        own_seed = seed * 1_000_003 + number
        rng, torch_rng = random.Random(own_seed), torch.Generator().manual_seed(own_seed)
        limit = min(longest(), n_tokens)
        groups = _grouped(
            [e for e in make_examples(tokenizer, CHUNK, own_seed) if len(e[0]) <= limit], n_tokens
        )
        rng.shuffle(groups)
        for width, group in groups:
            ids = torch.full((n_tokens,), tokenizer.pad_token_id)
            kind = torch.zeros(n_tokens, dtype=torch.int8)
            for start, (tokens, prompt) in zip(range(0, n_tokens, width), group, strict=False):
                ids[start : start + len(tokens)] = torch.tensor(tokens)
                kind[start + 1 : start + prompt] = TEXT
                kind[start + prompt : start + len(tokens)] = REPLY
            read = torch.rand(kind.shape, generator=torch_rng) < TEXT_SHARE
            kind[(kind == TEXT) & ~read] = 0
            tokens = sum(len(ids) for ids, _ in group)
            yield {"ids": ids, "kind": kind, "width": width, "tokens": tokens, "chunk": number}


def _grouped(examples: list[Example], n_tokens: int) -> list[tuple[int, list[Example]]]:
    """Cut batches of similar length, the longest first; return the width and the examples of each."""
    groups = []
    waiting = sorted(examples, key=lambda e: -len(e[0]))
    while waiting:
        width = -(-len(waiting[0][0]) // 16) * 16  # few distinct widths: the kernels keep memory for each one
        rows = n_tokens // width
        groups.append((width, waiting[:rows]))
        waiting = waiting[rows:]
    return groups


def make_examples(tokenizer: Any, n_reports: int, seed: int) -> list[Example]:
    """Generate reports and return token ids with the length of the prompt part, one example per report."""
    rng = random.Random(seed)
    reports, curated = generate_reports(n_reports, style="general", seed=seed)
    texts = dict(zip(reports["report_id"], reports["text"], strict=True))
    found = {
        (row.report_id, row.task): row.findings for row in curated.itertuples() if row.status != "failed"
    }
    ids = list(texts)
    pairs = []
    while ids:
        several = rng.randint(2, 3) if rng.random() < LONG_SHARE else 1
        taken = [ids.pop() for _ in range(min(several, len(ids)))]
        name = "choice" if rng.random() < CHOICE_SHARE else "open"
        if any((i, name) not in found for i in taken):
            continue
        pairs.append(_example(name, [(texts[i], found[i, name]) for i in taken], rng))
    prompts = encode_prompts(tokenizer, [p for p, _ in pairs])
    replies = tokenizer([" " + r for _, r in pairs], add_special_tokens=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    return [(p + r + end, len(p)) for p, r in zip(prompts, replies, strict=True) if len(p) + len(r) < LONGEST]


def _example(name: str, parts: list[tuple[str, list[dict]]], rng: random.Random) -> tuple[str, str]:
    """Return prompt and reply for one or more reports read as one."""
    task = TASKS[name]
    findings, offset = [], 0
    for text, entries in parts:
        for entry in entries:
            moved = dict(entry)
            if entry["start"] is not None:
                moved["start"], moved["end"] = entry["start"] + offset, entry["end"] + offset
                moved["phrase"] = entry["phrase"] or text[entry["start"] : entry["end"]]
            findings.append(moved)
        offset += len(text) + 1
    body = "\n".join(report_body(text) for text, _ in parts)
    if rng.random() < MASKED_SHARE:
        body = mask_words(body, findings, rng)
    return task.prompt(body, "short"), task.render(findings)


def mask_words(body: str, findings: list[dict], rng: random.Random) -> str:
    """Replace a few words by XXXX, but none that a finding's phrase, a negation or a hedge is made of."""
    held = {w.lower().strip(".,;:") for f in findings for w in (f["phrase"] or "").split()}
    rate = rng.choice((0.02, 0.05, 0.08))

    def blot(match: re.Match) -> str:
        word = match[0]
        plain = word.lower().strip(".,;:")
        if rng.random() > rate or plain in held or _KEPT.match(word):
            return word
        return "XXXX" + (word[-1] if word[-1] in ".,;:" else "")

    return re.sub(r"\S+", blot, body)
