"""What it would take to ask a language model, counted before anything is sent; and what may be spent while it is asked.

Tokens are estimated from characters, on the high side, for the tokenizer of a model behind an endpoint is not ours to ask.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from radbook.core.errors import RadbookError
from radbook.teachers.llm.cache import Reply

__all__ = ["Budget", "Plan", "most_tokens", "price"]

_CHARACTERS_PER_TOKEN = 3.5  # of English clinical text, on the low side, so that estimates are on the high side
_MESSAGE_TOKENS = 8  # what a chat template adds to each message


class Budget:
    """What may be spent: money is set aside before a call and settled after it, so that calls in flight count.

    >>> budget = Budget(0.01, prices=(1.0, 2.0))
    >>> budget.reserve(0.008), budget.reserve(0.008)
    (True, False)
    >>> budget.settle(0.008, Reply("[none]", 3000, 500))
    >>> budget.spent, budget.reserve(0.005)
    (0.004, True)
    """

    def __init__(self, limit: float, *, prices: tuple[float, float]) -> None:
        self.limit, self.prices = limit, prices
        self.spent = self._set_aside = 0.0

    def reserve(self, most: float) -> bool:
        """Set aside the most that a call may cost; False where the limit does not allow it."""
        if self.limit and self.spent + self._set_aside + most > self.limit + 1e-12:
            return False
        self._set_aside += most
        return True

    def settle(self, most: float, reply: Reply | None) -> None:
        """Replace what was set aside by what the reply took; a server that counts no tokens is taken at the most."""
        self._set_aside -= most
        if reply is not None:
            tokens = (reply.prompt_tokens, reply.completion_tokens)
            self.spent += price(tokens, self.prices) if any(tokens) else most


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

    def refuse_beyond(self, *, max_reports: int, max_cost: float) -> None:
        """Refuse a plan that takes more than a limit; 0 sets none.

        >>> Plan(30, 0, 60, 9000, 24000, 0.5, 24.0).refuse_beyond(max_reports=20, max_cost=0)
        Traceback (most recent call last):
        radbook.core.errors.RadbookError: 30 reports are more than max_reports 20: nothing was sent
        """
        if max_reports and self.reports > max_reports:
            raise RadbookError(
                f"{self.reports:,} reports are more than max_reports {max_reports:,}: nothing was sent"
            )
        if max_cost and self.cost > max_cost:
            raise RadbookError(
                f"this could cost {self.cost:,.2f}, more than max_cost {max_cost:,.2f}: nothing was sent. "
                "Label fewer reports, lower max_new_tokens, or raise max_cost"
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
