"""The errors of a run, counted in tables whose cells open the reports behind them."""

from radbook.casebook.cases import case_list
from radbook.casebook.cells import confusion_table, sortable
from radbook.casebook.mistakes import TOP, examine

__all__ = ["TOP", "case_list", "confusion_table", "examine", "sortable"]
