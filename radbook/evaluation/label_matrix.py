"""One `labels` table as numbers: reports x labels, with the uncertain read by a named policy."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import STRENGTH
from radbook.core.ontology import CATEGORIES, NORMAL

__all__ = ["IGNORED", "POLICIES", "label_matrix"]

IGNORED = -1
POLICIES = {"certain": 0, "u-one": 1, "ignore": IGNORED}  # what an uncertain finding counts as


def label_matrix(
    table: pd.DataFrame,
    report_ids: Sequence[str],
    codes: Sequence[str],
    policy: str,
    *,
    key: Callable[[str], str] = str,
) -> np.ndarray:
    """Turn a `labels` table of one source and one task into numbers.

    Parameters
    ----------
    table
        Rows of one source and one task.
    report_ids, codes
        Rows and columns of the result, in this order. "Normal" among the codes means: no other of the 13 categories.
    policy
        How uncertain counts: "certain" as absent, "u-one" as present, "ignore" as -1 (to be left out).
    key
        Maps a code of the table to the name its column has, as `Task.key` gives it.

    Returns
    -------
    Shape (R, L), values 1 (present), 0 (absent, not mentioned, or an answer that failed) and -1 (left out).

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> found = [finding("Edema"), finding("Pneumonia", "uncertain")]
    >>> table = pd.DataFrame([label_row("r1", "rules", "choice", found)])
    >>> label_matrix(table, ["r1"], ["Edema", "Pneumonia", "Fracture"], "ignore")
    array([[ 1, -1,  0]], dtype=int8)
    """
    choose(policy, POLICIES, "policy")
    row_of = {report: row for row, report in enumerate(report_ids)}
    column_of = {code: column for column, code in enumerate(codes) if code != NORMAL}
    strength = np.zeros((len(report_ids), len(codes)), dtype=np.int8)
    abnormal = np.zeros(len(report_ids), dtype=np.int8)
    answered = np.ones(len(report_ids), dtype=bool)
    seen = set()
    for report, findings, status in zip(table["report_id"], table["findings"], table["status"], strict=True):
        row = row_of.get(report)
        if row is None:
            continue
        if row in seen:
            raise RadbookError(f"report {report!r} has two rows: pass the rows of one source and one task")
        seen.add(row)
        answered[row] = status != "failed"
        for entry in findings if answered[row] else ():
            # A report may mention one label twice: the strongest statement is the one that counts.
            stated = STRENGTH.get(entry["presence"])
            if stated is None:
                choose(entry["presence"], STRENGTH, f"report {report!r}: presence")
            column = column_of.get(key(entry["code"]))
            if column is not None:
                strength[row, column] = max(strength[row, column], stated)
            if entry["code"] in CATEGORIES:
                abnormal[row] = max(abnormal[row], stated)
    if len(seen) < len(row_of):
        missing = [report for report, row in row_of.items() if row not in seen]
        raise RadbookError(
            f"{len(missing)} of {len(row_of)} reports have no row from this source "
            f"(the first is {missing[0]!r}): label every report, or pass reports= with fewer"
        )
    meaning = np.array([0, POLICIES[policy], 1], dtype=np.int8)
    matrix = meaning[strength]
    if NORMAL in codes:
        # An answer that failed says nothing, so it does not say "Normal" either.
        flipped = np.array([1, 0, IGNORED], dtype=np.int8)[meaning[abnormal]]
        matrix[:, list(codes).index(NORMAL)] = np.where(answered, flipped, 0)
    return matrix
