"""What changed between two runs, and how a run stands beside the published one and beside the paper."""

from radbook.compare.differences import Changes, compare_records, compare_runs
from radbook.compare.published import open_record, published_record
from radbook.compare.record import Record
from radbook.compare.terminal import as_text

__all__ = ["Changes", "Record", "as_text", "compare_records", "compare_runs", "open_record", "published_record"]
