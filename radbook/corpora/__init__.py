"""Corpora: reports and their curated labels, whatever they come from, as the same two tables."""

from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError, choose, did_you_mean
from radbook.core.schema import LABELS, REPORTS, check
from radbook.corpora.openi import packaged_archive, published_test_ids, read_openi
from radbook.corpora.splits import assign_splits
from radbook.corpora.synthetic import generate_reports
from radbook.corpora.table import read_table_corpus

__all__ = ["SHARING", "load_corpus"]

SHARING = {"synthetic": "open", "openi": "open", "table": "private"}
"""The sharing class of each corpus: "open" text may be shown, "private" text never leaves the machine."""

_MOST = 10_000_000  # reports

_OPTIONS = {
    "synthetic": ["style"],
    "openi": [],
    "table": [f"{use}_column" for use in ("text", "id", "patient", "findings", "impression", "label")],
}


def load_corpus(
    name: str,
    *,
    path: str | Path | None = None,
    seed: int = 0,
    n_reports: int | None = None,
    test_fraction: float = 0.2,
    dev_fraction: float = 0.1,
    **options,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Load a corpus as reports and curated labels.

    Parameters
    ----------
    name
        "synthetic" (the built-in generator), "openi" (the NLM's Indiana University reports) or "table" (any CSV,
        Parquet or Excel file).
    path
        The file or folder to read; not for "synthetic", and for "openi" only where it is not the archive that the installed
        package torchxrayvision carries.
    seed
        Seed of the generator, of the split and of the choice of `n_reports`.
    n_reports
        How many reports to make, or how many to draw from a larger file; None or 0 means all of a file, and so does a
        number that the file does not reach.
    test_fraction, dev_fraction
        Expected shares of the patients; see `assign_splits`.
        The test split of "openi" is a published list instead, and `dev_fraction` a share of the other records.
    **options
        "synthetic": style ("cohort" or "general").
        "table": the column mapping of `read_table_corpus`.

    Returns
    -------
    reports, curated : pandas.DataFrame
        Tables that keep the contracts REPORTS and LABELS.
        Every row that went in is in `reports`, also one with an empty text.
        Where a file was read, `reports.attrs["n_available"]` counts the reports in it, drawn or not.

    Raises
    ------
    RadbookError
        For an unknown corpus or option, or input that cannot be read.

    Examples
    --------
    >>> load_corpus("open-i")
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: corpus='open-i' is none of synthetic, openi, table; did you mean openi?
    """
    choose(name, SHARING, "corpus")
    for option in options:
        if option not in _OPTIONS[name]:
            known = sorted(_OPTIONS[name])
            raise RadbookError(
                f"corpus {name} has no option {option!r}; it has: {', '.join(known) or 'none'}{did_you_mean(option, known)}"
            )
    if n_reports is not None and not 0 <= n_reports <= _MOST:
        raise RadbookError(f"n_reports is {n_reports}: give a number of reports up to {_MOST:,}, or 0 for all")
    if name == "synthetic":
        if path:
            raise RadbookError(f"corpus synthetic is generated and reads no file: leave path {str(path)!r} out")
        if not n_reports:
            raise RadbookError("corpus synthetic needs n_reports: how many reports to generate, at least 1")
        reports, curated = generate_reports(n_reports, style=options.get("style", "cohort"), seed=seed)
    else:
        if name == "openi":
            reports, curated = read_openi(path or packaged_archive())
        elif path:
            reports, curated = read_table_corpus(path, **options)
        else:
            raise RadbookError("corpus table needs a path: the CSV, Parquet or Excel file with your reports")
        reports.attrs["n_available"] = len(reports)
        if n_reports and n_reports < len(reports):
            reports = reports.sample(n_reports, random_state=seed).sort_index().reset_index(drop=True)
            curated = curated[curated["report_id"].isin(reports["report_id"])].reset_index(drop=True)
    listed = name == "openi"  # its test split is
    test_fraction = 0 if listed else test_fraction
    splits = assign_splits(reports["patient_id"], seed=seed, test_fraction=test_fraction, dev_fraction=dev_fraction)
    if listed:
        splits = splits.mask(reports["report_id"].isin(published_test_ids()), "test")
    reports = reports.assign(split=splits, corpus=name)
    return check(reports, REPORTS), check(curated, LABELS)
