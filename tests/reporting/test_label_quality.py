"""How right the labels of the training set are, beside all labels of the training split."""

import pandas as pd
import pytest

from radbook.core.findings import finding, label_row
from radbook.reporting.label_quality import quality_as_taught

IDS = ["r1", "r2", "r3", "r4", "held out"]
REPORTS = pd.DataFrame({"report_id": IDS, "patient_id": IDS, "split": ["train"] * 4 + ["test"]})
OPTIONS = {"policy": "certain", "n_bootstrap": 100, "seed": 1}


def table(source: str, task: str, **codes: list[str]) -> pd.DataFrame:
    return pd.DataFrame([label_row(i.replace("_", " "), source, task, [finding(c) for c in cs]) for i, cs in codes.items()])


TRUTH = pd.concat(
    [
        table("curated", "choice", r1=["Edema"], r2=["Edema"], r3=[], r4=["Fracture"], held_out=["Edema"]),
        table("curated", "open", r1=["J81.1"], r2=[], r3=[], r4=[], held_out=["J90"]),
    ]
)
RULES = table("rules", "choice", r1=["Edema"], r2=[], r3=["Edema"], r4=["Fracture"], held_out=[])
OPEN = table("simulated:0.93", "open", r1=["J81.0"], r2=["J90"], r3=[], r4=[], held_out=[])


def rows(*entries: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(entries, columns=["report_id", "task", "source"])


def counts(quality: pd.DataFrame, *place: str) -> list[int]:
    return quality.loc[place, ["reports", "right", "invented", "missed"]].tolist()


def test_rows_left_out_take_their_errors_with_them():
    taught = rows(("r1", "choice", "rules"), ("r4", "choice", "rules"), ("r1", "open", "simulated:0.93"))
    quality = quality_as_taught(taught, {"choice": RULES, "open": OPEN}, TRUTH, REPORTS, **OPTIONS)
    assert counts(quality, "choice", "all labels") == [4, 2, 1, 1]
    assert counts(quality, "choice", "as taught") == [2, 2, 0, 0]
    assert quality.loc[("choice", "all labels"), "precision"].startswith("0.667 (")
    assert counts(quality, "open", "all labels") == [4, 1, 1, 0], "the open task counts categories of ICD-10-CM"
    assert counts(quality, "open", "as taught") == [1, 1, 0, 0]


def test_where_every_row_is_kept_the_two_lines_are_one():
    taught = rows(*((i, "choice", "rules") for i in IDS[:4]))
    quality = quality_as_taught(taught, {"choice": RULES, "open": None}, TRUTH, REPORTS, **OPTIONS)
    assert quality.loc[("choice", "all labels")].tolist() == quality.loc[("choice", "as taught")].tolist()
    assert len(quality) == 2, "nobody taught the open task"


def test_a_checked_row_is_scored_with_the_label_it_holds():
    taught = rows(("r1", "choice", "rules"), ("r2", "choice", "curated"), ("r3", "choice", "rules"))
    quality = quality_as_taught(taught, {"choice": RULES}, TRUTH, REPORTS, **OPTIONS)
    assert counts(quality, "choice", "as taught") == [3, 2, 1, 0]


def test_curated_labels_may_be_the_teacher():
    taught = rows(*((i, "choice", "curated") for i in IDS[:4]))
    quality = quality_as_taught(taught, {"choice": TRUTH}, TRUTH, REPORTS, **OPTIONS)
    assert counts(quality, "choice", "as taught") == counts(quality, "choice", "all labels") == [4, 3, 0, 0]


@pytest.mark.parametrize("curated", [TRUTH.iloc[:0], TRUTH.assign(status="failed")])
def test_without_a_reference_nothing_is_known(curated):
    quality = quality_as_taught(rows(("r1", "choice", "rules")), {"choice": RULES}, curated, REPORTS, **OPTIONS)
    assert set(quality.to_numpy().ravel()) == {"not known"}
