"""Many requests to one endpoint at once: each answered from the file of replies or called once, within time and cost.

Every reply is kept the moment it comes. A reply that cannot be used is asked for once more, with the reason, and only a
usable one is kept. Whatever happens, every job has an outcome.
"""

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from anyio.from_thread import start_blocking_portal

from radbook.core.progress import Progress
from radbook.teachers.llm.cache import Reply, ReplyCache, request_key
from radbook.teachers.llm.client import CallFailed, Endpoint, SchemaRefused
from radbook.teachers.llm.cost import Budget, most_tokens

__all__ = ["Calls"]

_POLL = 0.2  # seconds between two looks for a reply that another process waits for
_GRACE = 3.0  # seconds after the time limit until calls in flight are broken off
_LATE = "the time limit was reached; the same command goes on from here"

Job = TypeVar("Job", bound=Hashable)
Request = Mapping[str, object]


@dataclass
class Calls(Generic[Job]):
    """What it takes to answer jobs, and the outcomes so far.

    Attributes
    ----------
    request
        The fields of a job's chat request, with a JSON schema or without.
    complaint
        What is wrong with a reply; empty where it can be used.
    endpoint, cache, budget
        Where requests go, where replies are kept, what may be spent.
    structured
        Whether to ask for a JSON schema; given up for good when the server refuses it.
    concurrency
        Calls in flight.
    time_limit
        Seconds.
    progress
        Called with a line of text now and then.
    outcomes
        Job -> the reply, usable or not, or in words why there is none; jobs answered before stand in it from the start.
    """

    request: Callable[[Job, bool], Request]
    complaint: Callable[[Job, Reply], str]
    endpoint: Endpoint
    cache: ReplyCache
    budget: Budget
    structured: bool
    concurrency: int
    time_limit: float
    progress: Progress
    outcomes: dict[Job, Reply | str] = field(default_factory=dict)

    def answer_all(self, jobs: Sequence[Job]) -> None:
        """Give every job an outcome; each stands in `jobs` once.

        Raises
        ------
        RadbookError
            If the endpoint accepts no request at all; replies received until then are kept.
        """
        # A notebook runs an event loop of its own, so the calls have theirs in another thread; an interrupt ends it.
        with start_blocking_portal() as portal:
            portal.call(self._answer_all, jobs)

    async def _answer_all(self, jobs: Sequence[Job]) -> None:
        started, n_before, failed = time.monotonic(), len(self.outcomes), 0
        waiting = iter(jobs)

        async def work() -> None:
            nonlocal failed
            for job in waiting:  # shared with the others, so that each job is taken once
                if time.monotonic() >= started + self.time_limit:
                    self.outcomes[job] = _LATE
                    continue
                outcome = self.outcomes[job] = await self._answer(job)
                failed += isinstance(outcome, str)
                n_done, n_all = len(self.outcomes), len(jobs) + n_before
                left = (n_all - n_done) * (time.monotonic() - started) / (n_done - n_before)
                spent = f"{self.budget.spent:,.2f} spent, " if any(self.budget.prices) else ""
                self.progress(
                    f"{n_done:,} of {n_all:,} requests, {n_before:,} answered before, {failed:,} failed, "
                    f"{self.endpoint.retries:,} calls repeated, {spent}{math.ceil(left):,} s left"
                )

        workers = [asyncio.create_task(work()) for _ in range(min(self.concurrency, len(jobs)))]
        limit = self.time_limit + _GRACE if math.isfinite(self.time_limit) else None
        try:
            done, _ = await asyncio.wait(workers, timeout=limit, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            # With calls in flight only when time is up, the endpoint accepts nothing, or the user interrupts.
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self.endpoint.close()
        for job in jobs:
            self.outcomes.setdefault(job, _LATE)

    async def _answer(self, job: Job) -> Reply | str:
        while True:
            request = self.request(job, self.structured)
            key = request_key(request)
            while not self.cache.claim(key):
                # Somebody else has sent this very request: wait for the reply instead of paying twice.
                if kept := self.cache.get(key):
                    return kept
                await asyncio.sleep(_POLL)
            try:
                return await self._ask(job, key, request)
            except SchemaRefused:
                self.structured = False
            except CallFailed as error:
                return f"no reply: {error}"
            finally:
                self.cache.release(key)

    async def _ask(self, job: Job, key: str, request: Request) -> Reply | str:
        reply = await self._call(request)
        if reply is None:
            return f"max_cost {self.budget.limit:,.2f} is reached"
        wrong = self.complaint(job, reply)
        if wrong and reply.complete:
            again = f"This answer cannot be used: {wrong}. Answer once more, in the form asked for."
            turns = [{"role": "assistant", "content": reply.text}, {"role": "user", "content": again}]
            with suppress(CallFailed):
                if second := await self._call({**request, "messages": [*request["messages"], *turns]}):
                    reply, wrong = second, self.complaint(job, second)
        if reply.complete and not wrong:
            self.cache.put(key, str(request["model"]), reply)
        return reply

    async def _call(self, request: Request) -> Reply | None:
        """Send a request; None where the budget does not allow it."""
        most = most_tokens(request)
        if not self.budget.reserve(*most):
            return None
        reply = None
        try:
            reply = await self.endpoint.complete(request)
        finally:
            self.budget.settle(*most, reply)
        return reply
