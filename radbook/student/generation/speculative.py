"""Guess the next token of a reply from the replies written so far, so that a model can read two tokens in one pass.

Replies to many reports say the same things: names of findings, codes, brackets.
A guess costs one look into a dictionary.
It is read behind the last token written, and what the model says there counts only if the guess is what it said itself:
a wrong guess costs a little time and never changes a reply (Stern et al. 2018, arXiv 1811.03115; Leviathan et al. 2023,
arXiv 2211.17192).
"""

from collections.abc import Sequence

__all__ = ["Drafts"]

_CONTEXT = 3  # tokens a guess goes by


class Drafts:
    """Which token last followed each three tokens; at the beginning of a reply, the fewer that there are.

    Examples
    --------
    >>> drafts = Drafts()
    >>> drafts.learn([5, 6, 7, 8, 9], start=0)
    >>> drafts.guess([5, 6]), drafts.guess([1, 6, 7, 8]), drafts.guess([8])
    (7, 9, None)
    """

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], int] = {}

    def guess(self, reply: Sequence[int]) -> int | None:
        """Return the token that may come next in a reply, or none."""
        return self._next.get(tuple(reply[-_CONTEXT:]))

    def learn(self, reply: Sequence[int], *, start: int) -> None:
        """Remember what the tokens of a reply from `start` on followed."""
        for k in range(start, len(reply)):
            self._next[tuple(reply[max(0, k - _CONTEXT) : k])] = reply[k]
