"""What changed between two runs, and how a run stands beside the published one and beside the paper."""

from radbook.compare.differences import Changes, compare_records, compare_runs
from radbook.compare.records import Record, open_record

__all__ = ["Changes", "Record", "compare_records", "compare_runs", "open_record"]
