"""The one exception users are meant to read: its message says what is wrong, where, and what to do."""

__all__ = ["RadbookError"]


class RadbookError(ValueError):
    """Bad input or a run that cannot go on; commands print the message alone, without a traceback."""
