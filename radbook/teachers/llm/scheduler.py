"""Many requests to one endpoint at once: each answered from the file of replies or called once, within time and cost.

Every reply is kept the moment it comes. A reply that cannot be used is asked for once more, with the reason, and only a
usable one is kept. Whatever happens, every job has an outcome.
"""

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

from radbook.core.progress import Progress
from radbook.teachers.llm.cache import Reply, request_key
from radbook.teachers.llm.client import CallFailed, Endpoint, SchemaRefused
from radbook.teachers.llm.cost import Budget, most_tokens

if TYPE_CHECKING:
    from radbook.teachers.llm.teacher import ChatTeacher, Job

__all__ = ["Calls"]

_POLL = 0.2  # seconds between two looks for a reply that another process waits for
_GRACE = 3.0  # seconds after the time limit until calls in flight are broken off
_LATE = "the time limit was reached; the same command goes on from here"


class Calls:
    """The calls of one `ChatTeacher.label`.

    Parameters
    ----------
    teacher
        Who asks.
    jobs
        What to ask, and the text of the report that its quotes must stand in.
    outcomes
        Job -> the reply, usable or not, or in words why there is none. Jobs answered before stand in it from the start.
    progress
        Called with a line of text now and then.
    """

    def __init__(
        self,
        teacher: "ChatTeacher",
        jobs: Mapping["Job", str],
        outcomes: dict["Job", Reply | str],
        progress: Progress,
    ) -> None:
        self.teacher, self.jobs, self.outcomes, self.progress = teacher, jobs, outcomes, progress
        self.endpoint = Endpoint(teacher.base_url, key_variable=teacher.key_variable, timeout=teacher.timeout)
        self.budget = Budget(teacher.max_cost, prices=teacher.prices)
        self.structured = True  # until the server refuses a schema
        self.n_before, self.failed = len(outcomes), 0
        self.started = time.monotonic()

    def run(self) -> None:
        """Give every job an outcome.

        Raises
        ------
        RadbookError
            If the endpoint accepts no request at all; replies received until then are kept.
        """
        # A notebook runs an event loop of its own, so the calls have theirs in another thread; an interrupt ends it.
        with start_blocking_portal() as portal:
            portal.call(self._run)

    async def _run(self) -> None:
        waiting = iter(self.jobs)  # shared, so that each job is taken once
        limit = self.teacher.time_limit
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(self.teacher.concurrency)]
        try:
            done, _ = await asyncio.wait(
                workers,
                timeout=limit + _GRACE if math.isfinite(limit) else None,
                return_when=asyncio.FIRST_EXCEPTION,
            )
            for worker in done:
                worker.result()
        finally:
            # With calls in flight only when time is up, the endpoint accepts nothing, or the user interrupts.
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self.endpoint.close()
        for job in self.jobs:
            self.outcomes.setdefault(job, _LATE)

    async def _work(self, waiting: Iterator["Job"]) -> None:
        for job in waiting:
            if time.monotonic() - self.started >= self.teacher.time_limit:
                break
            self.outcomes[job] = await self._answer(job)
            self.failed += isinstance(self.outcomes[job], str)
            self._tell()

    def _tell(self) -> None:
        n_done, n_all = len(self.outcomes), len(self.jobs) + self.n_before
        left = (n_all - n_done) * (time.monotonic() - self.started) / (n_done - self.n_before)
        spent = f"{self.budget.spent:,.2f} spent, " if any(self.budget.prices) else ""
        self.progress(
            f"{n_done:,} of {n_all:,} requests, {self.n_before:,} answered before, {self.failed:,} failed, "
            f"{self.endpoint.retries:,} calls repeated, {spent}{math.ceil(left):,} s left"
        )

    async def _answer(self, job: "Job") -> Reply | str:
        replies = self.teacher.replies
        while True:
            request = self.teacher.request(*job, structured=self.structured)
            key = request_key(request)
            while not replies.claim(key):
                # Somebody else has sent this very request: wait for the reply instead of paying twice.
                if kept := replies.get(key):
                    return kept
                await asyncio.sleep(_POLL)
            try:
                reply, usable = await self._ask(job, request)
                if usable:
                    replies.put(key, self.teacher.model, reply)
                return reply
            except SchemaRefused:
                self.structured = False
            except CallFailed as error:
                return str(error)
            finally:
                replies.release(key)

    async def _ask(self, job: "Job", request: Mapping) -> tuple[Reply, bool]:
        """Return the reply to a request, asked for twice if need be, and whether it can be used."""
        reply = await self._call(request)
        wrong = self._complaint(job, reply)
        if wrong and reply.complete:
            again = f"This answer cannot be used: {wrong}. Answer once more, in the form asked for."
            turns = [{"role": "assistant", "content": reply.text}, {"role": "user", "content": again}]
            with suppress(CallFailed):
                reply = await self._call({**request, "messages": [*request["messages"], *turns]})
                wrong = self._complaint(job, reply)
        return reply, reply.complete and not wrong

    def _complaint(self, job: "Job", reply: Reply) -> str:
        _, status, note = self.teacher.read(job, reply, self.jobs[job])
        return note if status == "failed" else ""

    async def _call(self, request: Mapping) -> Reply:
        most = most_tokens(request)
        if not self.budget.reserve(*most):
            raise CallFailed(f"max_cost {self.budget.limit:,.2f} is reached")
        reply = None
        try:
            reply = await self.endpoint.complete(request)
        finally:
            self.budget.settle(*most, reply)
        return reply
