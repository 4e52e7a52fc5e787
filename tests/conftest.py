"""Fixtures that several test modules share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("radbook", deadline=None)  # a busy machine is no failure
settings.load_profile("radbook")


@pytest.fixture(scope="session")
def openi_csv() -> Path:
    """Open-i's reports as CSV, where this machine has them: they are no part of the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "openi" / "reports.csv"
    path = Path(os.environ.get("RADBOOK_OPENI") or beside)
    if not path.is_file():
        pytest.skip("set RADBOOK_OPENI to the CSV form of Open-i's reports to run this test")
    return path
