"""How good the labels are on which two labelers agree, and those on which they do not."""

import pandas as pd

from radbook.evaluation.bootstrap import exact_interval
from radbook.instructions.agreement import agreed_reports
from radbook.tasks import TASKS, present_codes

__all__ = ["quality_of_agreement"]


def quality_of_agreement(
    labels: pd.DataFrame, second_opinion: pd.DataFrame, reference: pd.DataFrame
) -> pd.DataFrame:
    """Count how many labels a second opinion shares and disputes, and how many of each a reference shares exactly.

    Parameters
    ----------
    labels, second_opinion, reference
        `labels` tables; only reports that the second one was asked about, and whose reference has not failed, count.

    Returns
    -------
    pandas.DataFrame
        Indexed by task and "agreed" or "disputed": `reports`, `right` (as the reference has it), and the share of these as
        `value` with its exact 95% interval, `low` and `high`.
    """
    rows = []
    for task in TASKS.values():
        said, true = (present_codes(table, task=task.name) for table in (labels, reference))
        agreed = agreed_reports(labels, second_opinion, task)
        asked = set(second_opinion.loc[second_opinion["task"] == task.name, "report_id"])
        for name, ids in (("agreed", agreed), ("disputed", (said.keys() & asked) - agreed)):
            ids = [i for i in ids if i in true]
            right = sum(said[i] == true[i] for i in ids)
            rows.append({"task": task.name, "second opinion": name, "reports": len(ids), "right": right})
    frame = pd.DataFrame(rows).set_index(["task", "second opinion"])
    low, high = exact_interval(frame["right"].to_numpy(), frame["reports"].to_numpy())
    return frame.assign(value=frame["right"] / frame["reports"], low=low, high=high)
