"""A prompt as the model's own chat template writes it, always with the same date.

A template that prints today's date would make tomorrow's prompts differ from those the student was trained on, and two
runs of the same report differ from each other.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from radbook.tasks import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["as_chat", "encode_prompts", "freeze_date", "template_hash", "token_ids"]

_DATE = "26 Jul 2024"
_PORTION = 4096  # prompts; lists of the tokens of a whole cohort's would take more memory than anything else


def as_chat(tokenizer: "PreTrainedTokenizerBase", prompt: str) -> str:
    """Return a prompt as the one turn of a user, written by the chat template, up to where the reply begins."""
    if tokenizer.chat_template:
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            date_string=_DATE,
            strftime_now=lambda format: _DATE,
        )
    return (tokenizer.bos_token or "") + prompt


def encode_prompts(tokenizer: "PreTrainedTokenizerBase", prompts: Iterable[str]) -> list[list[int]]:
    """Turn prompts into the token ids that training and generation both start from (chat template included)."""
    texts = [as_chat(tokenizer, p) for p in prompts]
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def token_ids(tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str]) -> list[np.ndarray]:
    """Return what `encode_prompts` returns, each row as a small array."""
    starts = range(0, len(prompts), _PORTION)
    portions = (encode_prompts(tokenizer, prompts[k : k + _PORTION]) for k in starts)
    return [np.array(ids, dtype=np.int32) for portion in portions for ids in portion]


def template_hash(tokenizer: "PreTrainedTokenizerBase", style: str) -> str:
    """Hash both tasks' prompts of an example report as this tokenizer's model would read them."""
    texts = [as_chat(tokenizer, task.prompt("Heart is enlarged.", style)) for task in TASKS.values()]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def freeze_date(template: str) -> str:
    """Return a chat template that writes our date itself, for servers that would give it today's.

    >>> freeze_date("{{ strftime_now('%d %b %Y') }}")
    "{%- macro strftime_now(format) %}26 Jul 2024{% endmacro -%}{{ strftime_now('%d %b %Y') }}"
    >>> freeze_date("{{ messages[0]['content'] }}")
    "{{ messages[0]['content'] }}"
    """
    head = ""
    if "strftime_now" in template:
        head += f"{{%- macro strftime_now(format) %}}{_DATE}{{% endmacro -%}}"
    if "date_string" in template:
        head += f'{{%- set date_string = "{_DATE}" -%}}'
    return template if template.startswith(head) else head + template
