"""May these reports leave this machine? Asked before a language model is called, answered without calling anything.

Open corpora may go to any endpoint the user names. Private and credentialed text stays on this machine unless the user
wrote `allow_remote` and named the agreement under which it may leave.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from radbook.core.errors import RadbookError
from radbook.corpora import SHARING

__all__ = ["check_address", "check_destination", "is_local"]


def is_local(base_url: str) -> bool:
    """Say whether an endpoint is on this machine: localhost or a loopback address. No name is looked up.

    >>> is_local("http://127.0.0.1:8000/v1"), is_local("https://api.openai.com/v1"), is_local("http://10.0.0.5:8000/v1")
    (True, False, False)
    """
    host = urlsplit(base_url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(base_url: str) -> None:
    """Refuse an address that is none, or that holds what must not be written down; the message does not repeat it."""
    try:
        parts = urlsplit(base_url)
        found = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        found = False
    if not found:
        raise RadbookError("chat_url is no address of an API: write it like http://127.0.0.1:11434/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise RadbookError(
            "chat_url holds a user, a password or a query, which may be secret and would be written into the run: leave them "
            "out, and put the key into the environment variable that chat_key_variable names"
        )


def check_destination(
    corpora: Iterable[str], base_url: str, *, allow_remote: bool = False, agreement: str = ""
) -> None:
    """Refuse to send reports that must stay on this machine, and say what to write if they may leave it.

    `corpora` are those of the reports; one that `SHARING` does not have counts as private. `agreement` names, in words, the
    agreement, permit or decision under which the user says by `allow_remote` that the text may leave.

    >>> check_destination(["synthetic"], "https://api.openai.com/v1")
    >>> check_destination(["table"], "http://localhost:11434/v1")
    >>> check_destination(["table"], "https://api.openai.com/v1", allow_remote=True)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: reports of corpus table are private and api.openai.com is not ...
    """
    if is_local(base_url):
        return
    kept = sorted({name for name in corpora if SHARING.get(name) != "open"})
    if not kept or (allow_remote and agreement.strip()):
        return
    kind, host = SHARING.get(kept[0], "private"), urlsplit(base_url).hostname or base_url
    raise RadbookError(
        f"reports of corpus {', '.join(kept)} are {kind} and {host} is not this machine: "
        "nothing was sent. If they may leave it, write allow_remote true and name what permits it, for example "
        'agreement "data use agreement 123 with Example Cloud". A server on this machine (vLLM, Ollama, '
        "transformers serve) needs neither"
    )
