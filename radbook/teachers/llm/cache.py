"""Replies that were paid for, in one SQLite file: the same request is never sent twice.

The key is a hash of the request, so the file holds replies but no prompts; they quote reports, so it is as private.
Each reply is written as it comes; a kill loses at most the calls in flight. Several processes can share the file: those
that ask the same model take turns, and the next reads what the one before has paid for.
"""

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from radbook.core.errors import RadbookError
from radbook.core.files import encodable

__all__ = ["Reply", "ReplyCache", "request_key"]

_TABLE = """
create table if not exists replies (
    key text primary key, model text not null, text text not null, prompt_tokens integer not null,
    completion_tokens integer not null, seconds real not null, created text not null
)
"""


@dataclass(frozen=True)
class Reply:
    """One reply of a language model: its text, what it took in tokens and seconds, and whether it was cut short."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    complete: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", encodable(self.text))


def request_key(request: Mapping[str, object]) -> str:
    """Return the hash of a request: model, messages, schema and every other field.

    >>> request_key({"model": "a", "messages": []}) == request_key({"messages": [], "model": "a"})
    True
    """
    text = json.dumps(request, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class ReplyCache:
    """A SQLite file of replies, shared by the processes of one machine; it and its folder are made if need be.

    >>> import tempfile
    >>> cache = ReplyCache(Path(tempfile.mkdtemp()) / "replies.sqlite")
    >>> cache.put("k", "model", Reply("[none]", 90, 4, 0.5))
    >>> cache.get("k").text, cache.get("other")
    ('[none]', None)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # One thread at a time uses it: the caller's, or that of the calls while the caller waits for them.
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._db.close)
            # Readers do not wait for writers, and a committed reply survives a kill of the process.
            self._db.execute("pragma journal_mode=wal")
            self._db.execute(_TABLE)
            self.path.chmod(0o600)
        except (sqlite3.DatabaseError, OSError) as error:
            raise RadbookError(
                f"{self.path} is no file of replies ({error}): move it away or name another"
            ) from None

    def get(self, key: str) -> Reply | None:
        """Return the reply to a request, or None."""
        found = "select text, prompt_tokens, completion_tokens, seconds from replies where key=?"
        row = self._db.execute(found, (key,)).fetchone()
        return Reply(*row) if row else None

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Keep a reply; only usable ones are kept."""
        self._db.execute(
            "insert or ignore into replies values (?, ?, ?, ?, ?, ?, datetime('now'))",
            (key, model, reply.text, reply.prompt_tokens, reply.completion_tokens, reply.seconds),
        )

    def asking(self, model: str, *, timeout: float) -> FileLock:
        """Return the lock that a process holds while it asks a model; the system frees it when the process dies."""
        name = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return FileLock(f"{self.path}.{name}.lock", timeout=timeout, poll_interval=0.2)

    def usual_seconds(self, model: str) -> float | None:
        """Return the mean seconds of this model's newest replies; None without any."""
        newest = "select seconds from replies where model=? order by created desc limit 500"
        return self._db.execute(f"select avg(seconds) from ({newest})", (model,)).fetchone()[0]
