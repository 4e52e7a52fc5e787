"""Many requests to one endpoint at once: each answered from the file of replies or called once, within time and cost.

Requests run in threads; every reply is kept the moment it comes. A reply that cannot be used is asked for once more, with
the reason, and only a usable one is kept. Whatever happens, every job has an outcome.
"""

import math
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from radbook.teachers.llm.cache import Reply, ReplyCache, request_key
from radbook.teachers.llm.client import CallFailed, Endpoint, SchemaRefused

__all__ = ["Budget", "answer_all", "most_tokens"]

_CLAIM = 900.0  # seconds for which a process on another machine may hold a request before others take it over
_POLL = 0.2
_GRACE = 3.0  # seconds after the time limit until calls in flight are broken off
_LATE = "the time limit was reached; the same command goes on from here"
_CHARACTERS_PER_TOKEN = 3.5  # of English clinical text, on the low side, so that estimates are on the high side
_MESSAGE_TOKENS = 8  # what a chat template adds to each message

Job = TypeVar("Job", bound=Hashable)
Request = Mapping[str, object]


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
        self._lock = threading.Lock()

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return the cost of so many tokens; prices are per million."""
        return (prompt_tokens * self.prices[0] + completion_tokens * self.prices[1]) / 1e6

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Set aside the most that a call may cost; False where the limit does not allow it."""
        most = self.cost(prompt_tokens, completion_tokens)
        with self._lock:
            if self.limit and self.spent + self._set_aside + most > self.limit + 1e-12:
                return False
            self._set_aside += most
            return True

    def settle(self, prompt_tokens: int, completion_tokens: int, reply: Reply | None) -> None:
        """Replace what was set aside by what the reply took; a server that counts no tokens is taken at the most."""
        most = self.cost(prompt_tokens, completion_tokens)
        with self._lock:
            self._set_aside -= most
            if reply is not None:
                counted = reply.prompt_tokens or reply.completion_tokens
                self.spent += self.cost(reply.prompt_tokens, reply.completion_tokens) if counted else most


def most_tokens(request: Request) -> tuple[int, int]:
    """Estimate the tokens that a request reads, on the high side, and return the most it may write.

    >>> most_tokens({"messages": [{"content": "Name the findings of: clear lungs."}], "max_tokens": 400})
    (18, 400)
    """
    lengths = [
        math.ceil(len(m["content"]) / _CHARACTERS_PER_TOKEN) + _MESSAGE_TOKENS for m in request["messages"]
    ]
    return sum(lengths), request["max_tokens"]


def answer_all(
    jobs: Iterable[Job],
    *,
    request: Callable[[Job, bool], Request],
    complaint: Callable[[Job, Reply], str],
    endpoint: Callable[[], Endpoint],
    cache: ReplyCache,
    budget: Budget,
    structured: bool,
    concurrency: int,
    time_limit: float,
    n_before: int,
    progress: Callable[[str], None],
) -> dict[Job, Reply | str]:
    """Answer every job.

    Parameters
    ----------
    jobs
        What to ask; each once, and none that the cache can answer.
    request
        The fields of a job's chat request, with a JSON schema or without.
    complaint
        What is wrong with a reply; empty where it can be used.
    endpoint
        Makes the endpoint; called only if there is something to ask.
    cache
        Where replies are kept.
    budget
        What may be spent.
    structured
        Whether to ask for a JSON schema; given up for good when the server refuses it.
    concurrency
        Calls in flight.
    time_limit
        Seconds.
    n_before
        Jobs that were answered before and are not among these; they count in the progress.
    progress
        Called with a line of text now and then.

    Returns
    -------
    dict
        Job -> its reply, or why it has none.

    Raises
    ------
    RadbookError
        If the endpoint accepts no request at all; what was answered until then is kept.
    """
    jobs = list(jobs)
    if not jobs:
        progress(f"{n_before:,} requests, all answered before, 0 s left")
        return {}
    worker = _Worker(
        request=request, complaint=complaint, endpoint=endpoint(), cache=cache, budget=budget, structured=structured,
        deadline=time.monotonic() + time_limit,
    )  # fmt: skip
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="chat")
    futures = {pool.submit(worker.answer, job): job for job in jobs}
    pending, outcomes = set(futures), {}
    started, failed = time.monotonic(), 0
    try:
        while pending and time.monotonic() < worker.deadline + _GRACE:
            done, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = outcomes[futures[future]] = future.result()
                failed += isinstance(outcome, str)
            if done:
                rate = len(outcomes) / (time.monotonic() - started)
                spent = f"{budget.spent:,.2f} spent, " if any(budget.prices) else ""
                progress(
                    f"{len(outcomes) + n_before:,} of {len(futures) + n_before:,} requests, "
                    f"{n_before:,} answered before, {failed:,} failed, "
                    f"{worker.endpoint.retries:,} calls repeated, {spent}{math.ceil(len(pending) / rate):,} s left"
                )
    finally:
        # Reached with calls in flight only when time is up, the endpoint accepts nothing, or the user interrupts.
        worker.stopped = True
        if pending:
            worker.endpoint.close()
        pool.shutdown(wait=not pending, cancel_futures=True)
        worker.endpoint.close()
    for future in pending:
        outcomes[futures[future]] = _LATE
    return outcomes


@dataclass
class _Worker:
    """Answers one job in whichever thread it is called."""

    request: Callable[[Job, bool], Request]
    complaint: Callable[[Job, Reply], str]
    endpoint: Endpoint
    cache: ReplyCache
    budget: Budget
    structured: bool
    deadline: float
    stopped: bool = False

    def answer(self, job: Job) -> Reply | str:
        while True:
            asked = self.request(job, self.structured)
            key = request_key(asked)
            while not self.cache.claim(key, seconds=_CLAIM):
                # Somebody else has sent this very request: wait for the reply instead of paying twice.
                if kept := self.cache.get(key):
                    return kept
                if self.stopped or time.monotonic() > self.deadline:
                    return _LATE
                time.sleep(_POLL)
            try:
                return self._ask(job, key, asked)
            except SchemaRefused:
                self.structured = False
            except CallFailed as error:
                return _LATE if time.monotonic() >= self.deadline else f"no reply: {error}"
            finally:
                self.cache.release(key)

    def _ask(self, job: Job, key: str, asked: Request) -> Reply | str:
        reply = self._call(asked)
        why = self.complaint(job, reply) if reply else ""
        if reply and why and reply.complete:
            again = [
                *asked["messages"],
                {"role": "assistant", "content": reply.text},
                {
                    "role": "user",
                    "content": f"This answer cannot be used: {why}. Answer once more, in the form asked for.",
                },
            ]
            try:
                second = self._call({**asked, "messages": again})
            except CallFailed:
                second = None
            if second:
                reply, why = second, self.complaint(job, second)
        if reply is None:
            return _LATE if self.stopped else f"max_cost {self.budget.limit:,.2f} is reached"
        if reply.complete and not why:
            self.cache.put(key, str(asked["model"]), reply)
        return reply

    def _call(self, asked: Request) -> Reply | None:
        most = most_tokens(asked)
        if self.stopped or not self.budget.reserve(*most):
            return None
        reply = None
        try:
            reply = self.endpoint.complete(asked, deadline=self.deadline)
        finally:
            self.budget.settle(*most, reply)
        return reply
