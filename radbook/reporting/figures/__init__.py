"""The book's figures: each function takes tables and returns a matplotlib Figure.

Figures are 7.5 inches wide, on white so that they read on a dark page too, in a palette that color-blind readers can tell
apart; sources also differ by marker.
Titles are neutral: what a figure shows is said by its caption, which comes from the run.
"""

# Each module names in `__all__` what it draws, or what a chapter needs to draw a figure of its own alike.
from radbook.reporting.figures.counts import *  # noqa: F403
from radbook.reporting.figures.curves import *  # noqa: F403
from radbook.reporting.figures.forests import *  # noqa: F403
from radbook.reporting.figures.style import *  # noqa: F403
