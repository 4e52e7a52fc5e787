"""A language model as teacher: any chat endpoint that speaks OpenAI's protocol, with quotes for every finding.

Nothing is sent before `ChatTeacher.plan` has counted what it would be, and nothing is sent twice: replies live in a
file that later runs read (`radbook.teachers.llm.cache`).
Every row comes out: a request that got no usable reply has status "failed" and a note that says why.
"""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.progress import Progress
from radbook.core.schema import PREDICTIONS, check, check_reports
from radbook.corpora.sections import report_body
from radbook.tasks import STYLES, TASKS, task_of
from radbook.teachers.llm.cache import Reply, ReplyCache, request_key
from radbook.teachers.llm.cost import Plan, most_tokens, price
from radbook.teachers.llm.privacy import check_destination
from radbook.teachers.llm.prompts import build_messages, read_reply, response_schema

__all__ = ["ChatTeacher"]

_LEAST = {"concurrency": 1, "max_new_tokens": 1, "max_reports": 0, "max_cost": 0, "price_prompt": 0, "price_completion": 0}
_SECONDS_PER_CALL = 3.0  # until this model has answered something

Job = tuple[str, str]  # one request: task, and body of the reports that share it


@dataclass
class ChatTeacher:
    """Label findings with a language model behind an OpenAI-compatible endpoint.

    Parameters
    ----------
    model
        The model's name at the endpoint.
    base_url
        Address of the API; there is no default, so text goes only where somebody wrote it should.
    cache
        The SQLite file of replies, as private as the reports.
    key_variable
        Environment variable that holds the key; a server on this machine may do without.
    style
        "full" sends instruction, worked examples and report, and asks for JSON where the server can;
        "short" sends the bare prompt of a student that was tuned on it and is now served.
    seed
        Seed of the draw of three worked examples per report; they are invented, so none is of the test split.
    max_new_tokens
        Limit of a reply, in tokens.
    concurrency
        Calls in flight.
    max_reports
        Refuse to label more reports than this; 0 sets no limit.
    max_cost
        Refuse a plan that could cost more, and stop when it is reached; in the currency of the prices; 0 sets no limit.
    price_prompt, price_completion
        Price per million tokens.
    time_limit
        Seconds for one call of `label`; what has no reply by then fails, and the next call goes on from there.
    timeout
        Seconds without a byte after which a call counts as stalled.
    allow_remote, agreement
        Whether reports that are not open may go to another machine, and what permits it, in words.

    Notes
    -----
    The temperature is 0.
    A reply that cannot be read, or that quotes what the report does not say, is asked for once more with the reason;
    failures are not kept, so that the next run asks again.

    Examples
    --------
    >>> import tempfile
    >>> cache = Path(tempfile.mkdtemp()) / "chat.sqlite"
    >>> teacher = ChatTeacher("llama3.1", base_url="http://127.0.0.1:11434/v1", cache=cache, price_prompt=1, price_completion=2)
    >>> reports = pd.DataFrame({"report_id": ["1", "2"], "text": ["Clear lungs."] * 2, "corpus": "table"})
    >>> plan = teacher.plan(reports, tasks=("choice",))
    >>> plan.reports, plan.calls, plan.completion_tokens
    (2, 1, 400)
    """

    model: str
    _: KW_ONLY
    base_url: str
    cache: str | Path
    key_variable: str = "OPENAI_API_KEY"
    style: str = "full"
    seed: int = 0
    max_new_tokens: int = 400
    concurrency: int = 8
    max_reports: int = 0
    max_cost: float = 0.0
    price_prompt: float = 0.0
    price_completion: float = 0.0
    time_limit: float = math.inf
    timeout: float = 60.0
    allow_remote: bool = False
    agreement: str = ""

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise RadbookError("chat_model is empty: name the model that the endpoint serves")
        choose(self.style, STYLES, "style")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise RadbookError(f"{name} is {getattr(self, name)}: give {least} or more")
        for name in ("time_limit", "timeout"):
            if not getattr(self, name) > 0:
                raise RadbookError(f"{name} is {getattr(self, name)}: give a number of seconds above 0")
        if self.max_cost and not any(self.prices):
            raise RadbookError("max_cost needs prices: give price_prompt and price_completion, per million tokens")
        # A model served from a folder is called by the folder's name: paths of a machine are nobody's business.
        model = Path(self.model)
        self.source = f"chat:{model.name if model.is_absolute() else self.model}"
        self.replies = ReplyCache(self.cache)

    @property
    def prices(self) -> tuple[float, float]:
        return self.price_prompt, self.price_completion

    def request(self, task: str, body: str, *, structured: bool = True) -> dict[str, object]:
        """Return the request that asks for one report: what would be sent, field by field."""
        asked, structured = task_of(task), structured and self.style == "full"
        messages = build_messages(asked, body, style=self.style, structured=structured, seed=self.seed)
        fields = {"model": self.model, "messages": messages, "temperature": 0.0, "max_tokens": self.max_new_tokens}
        return {**fields, "response_format": response_schema(asked)} if structured else fields

    def read(self, task: str, reply: Reply, text: str) -> tuple[list[dict], str, str]:
        """Return findings, status and note of a reply about a report."""
        findings, status, note = read_reply(task_of(task), reply.text, text, quoted=self.style == "full")
        if not reply.complete:
            note = f"{note}; cut at {self.max_new_tokens} tokens: raise max_new_tokens".lstrip("; ")
            status = "failed" if status == "failed" else "repaired"
        return findings, status, note

    def plan(self, reports: pd.DataFrame, *, tasks: Sequence[str] = tuple(TASKS)) -> Plan:
        """Count what labeling these reports would take; calls nothing, needs no key."""
        check_reports(reports)
        return self._plan(reports, list(map(report_body, reports["text"])), tasks)[0]

    def label(
        self, reports: pd.DataFrame, *, tasks: Sequence[str] = tuple(TASKS), progress: Progress | None = None
    ) -> pd.DataFrame:
        """Label every report for every task.

        Returns
        -------
        pandas.DataFrame
            A `labels` table with the column `reply` (the raw text), one row per report and task, none left out.

        Raises
        ------
        RadbookError
            Before any call, if the table of reports is broken, the reports must stay here, or the plan is beyond a limit;
            later, if the endpoint accepts no request at all. What was answered until then is kept.
        """
        check_reports(reports)
        corpora = reports.get("corpus", ["unknown"])
        check_destination(corpora, self.base_url, allow_remote=self.allow_remote, agreement=self.agreement)
        progress = progress or (lambda line: None)
        bodies = list(map(report_body, reports["text"]))
        plan, outcomes, waiting = self._plan(reports, bodies, tasks)
        progress(str(plan))
        self._check_limits(plan)
        if waiting:
            # Only who asks waits for OpenAI's client to load.
            from radbook.teachers.llm.scheduler import Calls

            Calls(self, waiting, outcomes, progress).run()
        else:
            progress(f"{plan.cached:,} of {plan.cached:,} requests, all answered before, 0 s left")
        rows = []
        for task in tasks:
            for report_id, text, body in zip(reports["report_id"], reports["text"], bodies, strict=True):
                outcome = outcomes[task, body] if body else "empty report"
                reply = outcome if isinstance(outcome, Reply) else Reply("")
                answer = self.read(task, reply, text) if reply is outcome else ([], "failed", outcome)
                rows.append(dict(zip(PREDICTIONS.columns, (report_id, self.source, task, *answer, reply.text), strict=True)))
        return check(pd.DataFrame(rows, columns=list(PREDICTIONS.columns)), PREDICTIONS)

    def _check_limits(self, plan: Plan) -> None:
        if self.max_reports and plan.reports > self.max_reports:
            raise RadbookError(
                f"{plan.reports:,} reports are more than max_reports {self.max_reports:,}: nothing was sent"
            )
        if self.max_cost and plan.cost > self.max_cost:
            raise RadbookError(
                f"this could cost {plan.cost:,.2f}, more than max_cost {self.max_cost:,.2f}: nothing was sent. "
                "Label fewer reports, lower max_new_tokens, or raise max_cost"
            )

    def _plan(
        self, reports: pd.DataFrame, bodies: Sequence[str], tasks: Sequence[str]
    ) -> tuple[Plan, dict[Job, Reply | str], dict[Job, str]]:
        """Return the plan, the replies kept, and the jobs that wait, each with the text of its report."""
        # Reports with the same words make the same request, which is sent once.
        text_of = {body: text for body, text in zip(bodies, reports["text"], strict=True) if body}
        waiting = {(task_of(task).name, body): text for task in tasks for body, text in text_of.items()}
        kept: dict[Job, Reply | str] = {}
        # In whichever form they were once asked for.
        for structured in (False, True) if self.style == "full" else (False,):
            for job in waiting:
                if reply := self.replies.get(request_key(self.request(*job, structured=structured))):
                    kept[job] = reply
        waiting = {job: text for job, text in waiting.items() if job not in kept}
        tokens = [most_tokens(self.request(*job)) for job in waiting]
        most = sum(read for read, _ in tokens), sum(written for _, written in tokens)
        cost = price(most, self.prices) if any(self.prices) else None
        seconds = self.replies.usual_seconds(self.model) or _SECONDS_PER_CALL
        rounds = math.ceil(len(waiting) / self.concurrency)
        return Plan(len(reports), len(kept), len(waiting), *most, cost, rounds * seconds), kept, waiting
