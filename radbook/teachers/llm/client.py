"""One OpenAI-compatible endpoint, called until it answers: OpenAI, Azure, vLLM, Ollama, transformers serve.

A call that fails for a passing reason (429, 5xx, a reset, a stall, a truncated body) is repeated after a pause with
jitter, or the one that `Retry-After` asks for; one that cannot succeed (a wrong key, an unknown model) stops everything.
The key comes from the environment and appears in no message.
"""

import os
import random
import re
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from radbook.core.errors import RadbookError, need
from radbook.teachers.llm.cache import Reply
from radbook.teachers.llm.privacy import is_local

__all__ = ["CallFailed", "Endpoint", "SchemaRefused"]

_TRIES_TO_REACH = 4  # without any answer ever, the server is taken for not running
_ATTEMPTS = 8  # the pauses between them add up to half a minute or so, or more where the server asks for it
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529))
_FORMAT = re.compile(r"response_format|json_schema|structured output|guided|grammar", re.IGNORECASE)


class CallFailed(Exception):
    """This one request got no reply; the message says why, in a few words."""


class SchemaRefused(Exception):
    """The server does not take a JSON schema."""


class Endpoint:
    """Where requests go.

    Parameters
    ----------
    base_url
        Address of the API, such as "http://127.0.0.1:11434/v1".
    key_variable
        Name of the environment variable that holds the key; a server on this machine may do without.
    timeout
        Seconds without a byte after which a call counts as stalled.

    Raises
    ------
    RadbookError
        For an address that is none, or a missing key.
    """

    def __init__(self, base_url: str, *, key_variable: str = "OPENAI_API_KEY", timeout: float = 60.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RadbookError(
                f"chat_url {base_url!r} is no address of an API: write it like http://127.0.0.1:11434/v1"
            )
        self._key = os.environ.get(key_variable, "").strip()
        if not self._key and not is_local(base_url):
            raise RadbookError(f"{parts.hostname} needs a key: set the environment variable {key_variable}")
        need("llm", "openai")
        from openai import DefaultHttpxClient, OpenAI

        # Text that may only go to this machine must not take a detour over a proxy, nor follow a redirect elsewhere.
        http = DefaultHttpxClient(follow_redirects=False, trust_env=not is_local(base_url))
        self._client = OpenAI(
            base_url=base_url, api_key=self._key or "none", max_retries=0, timeout=timeout, http_client=http
        )
        self.host = parts.hostname
        self.timeout = timeout
        self.retries = 0
        self._limit_name = "max_tokens"
        self._resume = 0.0
        self._closed = self._reached = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """Break off every call in flight."""
        self._closed = True
        self._client.close()

    def complete(self, request: Mapping[str, object], *, deadline: float) -> Reply:
        """Send one chat request until it is answered.

        Parameters
        ----------
        request
            Fields of a chat completion: model, messages, temperature, max_tokens and, with a schema, response_format.
        deadline
            Value of `time.monotonic()` at which to give up.

        Raises
        ------
        CallFailed
            If there is no reply in time, or the server refuses this request.
        SchemaRefused
            If the server refuses the schema.
        RadbookError
            If no request to this server can succeed.
        """
        import openai

        why = "no time was left"
        for attempt in range(_ATTEMPTS):
            self._wait(deadline)
            started = time.monotonic()
            left = deadline - started
            if left <= 0 or self._closed:
                break
            sent = self._adapted(request)
            try:
                answer = self._client.chat.completions.create(**sent, timeout=min(self.timeout, left))
                self._reached = True
                return _reply(answer, time.monotonic() - started)
            except openai.APIStatusError as error:
                self._reached = True
                why = self._refused(error, sent)
                pause = _asked_pause(error.response.headers)
            except openai.APITimeoutError:
                why, pause = f"no answer within {min(self.timeout, left):.0f} s", 0.0
            except openai.APIConnectionError as error:
                why, pause = f"the connection failed ({type(error.__cause__ or error).__name__})", 0.0
                if not self._reached and attempt + 1 >= _TRIES_TO_REACH:
                    raise RadbookError(
                        f"{self.host} cannot be reached: is a server running at chat_url?"
                    ) from None
            except (
                openai.APIError,
                ValueError,
                TypeError,
                AttributeError,
                LookupError,
                RuntimeError,
            ) as error:
                # A body that is no chat completion (truncated, or an error page), or a client closed meanwhile.
                why, pause = f"the answer was no chat completion ({type(error).__name__})", 0.0
            if attempt + 1 < _ATTEMPTS:
                with self._lock:
                    self.retries += 1
                self._pause(attempt, pause)
        raise CallFailed(self._clean(why))

    def _adapted(self, request: Mapping[str, object]) -> dict[str, Any]:
        # Newer models of OpenAI know the limit by another name only.
        return {self._limit_name if name == "max_tokens" else name: value for name, value in request.items()}

    def _refused(self, error: Any, sent: Mapping[str, object]) -> str:
        """Return why a status may pass; raise where it will not."""
        status, said = error.status_code, self._clean(_said(error))
        if status in (400, 404, 415, 422, 501) and "response_format" in sent and _FORMAT.search(said):
            raise SchemaRefused from None
        if status == 400 and "max_completion_tokens" in said and "max_tokens" in sent:
            self._limit_name = "max_completion_tokens"
            return said
        if status in (401, 403):
            raise RadbookError(f"{self.host} does not accept the key (status {status}): {said}") from None
        if status == 429 and "insufficient_quota" in said:
            raise RadbookError(f"{self.host} says that the quota is used up: {said}") from None
        if 300 <= status < 400:
            raise RadbookError(
                f"{self.host} sends the request on to another address (status {status}): name that one"
            ) from None
        if status in (404, 405):
            raise RadbookError(
                f"{self.host} has no such model or address (status {status}): {said}. Check chat_model and chat_url"
            ) from None
        if status not in _PASSING and status < 500:
            raise CallFailed(f"status {status}: {said}") from None
        return f"status {status}: {said}"

    def _wait(self, deadline: float) -> None:
        while not self._closed:
            with self._lock:
                left = min(self._resume, deadline) - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.25))

    def _pause(self, attempt: int, asked: float) -> None:
        """Pause this call by backoff with full jitter; a pause that the server asks for holds all calls."""
        if asked:
            with self._lock:
                # Spread a little, so that held calls do not return in one burst.
                self._resume = max(self._resume, time.monotonic() + asked * random.uniform(1.0, 1.1))
            return
        time.sleep(random.uniform(0.05, min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)))

    def _clean(self, text: str) -> str:
        text = " ".join(text.split())[:300]
        return text.replace(self._key, "***") if self._key else text


def _reply(answer: Any, seconds: float) -> Reply:
    choice = answer.choices[0]
    if choice.finish_reason == "content_filter":
        raise CallFailed("the server's content filter held the reply back")
    # A refusal is a reply, too: it is read, fails, and says so.
    text = choice.message.content or getattr(choice.message, "refusal", None) or ""
    usage = answer.usage
    counts = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
    return Reply(text, *counts, seconds, choice.finish_reason != "length")


def _said(error: Any) -> str:
    body = error.body if isinstance(error.body, Mapping) else {}
    code = body.get("code") or ""
    return f"{code} {body.get('message') or error.response.text or error.message}".strip()


def _asked_pause(headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to wait for, or 0."""
    try:
        if "retry-after-ms" in headers:
            return max(float(headers["retry-after-ms"]) / 1000, 0.0)
        value = headers.get("retry-after", "")
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0) if value else 0.0
    except (ValueError, TypeError):
        return 0.0
