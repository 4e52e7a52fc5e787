"""What a tiny base is trained on: generated reports, as text alone or each as a prompt with its correct reply.

A source is a function that returns (prompt, reply) pairs of so many reports drawn from a seed; text alone has no prompt.
Batches hold rows of like length.
"""

import random
import re
from collections.abc import Callable, Iterator

import torch
from transformers import PreTrainedTokenizerBase

from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.student.prompts import encode_prompts
from radbook.tasks import TASKS

__all__ = ["REPLY", "SOURCES", "TEXT", "Source", "batches", "encode", "mask_words", "tasks", "text"]

CHUNK = 1536  # reports generated at a time; batches of like length are cut from one chunk
CHOICE_SHARE = 0.6
LONG_SHARE = 0.05  # examples made of two or three reports, so that long notes are no surprise
MASKED_SHARE = 0.35  # examples in which some words are blotted out as de-identification does
TEXT_SHARE = 0.3  # of the prompt's tokens, how many the language loss is computed on
LONGEST = 1100  # tokens of an example
TEXT, REPLY = 1, 2  # which loss a token belongs to
Source = Callable[[int, int], list[tuple[str, str]]]
_KEPT = re.compile(
    r"(?i)^(no|not|non|nor|without|free|absent|negative|resol\w*|clear\w*|remov\w*|possib\w*|probab\w*|likely|may|might|could|"
    r"suspect\w*|question\w*|cannot|exclude\w*|rule\w*|versus|or|suggest\w*|concern\w*|evidence|normal|unremarkable|with|and)\W*$"
)


def tasks(n_reports: int, seed: int) -> list[tuple[str, str]]:
    """Return the short prompt of one task and its reply for each of so many new reports, a few of them joined into one."""
    rng = random.Random(seed)
    reports, curated = generate_reports(n_reports, style="general", seed=seed)
    found = curated.set_index(["report_id", "task"])["findings"].to_dict()
    waiting = list(zip(reports["report_id"], reports["text"], strict=True))
    pairs = []
    while waiting:
        several = rng.randint(2, 3) if rng.random() < LONG_SHARE else 1
        parts, waiting = waiting[:several], waiting[several:]
        task = TASKS["choice" if rng.random() < CHOICE_SHARE else "open"]
        findings, offset = [], 0
        for report_id, text in parts:
            findings += [f | {"start": f["start"] + offset, "end": f["end"] + offset} for f in found[report_id, task.name]]
            offset += len(text) + 1
        body = "\n".join(report_body(text) for _, text in parts)
        if rng.random() < MASKED_SHARE:
            body = mask_words(body, findings, rng)
        pairs.append((task.prompt(body, "short"), " " + task.render(findings)))
    return pairs


def text(n_reports: int, seed: int) -> list[tuple[str, str]]:
    """Return the text of so many new reports without a prompt, words blotted out in some: no answer, no instruction."""
    rng = random.Random(seed)
    reports, _ = generate_reports(n_reports, style="general", seed=seed)
    bodies = map(report_body, reports["text"])
    return [("", mask_words(body, [], rng) if rng.random() < MASKED_SHARE else body) for body in bodies if body]


SOURCES = {"text": text, "tasks": tasks}
"""By name, as `python -m tools.pretrain --data` takes them."""


def mask_words(body: str, findings: list[dict], rng: random.Random) -> str:
    """Replace a few words by XXXX, but none that a finding's phrase, a negation or a hedge is made of."""
    held = {w.lower().strip(".,;:") for f in findings for w in f["phrase"].split()}
    rate = rng.choice((0.02, 0.05, 0.08))

    def blot(match: re.Match) -> str:
        word = match[0]
        if rng.random() > rate or word.lower().strip(".,;:") in held or _KEPT.match(word):
            return word
        return "XXXX" + (word[-1] if word[-1] in ".,;:" else "")

    return re.sub(r"\S+", blot, body)


def encode(tokenizer: PreTrainedTokenizerBase, pairs: list[tuple[str, str]]) -> list[tuple[list[int], int]]:
    """Return token ids, end token included, with the length of the prompt among them, of each pair that is not too long."""
    prompts = encode_prompts(tokenizer, [p for p, _ in pairs])
    replies = tokenizer([r for _, r in pairs], add_special_tokens=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    return [(p + r + end, len(p)) for p, r in zip(prompts, replies, strict=True) if len(p) + len(r) < LONGEST]


def batches(
    tokenizer: PreTrainedTokenizerBase, source: Source, *, seed: int, n_tokens: int, longest: int = LONGEST
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the batches of one chunk of new reports in random order.

    Parameters
    ----------
    tokenizer, source
        The base's own, and what is read.
    seed
        Decides the reports, the tasks and the order.
    n_tokens
        Tokens that a batch has at most, padding included.
    longest
        Tokens of the longest example that is taken.

    Yields
    ------
    ids, kind
        Token ids, and 0, TEXT or REPLY for each; both of shape (rows, width).
    """
    rng, torch_rng = random.Random(seed), torch.Generator().manual_seed(seed)
    longest = min(longest, n_tokens)
    waiting = sorted((e for e in encode(tokenizer, source(CHUNK, seed)) if len(e[0]) <= longest), key=lambda e: -len(e[0]))
    groups = []
    while waiting:
        width = -(-len(waiting[0][0]) // 16) * 16  # few distinct widths: the kernels keep memory for each one
        rows = max(1, n_tokens // width)
        groups.append((width, waiting[:rows]))
        waiting = waiting[rows:]
    rng.shuffle(groups)
    for width, group in groups:
        ids = torch.full((len(group), width), tokenizer.pad_token_id)
        kind = torch.zeros(ids.shape, dtype=torch.int8)
        for row, (tokens, prompt) in enumerate(group):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            kind[row, 1:prompt] = TEXT
            kind[row, prompt : len(tokens)] = REPLY
        unread = torch.rand(kind.shape, generator=torch_rng) > TEXT_SHARE
        yield ids, kind.masked_fill((kind == TEXT) & unread, 0)
