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
        self.spent = 0.0
        self._set_aside = 0.0

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return the cost of so many tokens; prices are per million."""
        return (prompt_tokens * self.prices[0] + completion_tokens * self.prices[1]) / 1e6

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Set aside the most that a call may cost; False where the limit does not allow it."""
        most = self.cost(prompt_tokens, completion_tokens)
        if self.limit and self.spent + self._set_aside + most > self.limit + 1e-12:
            return False
        self._set_aside += most
        return True

    def settle(self, prompt_tokens: int, completion_tokens: int, reply: Reply | None) -> None:
        """Replace what was set aside by what the reply took; a server that counts no tokens is taken at the most."""
        most = self.cost(prompt_tokens, completion_tokens)
        self._set_aside -= most
        if reply is not None:
            counted = reply.prompt_tokens or reply.completion_tokens
            self.spent += self.cost(reply.prompt_tokens, reply.completion_tokens) if counted else most


def most_tokens(request: Mapping[str, object]) -> tuple[int, int]:
    """Estimate the tokens that a request reads, on the high side, and return the most it may write.

    >>> most_tokens({"messages": [{"content": "Name the findings of: clear lungs."}], "max_tokens": 400})
    (18, 400)
    """
    lengths = [
        math.ceil(len(m["content"]) / _CHARACTERS_PER_TOKEN) + _MESSAGE_TOKENS for m in request["messages"]
    ]
    return sum(lengths), request["max_tokens"]


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
        cost = (
            "cost unknown (no prices given)"
            if self.cost is None
            else f"at most {self.cost:,.2f} (currency of the prices)"
        )
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
    prompt, written = (sum(tokens) for tokens in zip(*most, strict=True)) if most else (0, 0)
    rounds = math.ceil(len(waiting) / concurrency)
    return Plan(
        reports=n_reports,
        requests=n_cached + len(waiting),
        cached=n_cached,
        calls=len(waiting),
        prompt_tokens=prompt,
        completion_tokens=written,
        cost=Budget(0, prices=prices).cost(prompt, written) if any(prices) else None,
        seconds=rounds * (_SECONDS_PER_CALL if seconds_per_call is None else seconds_per_call),
    )
