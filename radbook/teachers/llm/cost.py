"""What it would take to ask a language model, counted before anything is sent.

Tokens are estimated from characters, on the high side, for the tokenizer of a model behind an endpoint is not ours to ask.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Plan", "most_tokens", "price"]

_CHARACTERS_PER_TOKEN = 3.5  # of English clinical text, on the low side, so that estimates are on the high side
_MESSAGE_TOKENS = 8  # what a chat template adds to each message


@dataclass(frozen=True)
class Plan:
    """What labeling would take, before any call.

    Attributes
    ----------
    reports, cached, calls
        Reports to label, the requests they make that were answered before, and those still to be sent.
    prompt_tokens, completion_tokens
        Estimate of what is read, and the most that may be written, over all calls.
    cost
        In the currency of the prices, at most; None where no prices were given.
    seconds
        Estimate at the given concurrency.
    """

    reports: int
    cached: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float

    def __str__(self) -> str:
        known = self.cost is not None
        cost = f"at most {self.cost:,.2f} (currency of the prices)" if known else "cost unknown (no prices given)"
        requests = self.cached + self.calls
        return (
            f"{self.reports:,} reports, {self.calls:,} calls ({self.cached:,} of {requests:,} requests answered before), "
            f"about {self.prompt_tokens:,} tokens to read, at most {self.completion_tokens:,} to write, {cost}, "
            f"about {self.seconds:,.0f} s"
        )


def most_tokens(request: Mapping[str, object]) -> tuple[int, int]:
    """Estimate the tokens that a request reads, on the high side, and return the most it may write.

    >>> most_tokens({"messages": [{"content": "Name the findings of: clear lungs."}], "max_tokens": 400})
    (18, 400)
    """
    texts = [message["content"] for message in request["messages"]]
    read = sum(math.ceil(len(text) / _CHARACTERS_PER_TOKEN) + _MESSAGE_TOKENS for text in texts)
    return read, request["max_tokens"]


def price(tokens: tuple[int, int], prices: tuple[float, float]) -> float:
    """Return what tokens cost that are read and written, at prices per million."""
    return (tokens[0] * prices[0] + tokens[1] * prices[1]) / 1e6
