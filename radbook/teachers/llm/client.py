"""One OpenAI-compatible endpoint: OpenAI, Azure, vLLM, Ollama, transformers serve.

OpenAI's client repeats a call that fails for a passing reason (429, 5xx, a reset, a stall, a truncated body), after the
pause that the server asks for or a growing one; a call that cannot succeed (a wrong key, an unknown model) stops everything.
The key comes from the environment and appears in no message.
"""

import os
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import NoReturn
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient

from radbook.core.errors import RadbookError
from radbook.teachers.llm.cache import Reply
from radbook.teachers.llm.privacy import check_address, is_local

__all__ = ["CallFailed", "Endpoint", "SchemaRefused"]

_RETRIES = 7
_RETRIES_TO_REACH = 3  # without any answer ever, the server is taken for not running
_LARGEST = 4 << 20  # bytes of an answer
_LONGEST = 10  # timeouts from the first byte of an answer to its last
_FORMAT = re.compile(r"response_format|json_schema|structured output|guided|grammar", re.IGNORECASE)


class CallFailed(Exception):
    """This one request got no reply; the message says why, in a few words."""


class SchemaRefused(Exception):
    """The server does not take a JSON schema."""


class Endpoint:
    """Where requests go; an address that is none, or a missing key, is refused. `timeout` is in seconds without a byte."""

    def __init__(self, base_url: str, *, key_variable: str = "OPENAI_API_KEY", timeout: float = 60.0) -> None:
        check_address(base_url)
        parts = urlsplit(base_url)
        self._key = os.environ.get(key_variable, "").strip()
        if not self._key and not is_local(base_url):
            raise RadbookError(f"{parts.hostname} needs a key: set the environment variable {key_variable}")
        # Text that may only go to this machine must not take a detour over a proxy, nor follow a redirect elsewhere.
        http = DefaultAsyncHttpxClient(
            follow_redirects=False, trust_env=not is_local(base_url), event_hooks={"response": [self._check]},
            headers={"Accept-Encoding": "identity"},
        )
        self._client = AsyncOpenAI(
            base_url=base_url, api_key=self._key or "none", timeout=timeout, max_retries=_RETRIES, http_client=http
        )
        self.host, self.timeout = parts.hostname, timeout
        self.retries = 0
        self._limit_name = "max_tokens"
        self._reached = False

    async def close(self) -> None:
        """Break off every call in flight."""
        await self._client.close()

    async def complete(self, request: Mapping[str, object]) -> Reply:
        """Send one chat request (the fields of a chat completion) until it is answered.

        Without a reply to this one it raises `CallFailed`, where the server takes no schema `SchemaRefused`, and where no
        request to this server can succeed `RadbookError`.
        """
        client = self._client if self._reached else self._client.with_options(max_retries=_RETRIES_TO_REACH)
        # Newer models of OpenAI know the limit by another name only.
        sent = {self._limit_name if k == "max_tokens" else k: value for k, value in request.items()}
        started = time.monotonic()
        try:
            answer = await client.chat.completions.with_raw_response.create(**sent)
        except APIStatusError as error:
            message = self._message(error)
            if error.status_code == 400 and "max_tokens" in sent and "max_completion_tokens" in message:
                self._limit_name = "max_completion_tokens"
                return await self.complete(request)
            self._refuse(error.status_code, message, sent)
        except APITimeoutError:
            raise CallFailed(f"no reply: no answer within {self.timeout:.0f} s") from None
        except APIConnectionError as error:
            if not self._reached:
                raise RadbookError(f"{self.host} cannot be reached: is a server running at chat_url?") from None
            raise CallFailed(self._clean(f"no reply: no answer ({error.__cause__ or error})")) from None
        self.retries += answer.retries_taken
        return _read(answer.http_response, time.monotonic() - started)

    async def _check(self, response: httpx2.Response) -> None:
        """Read an answer while it may still be asked for again: the client repeats what fails here."""
        self._reached = True
        if response.headers.get("content-encoding", "identity") != "identity":  # a few bytes may unpack to gigabytes
            raise httpx2.RemoteProtocolError("it is packed, which nobody asked for")
        response.stream = _Bounded(response.stream, _LONGEST * self.timeout)
        await response.aread()
        if response.is_success:
            try:
                _read(response, 0.0)
            except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
                raise httpx2.RemoteProtocolError("it is no chat completion") from None

    def _refuse(self, status: int, message: str, sent: Mapping[str, object]) -> NoReturn:
        if status in (400, 404, 415, 422, 501) and "response_format" in sent and _FORMAT.search(message):
            raise SchemaRefused from None
        if status in (401, 403):
            raise RadbookError(f"{self.host} does not accept the key (status {status}): {message}") from None
        if status == 429 and "insufficient_quota" in message:
            raise RadbookError(f"{self.host} says that the quota is used up: {message}") from None
        if 300 <= status < 400:
            raise RadbookError(
                f"{self.host} sends the request on to another address (status {status}): name that one"
            ) from None
        if status in (404, 405):
            raise RadbookError(
                f"{self.host} has no such model or address (status {status}): {message}. Check chat_model and chat_url"
            ) from None
        raise CallFailed(f"no reply: status {status}: {message}") from None

    def _message(self, error: APIStatusError) -> str:
        body = error.body if isinstance(error.body, Mapping) else {}
        return self._clean(f"{body.get('code') or ''} {body.get('message') or error.response.text or error.message}")

    def _clean(self, text: str) -> str:
        text = " ".join(text.split())[:300]
        return text.replace(self._key, "***") if self._key else text


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, which may not go on for ever."""

    def __init__(self, stream: httpx2.AsyncByteStream, seconds: float) -> None:
        self._stream = stream
        self._end = time.monotonic() + seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > _LARGEST or time.monotonic() > self._end:
                raise httpx2.RemoteProtocolError(f"no end after {size:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _read(response: httpx2.Response, seconds: float) -> Reply:
    """Return the reply that a chat completion holds; it took so many seconds, repeats and pauses among them."""
    answer = response.json()
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    if choice.get("finish_reason") == "content_filter":
        raise CallFailed("no reply: the server's content filter held the reply back")
    # A refusal is a reply, too: it is read, fails, and says so.
    text = choice["message"].get("content") or choice["message"].get("refusal") or ""
    tokens = (int(usage.get(f"{kind}_tokens") or 0) for kind in ("prompt", "completion"))
    return Reply(text, *tokens, seconds, choice.get("finish_reason") != "length")
