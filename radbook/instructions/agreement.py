"""Which weak labels somebody else shares.

Two labelers that learned in different ways, such as rules and the untuned base, seldom make the same mistake; so what both
say is right more often than what one of them says.
"""

import pandas as pd

from radbook.tasks import Task, present_codes

__all__ = ["agreed_reports"]


def agreed_reports(labels: pd.DataFrame, opinion: pd.DataFrame, task: Task) -> set[str]:
    """Return the reports of which both say that the same is present; what has failed says nothing."""
    ours, other = (present_codes(table, task=task.name) for table in (labels, opinion))
    return {report_id for report_id, codes in ours.items() if other.get(report_id) == codes}
