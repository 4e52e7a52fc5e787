"""Label tables from small matrices, for every test of the evaluation."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation.error_slices import decisions

PRESENCE = {1: "present", 2: "uncertain", 3: "absent"}


@pytest.fixture(scope="session")
def table() -> Callable[..., pd.DataFrame]:
    """table(source, matrix): a row per report r0, r1, ...; 1 present, 2 uncertain, 3 absent, 0 silent, None failed."""

    def build(source, matrix, *, task="choice", codes=CATEGORIES) -> pd.DataFrame:
        rows = []
        for number, cells in enumerate(matrix):
            status = "failed" if cells is None else "ok"
            found = [finding(codes[j], PRESENCE[int(v)]) for j, v in enumerate(cells or ()) if v]
            rows.append(label_row(f"r{number}", source, task, found, status=status))
        return pd.DataFrame(rows)

    return build


@pytest.fixture(scope="session")
def patients() -> Callable[..., pd.DataFrame]:
    """patients([0, 0, 1]): a reports table that says which reports share a patient."""

    def build(numbers) -> pd.DataFrame:
        rows = [(f"r{row}", f"p{number}") for row, number in enumerate(numbers)]
        return pd.DataFrame(rows, columns=["report_id", "patient_id"])

    return build


@pytest.fixture(scope="session")
def noisy() -> Callable[..., tuple[list, list]]:
    """noisy(n, error, seed): a random reference of n reports x 13 and a copy with that share of cells flipped."""

    def build(n: int, error: float, seed: int = 0) -> tuple[list, list]:
        rng = np.random.default_rng(seed)
        truth = rng.random((n, len(CATEGORIES))) < 0.2
        return truth.astype(int).tolist(), (truth ^ (rng.random(truth.shape) < error)).astype(int).tolist()

    return build


class Five(NamedTuple):
    """Five reports that curated labels, the rules and a student read."""

    reports: pd.DataFrame
    tables: list[pd.DataFrame]
    decided: pd.DataFrame


@pytest.fixture
def five(table, patients) -> Five:
    """Five reports, one for each pair: both right, only the student wrong, only the teacher, both alike, both differently."""
    codes, reports = ("Edema", "Fracture"), patients(range(5)).assign(text="Wet lungs.")
    truth = table("curated", [[1, 0], [1, 0], [1, 0], [1, 0], [1, 1]], codes=codes)
    teacher = table("rules", [[1, 3], [1, 0], [0, 0], [0, 1], [2, 1]], codes=codes)
    student = table("student:x", [[1, 0], [0, 0], [1, 0], [0, 1], [1, 0]], codes=codes)
    decided = decisions(truth, [student, teacher], task="choice", reports=reports)
    return Five(reports, [truth, teacher, student], decided)
