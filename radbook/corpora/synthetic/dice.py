"""Seeded throws of named chances: how often what happens is data, in `resources/grammar/chances.yaml`."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from random import Random

__all__ = ["Dice", "weighted"]

Table = list[tuple[float, object]]


def weighted(pairs: Iterable[tuple[float, object]]) -> Table:
    """Return (weight, value) pairs with their weights added up, as `Dice.draw` takes them.

    >>> weighted([(2, "a"), (1, "b")])
    [(2, 'a'), (3, 'b')]
    """
    weights, values = zip(*pairs, strict=True)
    return list(zip(accumulate(weights), values, strict=True))


class Dice:
    """The throws of one patient.

    Parameters
    ----------
    seed
        Any text; the same seed gives the same throws.
    chances
        The chances of one hospital style by name; one that is None is never thrown.

    Examples
    --------
    >>> dice = Dice("a seed", {"gone": 0.5, "headed": None, "fate": {"better": 0.4, "worse": 0.6}})
    >>> dice.happens("gone"), dice.happens("headed"), dice.name("fate"), dice.pick([1, 2, 3])
    (True, False, 'better', 3)
    """

    def __init__(self, seed: str, chances: Mapping) -> None:
        self.random = Random(seed).random
        self.chances = chances

    def happens(self, chance: str, times: float = 1.0) -> bool:
        """Say whether something with a chance happens; `times` makes it likelier or rarer."""
        share = self.chances[chance]
        return share is not None and self.random() < share * times

    def count(self, chances: str) -> int:
        """Count how many of a list of chances happen."""
        return sum(self.random() < share for share in self.chances[chances])

    def name(self, chances: str) -> str:
        """Draw one of the names of a mapping of chances, "" for the rest."""
        thrown, reached = self.random(), 0.0
        for name, share in self.chances[chances].items():
            reached += share
            if thrown < reached:
                return name
        return ""

    def share(self, size: str) -> float:
        """Draw a number of a range of `sizes`."""
        least, span = self.chances["sizes"][size]
        return least + span * self.random()

    def number(self, size: str) -> int:
        """Draw a whole number of a range of `sizes`."""
        least, span = self.chances["sizes"][size]
        return least + int(self.random() * span)

    def pick(self, options: Sequence) -> object:
        """Draw one of some options, each as likely as the others."""
        return options[int(self.random() * len(options))]

    def draw(self, table: Table) -> object:
        """Draw a value of a `weighted` table."""
        thrown = self.random() * table[-1][0]
        return table[bisect_right(table, thrown, hi=len(table) - 1, key=itemgetter(0))][1]
