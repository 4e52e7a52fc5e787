"""How a long step says where it is: one line of text now and then, which the caller prints, keeps or drops."""

from collections.abc import Callable

__all__ = ["Progress"]

Progress = Callable[[str], None]
