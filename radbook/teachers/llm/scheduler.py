"""Many requests to one endpoint at once: each answered from the file of replies or called once, within time and cost.

Every reply is kept the moment it comes. A reply that cannot be used is asked for once more, with the reason, and only a
usable one is kept. Whatever happens, every job has an outcome.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio.from_thread import start_blocking_portal
from filelock import Timeout

from radbook.core.progress import Progress
from radbook.teachers.llm.cache import Reply, request_key
from radbook.teachers.llm.client import CallFailed, Endpoint, SchemaRefused
from radbook.teachers.llm.cost import most_tokens, price

if TYPE_CHECKING:
    from radbook.teachers.llm.teacher import ChatTeacher, Job

__all__ = ["Calls"]

_GRACE = 3.0  # seconds after the time limit until calls in flight are broken off
_LATE = "the time limit was reached; the same command goes on from here"


class Calls:
    """The calls of one `ChatTeacher.label`: `jobs` with the text that their quotes must stand in.

    `outcomes` holds the replies kept from before; every job gets one there: a reply, usable or not, or why there is none.
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
        self.spent = self.set_aside = 0.0
        self.structured = True  # until the server refuses a schema
        self.n_before, self.failed = len(outcomes), 0
        self.end = time.monotonic() + teacher.time_limit

    def run(self) -> None:
        """Give every job an outcome; `RadbookError` if the endpoint accepts nothing, with the replies until then kept."""
        # Nothing is paid twice: while another process asks this model, its replies are waited for.
        turn = self.teacher.replies.asking(self.teacher.model, timeout=self.teacher.time_limit)
        # A notebook runs an event loop of its own, so the calls have theirs in another thread; an interrupt ends it.
        with suppress(Timeout), turn, start_blocking_portal() as portal:
            portal.call(self._run)
        for job in self.jobs:
            self.outcomes.setdefault(job, _LATE)

    async def _run(self) -> None:
        self.started = time.monotonic()
        waiting = iter(self.jobs)  # shared, so that each job is taken once
        try:
            with anyio.move_on_after(self.end + _GRACE - self.started):
                async with anyio.create_task_group() as group:
                    for _ in range(self.teacher.concurrency):
                        group.start_soon(self._work, waiting)
        except ExceptionGroup as found:
            raise found.exceptions[0] from None
        finally:
            await self.endpoint.close()

    async def _work(self, waiting: Iterator["Job"]) -> None:
        for job in waiting:
            if time.monotonic() >= self.end:
                break
            self.outcomes[job] = await self._answer(job)
            self.failed += isinstance(self.outcomes[job], str)
            self._tell()

    def _tell(self) -> None:
        n_done, n_all = len(self.outcomes), len(self.jobs) + self.n_before
        left = (n_all - n_done) * (time.monotonic() - self.started) / (n_done - self.n_before)
        spent = f"{self.spent:,.2f} spent, " if any(self.teacher.prices) else ""
        self.progress(
            f"{n_done:,} of {n_all:,} requests, {self.n_before:,} answered before, {self.failed:,} failed, "
            f"{self.endpoint.retries:,} calls repeated, {spent}{math.ceil(left):,} s left"
        )

    async def _answer(self, job: "Job") -> Reply | str:
        request = self.teacher.request(*job, structured=self.structured)
        key = request_key(request)
        if kept := self.teacher.replies.get(key):
            return kept
        try:
            reply, usable = await self._ask(job, request)
        except SchemaRefused:
            self.structured = False
            return await self._answer(job)
        except CallFailed as error:
            return str(error)
        if usable:
            self.teacher.replies.put(key, self.teacher.model, reply)
        return reply

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
        _, status, note = self.teacher.read(job[0], reply, self.jobs[job])
        return note if status == "failed" else ""

    async def _call(self, request: Mapping) -> Reply:
        prices, limit = self.teacher.prices, self.teacher.max_cost
        # The most that a call may cost is set aside until it is answered, so that calls in flight count.
        most = price(most_tokens(request), prices)
        if limit and self.spent + self.set_aside + most > limit + 1e-12:
            raise CallFailed(f"max_cost {limit:,.2f} is reached")
        self.set_aside += most
        try:
            reply = await self.endpoint.complete(request)
        finally:
            self.set_aside -= most
        tokens = (reply.prompt_tokens, reply.completion_tokens)
        # A server that counts no tokens is taken at the most.
        self.spent += price(tokens, prices) if any(tokens) else most
        return reply
