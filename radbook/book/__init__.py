"""From the executed notebooks of a run to the pages of the book."""

from radbook.book.build import build_book

__all__ = ["build_book"]
