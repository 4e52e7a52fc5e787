"""Comparisons within a seed: student and teacher on the same reports, and two settings on the same cohort and split."""

import pandas as pd

from radbook.pipeline.sweep.curves import seeds_text

__all__ = ["ahead", "gains", "over_seeds", "teachers_passed"]


def ahead(part: pd.DataFrame, by: str, *, task: str) -> pd.DataFrame:
    """Say for each value of a parameter in how many seeds the student is above its teacher, and how surely.

    Returns
    -------
    Indexed by the parameter: mean, lowest and highest paired `difference` over the seeds, `seeds`, `above` (seeds with a
    difference above 0) and `surely` (seeds whose 95% interval lies above 0).

    Examples
    --------
    >>> rows = pd.DataFrame({"task": "open", "source": "student", "seed": [1, 2], "rank": 4, "difference": [0.5, 0.25]})
    >>> ahead(rows.assign(difference_low=[0.1, -0.1]), "rank", task="open").loc[4].tolist()
    [0.375, 0.25, 0.5, 2.0, 2.0, 1.0]
    """
    rows = part[(part["task"] == task) & (part["source"] == "student")].dropna(subset=["difference"])
    rows = rows.assign(above=rows["difference"] > 0, surely=rows["difference_low"] > 0)
    return rows.groupby(by, dropna=False).agg(
        difference=("difference", "mean"), low=("difference", "min"), high=("difference", "max"),
        seeds=("seed", "nunique"), above=("above", "sum"), surely=("surely", "sum"),
    )  # fmt: skip


def teachers_passed(found: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the teachers that a student surely passes in every seed, and those that it passes in none.

    A perfect teacher, of 1.0, is in neither list: it cannot be passed.

    Parameters
    ----------
    found
        A table of `ahead`, indexed by the quality of the teacher.

    Examples
    --------
    >>> found = pd.DataFrame({"seeds": 2, "above": [2, 1, 0, 0], "surely": [2, 0, 0, 0]}, index=[0.5, 0.8, 0.93, 1.0])
    >>> teachers_passed(found)
    (['0.5'], ['0.93'])
    """
    sure = found.index[found["surely"] == found["seeds"]]
    lost = found.index[(found["above"] == 0) & (found.index < 1)]
    return [f"{quality:g}" for quality in sure], [f"{quality:g}" for quality in lost]


def gains(part: pd.DataFrame, by: str, *, task: str, first: object, last: object) -> pd.Series:
    """Return by how much the student's F1 changes from one value of a parameter to another, for each seed that has both.

    >>> rows = pd.DataFrame({"task": "open", "source": "student", "seed": [1, 1, 2], "rank": [4, 8, 4], "f1": [0.5, 0.75, 0.5]})
    >>> gains(rows, "rank", task="open", first=4, last=8).to_dict()
    {1: 0.25}
    """
    if part.empty:  # of a curve that nobody published, without its parameter
        return pd.Series(dtype=float)
    rows = part[(part["task"] == task) & (part["source"] == "student")]
    before, after = (rows[rows[by] == value].groupby("seed")["f1"].mean() for value in (first, last))
    return (after - before).dropna()


def over_seeds(differences: pd.Series) -> str:
    """Write the mean of differences within seeds, with the lowest and the highest and how many there are.

    >>> over_seeds(pd.Series([0.25, -0.125, 0.25])), over_seeds(pd.Series([0.25])), over_seeds(pd.Series(dtype=float))
    ('+0.125 (-0.125 to +0.250, 3 seeds)', '+0.250 (1 seed)', 'not known')
    """
    if differences.empty:
        return "not known"
    d = differences
    return seeds_text(d.mean(), d.min(), d.max(), len(d), signed=True)
