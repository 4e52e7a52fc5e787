"""One `labels` table as numbers: reports x labels, with the uncertain read by a named policy."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import Presence, strongest
from radbook.core.ontology import CATEGORIES, NORMAL

__all__ = ["IGNORED", "POLICIES", "label_matrix", "meanings", "strongest_findings"]

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
    meaning = meanings(policy)
    table = table[table["report_id"].isin(report_ids)]
    twice = table["report_id"].duplicated()
    if twice.any():
        report = table.loc[twice, "report_id"].iloc[0]
        raise RadbookError(f"report {report!r} has two rows: pass the rows of one source and one task")
    status = table.set_index("report_id")["status"].reindex(report_ids)
    if status.isna().any():
        raise RadbookError(
            f"{status.isna().sum()} of {len(report_ids)} reports have no row from this source "
            f"(the first is {status.index[status.isna()][0]!r}): label every report, or pass reports= with fewer"
        )
    row_of, column_of = ({name: n for n, name in enumerate(names)} for names in (report_ids, codes))
    matrix = np.zeros((len(report_ids), len(codes)), dtype=np.int8)
    for (report, code), entry in strongest_findings(table, key).items():
        if code in column_of:
            matrix[row_of[report], column_of[code]] = meaning[entry["presence"]]
    if NORMAL in column_of:
        each = label_matrix(table, report_ids, CATEGORIES, policy)
        # An answer that failed says nothing, so it does not say "Normal" either.
        other = [(each == 1).any(axis=1), (each == IGNORED).any(axis=1), status == "failed"]
        matrix[:, column_of[NORMAL]] = np.select(other, [0, IGNORED, 0], 1)
    return matrix


def meanings(policy: str) -> dict[str, int]:
    """What each presence counts as: 1 (present), 0 (absent) or -1 (left out)."""
    choose(policy, POLICIES, "policy")
    return {Presence.PRESENT: 1, Presence.UNCERTAIN: POLICIES[policy], Presence.ABSENT: 0}


def strongest_findings(table: pd.DataFrame, key: Callable[[str], str] = str) -> dict[tuple[str, str], dict]:
    """Return, per report and label of `key`, the finding that decides; answers that failed say nothing.

    >>> from radbook.core.findings import finding, label_row
    >>> twice = [finding("J90", "absent"), finding("J90")]
    >>> strongest_findings(pd.DataFrame([label_row("r", "rules", "open", twice)]))["r", "J90"]["presence"]
    'present'
    """
    answered = table[table["status"] != "failed"]
    rows = zip(answered["report_id"], answered["findings"], strict=True)
    return strongest(((report, key(entry["code"])), entry) for report, findings in rows for entry in findings)
