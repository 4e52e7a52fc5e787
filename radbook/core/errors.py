"""The exceptions users are meant to read, the check of a name against those that are known, and its hint.

A message says what is wrong, where, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec

__all__ = ["ChapterError", "RadbookError", "choose", "did_you_mean", "need"]

_ALIKE = 0.6  # least ratio (0-1) of a name and the one that was meant, both in small letters


class RadbookError(ValueError):
    """Bad input or a run that cannot go on; commands print the message alone, without a traceback."""


class ChapterError(RadbookError):
    """A chapter stopped; the message says where, why, and which files to look at."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name nearest to `name`, as the end of a message; "" where none is near.

    >>> did_you_mean("TXT", ["text", "id"])
    '; did you mean text?'
    """
    meant = {word.lower(): word for word in known}
    near = get_close_matches(name.lower(), meant, n=1, cutoff=_ALIKE)
    return f"; did you mean {meant[near[0]]}?" if near else ""


def choose(value: str, allowed: Iterable[str], parameter: str) -> str:
    """Return `value` if it is one of `allowed`; otherwise name the parameter and suggest the nearest name.

    >>> choose("micr", ("micro", "macro"), "metric")
    Traceback (most recent call last):
    radbook.core.errors.RadbookError: metric='micr' is none of micro, macro; did you mean micro?
    """
    allowed = tuple(allowed)
    if value in allowed:
        return value
    raise RadbookError(f"{parameter}={value!r} is none of {', '.join(allowed)}{did_you_mean(str(value), allowed)}")


def need(extra: str, *modules: str) -> None:
    """Refuse to go on without the libraries of an extra of the package, which a light installation lacks.

    >>> need("train", "nowhere")
    Traceback (most recent call last):
    radbook.core.errors.RadbookError: this installation lacks nowhere: in the project folder, pip install -e '.[train]' brings it
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        brings = f"in the project folder, pip install -e '.[{extra}]' brings {'them' if len(missing) > 1 else 'it'}"
        raise RadbookError(f"this installation lacks {', '.join(missing)}: {brings}")
