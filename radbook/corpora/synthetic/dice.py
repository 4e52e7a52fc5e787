"""Seeded throws of named chances: how often what happens is data, in `resources/grammar/chances.yaml`."""

from collections.abc import Mapping, Sequence
from random import Random

__all__ = ["Dice"]


class Dice:
    """The throws of one patient, the same for the same seed, with the chances of a style; one that is None is never thrown.

    >>> dice = Dice("a seed", {"gone": 0.5, "headed": None, "fate": {"better": 0.4, "worse": 0.6}})
    >>> dice.happens("gone"), dice.happens("headed"), dice.name("fate"), dice.pick([1, 2, 3])
    (True, False, 'better', 3)
    """

    def __init__(self, seed: str, chances: Mapping) -> None:
        source = Random(seed)
        self.random, self._choices = source.random, source.choices
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

    def draw(self, table: tuple[Sequence[float], Sequence]) -> object:
        """Draw a value of a table: its weights, then its values."""
        weights, values = table
        return self._choices(values, weights)[0]
