"""Labelers that read nothing: what a score must beat before it means anything."""

from collections.abc import Iterable

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.core.schema import LABELS

__all__ = ["constant_labels"]


def constant_labels(
    report_ids: Iterable[str], codes: Iterable[str], *, task: str, source: str
) -> pd.DataFrame:
    """Give every report the same findings: the baselines "always Normal" (no codes) and "always the most frequent".

    >>> constant_labels(["1", "2"], ["Edema"], task="choice", source="always Edema")["findings"].str.len().tolist()
    [1, 1]
    """
    findings = [finding(code) for code in codes]
    rows = [label_row(report_id, source, task, list(findings)) for report_id in report_ids]
    return pd.DataFrame(rows, columns=list(LABELS.columns))
