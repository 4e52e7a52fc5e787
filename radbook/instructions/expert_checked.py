"""Which training reports somebody has checked, and the labels that then come from people instead of the teacher.

Draws go by a hash of each key: more reports contain the fewer, and the order of the input does not matter.
"""

import hashlib

import pandas as pd

from radbook.core.errors import RadbookError

__all__ = ["draw_checked", "place", "with_checked"]


def draw_checked(train: pd.DataFrame, curated: pd.DataFrame | None, wanted: int, seed: int) -> set[str]:
    """Draw the training reports whose labels were checked; more of them contain fewer.

    >>> train = pd.DataFrame({"report_id": ["1", "2", "3"]})
    >>> draw_checked(train, pd.DataFrame({"report_id": ["2", "3"], "status": ["ok", "failed"]}), 1, 0)
    {'2'}
    """
    if wanted < 0:
        raise RadbookError(f"n_checked is {wanted}: give the number of checked training reports, or 0")
    if not wanted:
        return set()
    usable = set() if curated is None else set(curated.loc[curated["status"] != "failed", "report_id"])
    known = [i for i in train["report_id"] if i in usable]
    if wanted > len(known):
        raise RadbookError(
            f"n_checked asks for {wanted} checked training reports, but {len(known)} have a curated label: "
            + ("lower it" if known else "set it to 0, this corpus has none")
        )
    return set(sorted(known, key=lambda i: place("checked", i, seed))[:wanted])


def with_checked(
    labels: pd.DataFrame, curated: pd.DataFrame | None, checked: set[str], task: str
) -> tuple[pd.DataFrame, set[str]]:
    """Return the labels with those of the checked reports from people, and the reports of which that is so.

    >>> rows = {"report_id": ["1", "2"], "task": "choice", "status": "ok"}
    >>> rules, people = pd.DataFrame({**rows, "source": "rules"}), pd.DataFrame({**rows, "source": "curated"})
    >>> labels, sure = with_checked(rules, people, {"2"}, "choice")
    >>> labels["source"].tolist(), sure
    (['rules', 'curated'], {'2'})
    """
    if not checked:
        return labels, set()
    own = curated[(curated["task"] == task) & (curated["status"] != "failed")]
    own = own[own["report_id"].isin(checked)]
    sure = set(own["report_id"])
    return pd.concat([labels[~labels["report_id"].isin(sure)], own], ignore_index=True), sure


def place(task: str, report_id: str, seed: int) -> bytes:
    """Return what a row is sorted by where rows are drawn or mixed.

    >>> place("open", "1", 0) == place("open", "1", 0), place("open", "1", 0) == place("open", "1", 1)
    (True, False)
    """
    key = f"{seed}\n{task}\n{report_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key, digest_size=8).digest()
