"""The simulated teacher hits the quality it states, and says what it changed."""

import numpy as np
import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.tasks import TASKS
from radbook.teachers.simulated import SimulatedTeacher

OPEN_CODES = ("J90", "J98.11", "J98.4", "M41.9", "S22.39XA", "S22.49XA", "I51.7", "K44.9")


def make_truth(n_reports=1200, seed=7):
    """Reports with Zipf-like label counts, some uncertain or absent labels, and two codes of one ICD-10 category."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_reports):
        for task, codes in zip(TASKS, (CATEGORIES, OPEN_CODES), strict=True):
            chance = 0.4 / np.arange(1, len(codes) + 1)
            kinds = rng.choice(["present", "uncertain", "absent"], size=len(codes), p=[0.8, 0.1, 0.1])
            hit = rng.random(len(codes)) < chance
            found = [finding(c, k, phrase=c) for c, k, h in zip(codes, kinds, hit, strict=True) if h]
            rows.append(label_row(f"r{i}", "curated", task, found))
    reports = pd.DataFrame({"report_id": [f"r{i}" for i in range(n_reports)], "text": "A report."})
    return reports, pd.DataFrame(rows)


REPORTS, TRUTH = make_truth()


def cells(labels, task, presence="present"):
    width = 3 if task == "open" else None
    rows = labels[labels["task"] == task]
    return {
        (i, f["code"][:width])
        for i, findings in zip(rows["report_id"], rows["findings"], strict=True)
        for f in findings
        if f["presence"] == presence
    }


def compare(labels, task):
    true, said = cells(TRUTH, task), cells(labels, task)
    return len(true & said), len(said - true), len(true - said)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("target", [0.5, 0.8, 0.93, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_realised_f1_is_the_stated_one_with_balanced_errors(task, target, seed):
    tp, fp, fn = compare(SimulatedTeacher(TRUTH, micro_f1=target, seed=seed).label(REPORTS), task)
    assert 2 * tp / (2 * tp + fp + fn) == pytest.approx(target, abs=0.01)
    assert abs(fp - fn) <= 1


def test_table_has_one_row_per_report_and_task_under_the_stated_source():
    labels = SimulatedTeacher(TRUTH, micro_f1=0.9).label(REPORTS)
    assert len(labels) == 2 * len(REPORTS)
    assert labels["source"].unique().tolist() == ["simulated:0.90"]
    assert labels.groupby("report_id")["task"].nunique().eq(2).all()


def test_a_part_of_the_misses_is_hedged():
    labels = SimulatedTeacher(TRUTH, micro_f1=0.8).label(REPORTS)
    missed = cells(TRUTH, "choice") - cells(labels, "choice")
    assert len(missed & cells(labels, "choice", "uncertain")) == pytest.approx(0.3 * len(missed), abs=1)


def test_inventions_follow_the_prevalence_and_carry_no_evidence():
    labels = SimulatedTeacher(TRUTH, micro_f1=0.5).label(REPORTS)
    invented = [f for fs in labels["findings"] for f in fs if f["rule"] == "simulated invention"]
    assert all((f["phrase"], f["start"], f["end"]) == (None, None, None) for f in invented)
    n = pd.Series([f["code"] for f in invented]).value_counts()
    assert n["Atelectasis"] > 2 * n["Support Devices"]


def test_labels_do_not_depend_on_row_order_or_company():
    teacher = SimulatedTeacher(TRUTH, seed=5)
    shuffled = SimulatedTeacher(TRUTH.sample(frac=1, random_state=0), seed=5)
    some = REPORTS.iloc[100:200]
    whole = teacher.label(REPORTS).set_index(["report_id", "task"])["findings"]
    part = shuffled.label(some[::-1]).set_index(["report_id", "task"])["findings"]
    assert part.to_dict() == whole.loc[part.index].to_dict()


def test_the_seed_matters_and_nothing_else_is_random():
    def drawn(seed):
        return SimulatedTeacher(TRUTH, seed=seed).label(REPORTS)["findings"].tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_curated_findings_are_left_untouched():
    before = TRUTH["findings"].map(repr).tolist()
    labels = SimulatedTeacher(TRUTH, micro_f1=0.5).label(REPORTS)
    labels["findings"].map(lambda fs: [f.update(code="changed") for f in fs])
    assert TRUTH["findings"].map(repr).tolist() == before


def test_reports_without_truth_or_text_fail_with_a_note():
    truth = pd.DataFrame(
        [
            *(label_row("coded", "curated", t, []) for t in TASKS),
            *(label_row("uncoded", "curated", t, [], status="failed", note="not indexed") for t in TASKS),
            *(label_row("empty", "curated", t, []) for t in TASKS),
        ]
    )
    reports = pd.DataFrame(
        {"report_id": ["coded", "uncoded", "empty", "new"], "text": ["A.", "A.", " ", "A."]}
    )
    labels = SimulatedTeacher(truth).label(reports)
    notes = (
        labels[labels["task"] == "open"].set_index("report_id")[["status", "note"]].to_dict("split")["data"]
    )
    assert notes == [
        ["ok", ""],
        ["failed", "no curated label: not indexed"],
        ["failed", "empty report"],
        ["failed", "no curated label"],
    ]


@pytest.mark.parametrize("text", ["HISTORY: cough.", None, pd.NA])
def test_a_report_without_a_body_fails(text):
    truth = pd.DataFrame([label_row("a", "curated", t, [finding({"choice": "Edema", "open": "J81.1"}[t])]) for t in TASKS])
    labels = SimulatedTeacher(truth, micro_f1=1).label(pd.DataFrame({"report_id": ["a"], "text": [text]}))
    assert labels["note"].tolist() == ["empty report"] * 2


@pytest.mark.parametrize("bad", [0, -0.1, 1.01, 93, float("nan")])
def test_an_impossible_quality_is_refused(bad):
    with pytest.raises(RadbookError, match="micro_f1"):
        SimulatedTeacher(TRUTH, micro_f1=bad)
