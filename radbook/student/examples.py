"""What the tiny base is trained on: an endless stream of generated reports, each as one prompt with its correct reply."""

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any

from radbook.corpora.sections import report_body
from radbook.student.base import encode_prompts
from radbook.tasks import TASKS

__all__ = ["CHUNK", "REPLY", "TEXT", "batches", "make_examples", "mask_words"]

CHUNK = 1536  # reports generated at a time; batches of similar length are cut from one chunk
CHOICE_SHARE = 0.6
LONG_SHARE = 0.05  # examples made of two or three reports, so that long notes are no surprise
MASKED_SHARE = 0.35  # examples in which some words are blotted out as de-identification does
TEXT_SHARE = 0.3  # of the report's tokens, how many the language loss is computed on
TEXT, REPLY = 1, 2  # which loss a token belongs to
_KEPT = re.compile(
    r"(?i)^(no|not|non|nor|without|free|absent|negative|resol\w*|clear\w*|remov\w*|possib\w*|probab\w*|likely|may|might|could|"
    r"suspect\w*|question\w*|cannot|exclude\w*|rule\w*|versus|or|suggest\w*|concern\w*|evidence|normal|unremarkable|with|and)\W*$"
)


def batches(tokenizer: Any, seed: int, batch_tokens: int) -> Iterator[dict]:
    """Yield batches of similar length without end, each report used once."""
    import torch

    rng, torch_rng = random.Random(seed), torch.Generator().manual_seed(seed)
    for chunk in itertools.count():
        groups = _grouped(make_examples(tokenizer, CHUNK, seed * 1_000_003 + chunk), batch_tokens)
        rng.shuffle(groups)
        for group in groups:
            # Few distinct shapes, by padding: the CPU's matrix kernels keep memory for every shape they meet.
            width, height = _up(max(len(ids) for ids, _ in group), 16), _up(len(group), 8)
            ids = torch.full((height, width), tokenizer.pad_token_id)
            kind = torch.zeros(height, width, dtype=torch.int8)
            for row, (tokens, prompt) in enumerate(group):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                kind[row, 1:prompt] = TEXT
                kind[row, prompt : len(tokens)] = REPLY
            read = torch.rand(kind.shape, generator=torch_rng) < TEXT_SHARE
            kind[(kind == TEXT) & ~read] = 0
            yield {"ids": ids, "kind": kind, "tokens": sum(len(t) for t, _ in group)}


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _grouped(examples: list[tuple[list[int], int]], batch_tokens: int) -> list[list]:
    groups: list[list] = [[]]
    for example in sorted(examples, key=lambda e: len(e[0])):
        if groups[-1] and (len(groups[-1]) + 1) * _up(len(example[0]), 16) > batch_tokens:
            groups.append([])
        groups[-1].append(example)
    return groups


def make_examples(tokenizer: Any, n_reports: int, seed: int) -> list[tuple[list[int], int]]:
    """Generate reports and return token ids with the length of the prompt part, one example per report."""
    from radbook.corpora.synthetic import generate_reports

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
    return [(p + r + end, len(p)) for p, r in zip(prompts, replies, strict=True) if len(p) < 1000]


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
