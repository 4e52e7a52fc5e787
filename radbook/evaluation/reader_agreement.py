"""How good can a labeler be told to be: the agreement of two readers, and each source's distance to it.

Where two people read the same reports, neither is the truth.
A source that agrees with one of them as well as the other does cannot be shown to be worse than a reader; above that height
a score measures one reader's habits.
"""

from collections.abc import Iterable, Sequence
from math import nan

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.evaluation.comparison import rows_of
from radbook.evaluation.paired import paired_difference
from radbook.evaluation.scores import score

__all__ = ["ceiling"]

_DISTANCE = ("distance", "distance_low", "distance_high", "p")


def ceiling(
    readers: Sequence[pd.DataFrame],
    sources: Iterable[pd.DataFrame],
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Score two readers against each other and every source against both, with its distance to the readers' agreement.

    Parameters
    ----------
    readers
        The `labels` tables of two readers.
    sources
        `labels` tables of one source each.
    task, policy, reports, n_bootstrap, seed
        As in `score`.

    Returns
    -------
    Micro-F1, one row per source and reader, the readers' own agreement first: source, reference, value, low, high,
    distance (the source's agreement with that reader minus the other reader's), distance_low, distance_high and p (of
    `paired_difference`), n_reports and n_patients.
    The readers' row has no distance.

    Notes
    -----
    In the choice task the readers agree to the same degree in both directions, because what one misses the other invents.
    In the open task each direction has its own vocabulary, that of the reference, and so its own height.

    Examples
    --------
    >>> from radbook.core.findings import label_row, finding
    >>> def table(source, n):
    ...     rows = [label_row(str(i), source, "choice", [finding("Edema")] * (i < n)) for i in range(20)]
    ...     return pd.DataFrame(rows)
    >>> found = ceiling([table("reader 1", 10), table("reader 2", 9)], [table("rules", 6)], task="choice")
    >>> found[["source", "reference", "value", "distance"]].round(2).values.tolist()
    [['reader 2', 'reader 1', 0.95, nan], ['rules', 'reader 1', 0.75, -0.2], ['rules', 'reader 2', 0.8, -0.15]]
    """
    if len(readers) != 2:
        raise RadbookError(f"a ceiling takes two readers, not {len(readers)}")
    options = {"task": task, "policy": policy, "reports": reports}
    draws = {"n_bootstrap": n_bootstrap, "seed": seed}
    names = [rows_of(reader, task, "a reader's labels")["source"].iloc[0] for reader in readers]
    if names[0] == names[1]:
        raise RadbookError(f"both readers are called {names[0]!r}: rename the source of one")
    one, two = readers
    rows = [_micro(score(one, two, **options, **draws)) | dict.fromkeys(_DISTANCE, nan)]
    for source in sources:
        for reader, other in ((one, two), (two, one)):
            found = paired_difference(reader, source, other, **options, **draws)
            away = dict(zip(_DISTANCE, (found[name] for name in ("value", "low", "high", "p")), strict=True))
            rows.append(_micro(score(reader, source, **options, **draws)) | away)
    columns = ["source", "reference", "value", "low", "high", *_DISTANCE, "n_reports", "n_patients"]
    return pd.DataFrame(rows)[columns]


def _micro(scores: pd.DataFrame) -> dict[str, object]:
    row = scores[(scores["label"] == "micro") & (scores["metric"] == "f1")].iloc[0]
    return row[["source", "reference", "value", "low", "high", "n_reports", "n_patients"]].to_dict()
