"""What chapter 07 asks of the student: each step works, or says why it cannot."""

import numpy as np
import pandas as pd
import pytest

from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import confidence
from radbook.reporting.tables import side_by_side

IDS = [f"r{k}" for k in range(40)]


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    truth = rng.random((len(IDS), 13)) < 0.2
    p = np.clip(np.where(truth, 0.85, 0.1) + rng.normal(0, 0.1, truth.shape), 0.01, 0.99)
    reports = pd.DataFrame(
        {"report_id": IDS, "patient_id": IDS, "text": [f"FINDINGS: Text of {i}." for i in IDS]}
    )
    made = {}
    for source, cells in (("curated", truth), ("student:x", p > 0.5)):
        rows = [[finding(CATEGORIES[c]) for c in np.flatnonzero(row)] for row in cells]
        made[source] = pd.DataFrame(
            [label_row(i, source, "choice", f) for i, f in zip(IDS, rows, strict=True)]
        )
    stated = pd.DataFrame(
        {
            "report_id": np.repeat(IDS, 13),
            "code": CATEGORIES * len(IDS),
            "named": (p > 0.5).ravel(),
            "probability": p.ravel(),
        }
    )
    return made["curated"], made["student:x"], stated, reports


def test_a_student_that_is_not_there_is_said_not_raised(tables, tmp_path):
    _, student, _, reports = tables
    stated, why = confidence.ask_student(tmp_path, reports, student)
    assert stated.empty and "holds no finished student" in why
    curated = tables[0]
    stated, line, why = confidence.calibrated(stated, curated, reports, policy="certain")
    assert line is None and why == "no probability is known"
    assert confidence.least_certain(stated, curated, reports).empty
    assert confidence.reliabilities(stated, curated, reports, policy="certain") == {}
    assert confidence.risks(stated, curated, [student], reports).empty


def test_with_curated_labels_every_step_has_rows(tables):
    curated, student, stated, reports = tables
    dev, test = reports.head(20), reports.tail(20)
    stated, line, why = confidence.calibrated(stated, curated, dev, policy="certain")
    assert not why and line.n_decisions == 20 * 13
    assert stated["calibrated"].between(0, 1).all()
    doubts = confidence.least_certain(stated, curated, dev, n=3)
    assert doubts["report"].str.startswith("Text of r").all() and len(doubts) == 3
    assert doubts["curated"].isin(["present", "not mentioned"]).all()
    kept_word = confidence.reliabilities(stated, curated, test, policy="certain")
    shown = side_by_side(kept_word)
    assert shown["as stated"]["decisions"].sum() == shown["calibrated"]["decisions"].sum() == 20 * 13
    curves = confidence.risks(stated, curated, [student], test, n_bootstrap=40)
    assert curves["coverage"].iloc[-1] == 1.0 and curves["value"].notna().all()


@pytest.mark.parametrize("emptied", ["no rows", "failed"])
def test_without_curated_labels_the_steps_are_empty(tables, emptied):
    curated, student, stated, reports = tables
    curated = curated.iloc[:0] if emptied == "no rows" else curated.assign(status="failed")
    stated, line, why = confidence.calibrated(stated, curated, reports, policy="certain")
    assert line is None and why
    assert (stated["calibrated"] == stated["probability"]).all()
    assert set(confidence.least_certain(stated, curated, reports)["curated"]) == {"not known"}
    assert confidence.reliabilities(stated, curated, reports, policy="certain") == {}
    assert confidence.risks(stated, curated, [student], reports).empty
