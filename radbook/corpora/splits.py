"""Assign patients to train, dev and test.

A patient is never in two of them, and nobody moves when rows are added.
"""

import hashlib
from collections.abc import Iterable

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.schema import SPLITS

__all__ = ["assign_splits", "check_splits"]


def assign_splits(
    patient_ids: Iterable[object], *, seed: int, test_fraction: float = 0.2, dev_fraction: float = 0.1
) -> pd.Series:
    """Give each patient a split by a salted hash of the patient id.

    The hash depends on the seed and the id alone, so a patient stays in place when other rows come or go.
    The price is that the shares are met only on average: they come close with a few hundred patients.

    Parameters
    ----------
    patient_ids
        One id per report; a Series keeps its index.
    seed
        The salt; another seed gives another split.
    test_fraction, dev_fraction
        Expected shares of the patients; the rest is "train".

    Returns
    -------
    pandas.Series
        "train", "dev" or "test" for each entry.

    Examples
    --------
    >>> assign_splits(["p1", "p2", "p3", "p1"], seed=6, test_fraction=0.4).tolist()
    ['test', 'train', 'train', 'test']
    """
    for name, value in (("test_fraction", test_fraction), ("dev_fraction", dev_fraction)):
        if not 0 <= value < 1:
            raise RadbookError(f"{name} is {value}: give a share from 0 to below 1")
    if test_fraction + dev_fraction >= 1:
        raise RadbookError(
            f"test_fraction {test_fraction} and dev_fraction {dev_fraction} leave nothing to train on: "
            "their sum must stay below 1"
        )
    ids = patient_ids if isinstance(patient_ids, pd.Series) else pd.Series(list(patient_ids), dtype=object)

    def split_of(patient: object) -> str:
        key = f"{seed}\n{patient}".encode("utf-8", "surrogatepass")
        share = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") / 2**64
        return "test" if share < test_fraction else "dev" if share < test_fraction + dev_fraction else "train"

    return ids.map({patient: split_of(patient) for patient in ids.unique()}).astype(object).rename("split")


def check_splits(reports: pd.DataFrame) -> None:
    """Refuse a corpus that leaves a split without any report, as a handful of patients may.

    >>> check_splits(pd.DataFrame({"split": ["train", "test"], "patient_id": ["a", "b"]}))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: no report fell into split dev: 2 patients are too few for its share. Use more reports, ...
    """
    for split in SPLITS:
        if not (reports["split"] == split).any():
            raise RadbookError(
                f"no report fell into split {split}: {reports['patient_id'].nunique():,} patients are too few for its "
                "share. Use more reports, another seed, or other values of test_fraction and dev_fraction"
            )
