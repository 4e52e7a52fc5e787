"""From the executed notebooks of a run to the pages of the book."""

from radbook.core.errors import need

need("book", "nbformat", "jupyter_book")

from radbook.book.build import build_book  # noqa: E402

__all__ = ["build_book"]
