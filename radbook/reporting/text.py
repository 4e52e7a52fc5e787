"""Small helpers of the chapters: numbers for the prose, and verdicts of comparisons.

`say` hands named values to the page, where a sentence picks them up with the `glue:text` role; every number in the
book's prose comes through it.
`verdict` turns an interval of a difference into words, so that a sentence stays true whichever way the numbers fall.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

__all__ = ["duration", "interval", "p_value", "plain", "progress_lines", "say", "verdict"]

UNKNOWN = "not known"
_SECONDS = 10.0  # between two lines of progress


def say(**values: object) -> None:
    """Make values available to the sentences of this page under their names; `plain` decides how they look."""
    from myst_nb import glue

    for name, value in values.items():
        glue(name, plain(value), display=False)


def plain(value: object) -> str:
    """Write a value the way the book's prose shows it.

    >>> plain(2400), plain(0.87), plain(float("nan")), plain(["a", "b", "c"])
    ('2,400', '0.870', 'not known', 'a, b and c')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        *head, last = [plain(v) for v in value] or ["none"]
        return f"{', '.join(head)} and {last}" if head else last
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:.3f}" if math.isfinite(value) else UNKNOWN


def interval(
    value: float | Mapping, low: float | None = None, high: float | None = None, *, signed: bool = False
) -> str:
    """Write a value with its 95% interval; the first argument may be a row or dict with value, low and high.

    >>> interval(0.8712, 0.85, 0.89)
    '0.871 (0.850 to 0.890)'
    >>> interval({"value": -0.02, "low": -0.05, "high": 0.01}, signed=True)
    '-0.020 (-0.050 to +0.010)'
    """
    if isinstance(value, (Mapping, pd.Series)):
        value, low, high = value["value"], value["low"], value["high"]
    if not math.isfinite(value):
        return UNKNOWN
    sign = "+" if signed else ""
    if low is None or high is None or not math.isfinite(low + high):
        return f"{value:{sign}.3f} (no interval)"
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def p_value(p: float) -> str:
    """Write a p-value; a permutation test with a few thousand exchanges cannot tell values below 0.001 apart.

    >>> p_value(0.0005), p_value(0.0312), p_value(float("nan"))
    ('< 0.001', '= 0.031', 'not known')
    """
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if math.isfinite(p) else UNKNOWN


def duration(seconds: float) -> str:
    """Write seconds in the unit a reader would use.

    >>> duration(4.24), duration(90), duration(9000)
    ('4.2 seconds', '1.5 minutes', '2.5 hours')
    """
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def verdict(
    difference: Mapping,
    *,
    above: str = "is above",
    below: str = "is below",
    tie: str = "cannot be told from",
    unknown: str = "cannot be compared with",
) -> str:
    """Say in words what the interval of a difference allows to say.

    >>> verdict({"value": 0.02, "low": 0.01, "high": 0.03})
    'is above'
    >>> verdict({"value": 0.02, "low": -0.01, "high": 0.05})
    'cannot be told from'
    """
    low, high = difference["low"], difference["high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return unknown
    if low > 0:
        return above
    return below if high < 0 else tie


def progress_lines() -> Callable[[str], None]:
    """Return a function that prints the first line it gets, then at most a new one every ten seconds, and the last of a count.

    It prints to the output of the cell that made it, also where a library has redirected standard output meanwhile.
    """
    stream, printed, last = sys.stdout, -math.inf, ""

    def show(line: str) -> None:
        nonlocal printed, last
        if line != last and (time.monotonic() - printed >= _SECONDS or line.endswith(" 0 s left")):
            printed, last = time.monotonic(), line
            print(line, file=stream, flush=True)

    return show
