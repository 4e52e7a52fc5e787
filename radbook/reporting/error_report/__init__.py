"""The errors of a run, counted in tables whose cells open the reports behind them."""

from radbook.reporting.error_report.cases import case_list, confusion_table
from radbook.reporting.error_report.report import TOP, examine
from radbook.reporting.error_report.tables import sortable

__all__ = ["TOP", "case_list", "confusion_table", "examine", "sortable"]
