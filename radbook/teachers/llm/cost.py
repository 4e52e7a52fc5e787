"""What it would take to ask a language model, counted before anything is sent; and what may be spent while it is asked.

Tokens are estimated from characters, on the high side, for the tokenizer of a model behind an endpoint is not ours to ask.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radbook.core.errors import RadbookError
from radbook.teachers.llm.cache import Reply

__all__ = ["Budget", "Plan", "most_tokens", "plan_calls"]

_SECONDS_PER_CALL = 3.0  # until this model has answered something
_CHARACTERS_PER_TOKEN = 3.5  # of English clinical text, on the low side, so that estimates are on the high side
_MESSAGE_TOKENS = 8  # what a chat template adds to each message


class Budget:
    """What may be spent: money is set aside before a call and settled after it, so that calls in flight count.

    >>> budget = Budget(0.01, prices=(1.0, 2.0))
    >>> budget.reserve(4000, 2000), budget.reserve(4000, 2000)
    (True, False)
    >>> budget.settle(4000, 2000, Reply("[none]", 3000, 500))
    >>> budget.spent, budget.reserve(4000, 500)
    (0.004, True)
    """

    def __init__(self, limit: float, *, prices: tuple[float, float]) -> None:
        self.limit, self.prices = limit, prices
        self.spent = self._set_aside = 0.0

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Set aside the most that a call may cost; False where the limit does not allow it."""
        most = _cost(prompt_tokens, completion_tokens, self.prices)
        if self.limit and self.spent + self._set_aside + most > self.limit + 1e-12:
            return False
        self._set_aside += most
        return True

    def settle(self, prompt_tokens: int, completion_tokens: int, reply: Reply | None) -> None:
        """Replace what was set aside by what the reply took; a server that counts no tokens is taken at the most."""
        most = _cost(prompt_tokens, completion_tokens, self.prices)
        self._set_aside -= most
        if reply is not None:
            counted = reply.prompt_tokens or reply.completion_tokens
            self.spent += _cost(reply.prompt_tokens, reply.completion_tokens, self.prices) if counted else most


@dataclass(frozen=True)
class Plan:
    """What labeling would take, before any call.

    Attributes
    ----------
    reports, requests, cached, calls
        Reports to label, different requests they make, those already answered, and those still to be sent.
    prompt_tokens, completion_tokens
        Estimate of what is read, and the most that may be written, over all calls.
    cost
        In the currency of the prices, at most; None where no prices were given.
    seconds
        Estimate at the given concurrency.
    """

    reports: int
    requests: int
    cached: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float

    def __str__(self) -> str:
        known = self.cost is not None
        cost = f"at most {self.cost:,.2f} (currency of the prices)" if known else "cost unknown (no prices given)"
        return (
            f"{self.reports:,} reports, {self.calls:,} calls ({self.cached:,} of {self.requests:,} requests answered before), "
            f"about {self.prompt_tokens:,} tokens to read, at most {self.completion_tokens:,} to write, {cost}, "
            f"about {self.seconds:,.0f} s"
        )

    def refuse_beyond(self, *, max_reports: int, max_cost: float) -> None:
        """Refuse a plan that takes more than a limit; 0 sets none.

        >>> Plan(30, 60, 0, 60, 9000, 24000, 0.5, 24.0).refuse_beyond(max_reports=20, max_cost=0)
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


def plan_calls(
    waiting: Sequence[Mapping],
    *,
    n_reports: int,
    n_cached: int,
    prices: tuple[float, float],
    concurrency: int,
    seconds_per_call: float | None,
) -> Plan:
    """Count what these requests, to be sent beside those already answered, would take.

    >>> asked = {"messages": [{"content": "Name the findings of: clear lungs."}], "max_tokens": 400}
    >>> print(plan_calls([asked], n_reports=3, n_cached=2, prices=(0, 0), concurrency=8, seconds_per_call=None))
    3 reports, 1 calls (2 of 3 requests answered before), about 18 tokens to read, at most 400 to write, cost unknown (no \
prices given), about 3 s
    """
    most = [most_tokens(request) for request in waiting]
    prompt, written = sum(read for read, _ in most), sum(write for _, write in most)
    return Plan(
        reports=n_reports,
        requests=n_cached + len(waiting),
        cached=n_cached,
        calls=len(waiting),
        prompt_tokens=prompt,
        completion_tokens=written,
        cost=_cost(prompt, written, prices) if any(prices) else None,
        seconds=math.ceil(len(waiting) / concurrency) * (seconds_per_call or _SECONDS_PER_CALL),
    )


def most_tokens(request: Mapping[str, object]) -> tuple[int, int]:
    """Estimate the tokens that a request reads, on the high side, and return the most it may write.

    >>> most_tokens({"messages": [{"content": "Name the findings of: clear lungs."}], "max_tokens": 400})
    (18, 400)
    """
    texts = [message["content"] for message in request["messages"]]
    read = sum(math.ceil(len(text) / _CHARACTERS_PER_TOKEN) + _MESSAGE_TOKENS for text in texts)
    return read, request["max_tokens"]


def _cost(prompt_tokens: float, completion_tokens: float, prices: tuple[float, float]) -> float:
    return (prompt_tokens * prices[0] + completion_tokens * prices[1]) / 1e6
