"""What changed between two runs, and how a run stands beside the published one and beside the paper."""

from radbook.compare.differences import Changes, compare_records, compare_runs
from radbook.compare.markdown import as_markdown
from radbook.compare.published import asked_record, open_record, published_record
from radbook.compare.record import Record

__all__ = [
    "Changes",
    "Record",
    "as_markdown",
    "asked_record",
    "compare_records",
    "compare_runs",
    "open_record",
    "published_record",
]
