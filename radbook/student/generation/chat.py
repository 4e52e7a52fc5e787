"""Chat requests answered in this process: what a server would be sent, without a server.

A request that holds its answer to a JSON schema is kept to it token by token: llguidance (Microsoft, MIT) says which tokens
may come next, and the model chooses among those.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from radbook.core.errors import RadbookError, need
from radbook.student.environment import quiet, torch, transformers
from radbook.student.generation.generate import progress_of
from radbook.teachers.llm.cache import Reply

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["answer"]


def answer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    requests: Sequence[Mapping[str, Any]],
    *,
    batch_size: int = 8,
    progress: Callable[[str], None] | None = None,
) -> list[Reply]:
    """Return the greedy reply to each request, in their order.

    Parameters
    ----------
    model, tokenizer
        A model that was trained on conversations, and its tokenizer with a chat template.
    requests
        As `radbook.teachers.llm.ChatTeacher.request` returns them: messages, max_tokens, and a `response_format` or none.
    batch_size
        Requests answered at a time.
    progress
        Called with one line of text now and then.

    Raises
    ------
    RadbookError
        If the tokenizer has no chat template, or llguidance is missing where a schema is to be held.

    Examples
    --------
    >>> from radbook.student.base import load_base
    >>> from radbook.teachers.llm.prompts import response_schema
    >>> from radbook.tasks import CHOICE
    >>> model, tokenizer, _ = load_base("smollm2", backend="peft")
    >>> asked = {"messages": [{"role": "user", "content": "No acute disease."}], "max_tokens": 60}
    >>> held = answer(model, tokenizer, [asked | {"response_format": response_schema(CHOICE)}])[0]
    >>> "".join(held.text.split()).startswith('{"findings":[')
    True
    """
    if not tokenizer.chat_template:
        raise RadbookError("this base knows no conversations: its tokenizer has no chat template; name another model")
    texts = [tokenizer.apply_chat_template(r["messages"], tokenize=False, add_generation_prompt=True) for r in requests]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    tell = progress_of(progress, len(requests), "replies")
    replies: dict[int, Reply] = {}
    order = sorted(range(len(ids)), key=lambda k: ("response_format" in requests[k], -len(ids[k])))
    model.eval()
    for first in range(0, len(order), batch_size):
        part = order[first : first + batch_size]
        batch = tokenizer.pad({"input_ids": [ids[k] for k in part]}, padding_side="left", return_tensors="pt").to(model.device)
        width, room = batch["input_ids"].shape[1], max(requests[k]["max_tokens"] for k in part)
        held = _held(tokenizer, model, [requests[k].get("response_format") for k in part])
        with quiet(), torch.inference_mode():
            written = model.generate(
                **batch, max_new_tokens=room, do_sample=False, logits_processor=held, pad_token_id=tokenizer.pad_token_id
            )
        for k, row in zip(part, written[:, width:].tolist(), strict=True):
            row = row[: requests[k]["max_tokens"]]
            ended = tokenizer.eos_token_id in row
            row = row[: row.index(tokenizer.eos_token_id)] if ended else row
            text = tokenizer.decode(row, skip_special_tokens=True).strip()
            replies[k] = Reply(text, len(ids[k]), len(row), complete=ended)
        tell(len(part))
    return [replies[k] for k in range(len(requests))]


def _held(tokenizer: Any, model: Any, formats: Sequence[Mapping | None]) -> Any:
    """Return what masks, row by row, the tokens that a row's schema does not allow; rows without one are free."""
    if not any(formats):
        return None
    need("smollm2", "llguidance")
    import llguidance.hf
    from llguidance import LLMatcher

    known = llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size)
    schemas = [f and f["json_schema"]["schema"] for f in formats]
    matchers = [s and LLMatcher(known, LLMatcher.grammar_from_json_schema(s)) for s in schemas]

    class Held(transformers.LogitsProcessor):
        begun = False

        def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
            for k, matcher in enumerate(matchers):
                if matcher is None:
                    continue
                if self.begun and not matcher.is_stopped():
                    matcher.consume_token(int(input_ids[k, -1]))
                if not matcher.is_stopped():
                    allowed = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
                    allowed = torch.from_numpy(allowed[: scores.shape[1]]).bool().to(scores.device)
                    scores[k].masked_fill_(~allowed, float("-inf"))
            self.begun = True
            return scores

    return transformers.LogitsProcessorList([Held()])
