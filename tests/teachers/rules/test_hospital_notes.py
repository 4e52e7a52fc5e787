"""The rules on notes of another style: written and labeled without sight of the rules, part of them never read since."""

import json
from collections import Counter

import pytest

from radbook.core.ontology import CATEGORIES
from radbook.evaluation import score
from radbook.teachers.rules import RuleTeacher


@pytest.fixture(scope="module")
def bench_notes():
    with pytest.MonkeyPatch.context() as patch:
        from pathlib import Path

        patch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
        import bench_notes

        yield bench_notes


def test_the_notes_are_what_they_say(bench_notes):
    notes = [json.loads(line) for line in bench_notes.NOTES.read_text(encoding="utf-8").splitlines()]
    assert len({note["id"] for note in notes}) == len(notes) == len({note["text"] for note in notes})
    assert Counter(note["read"] for note in notes) == {True: 220, False: 120}
    for note in notes:
        assert set(note["labels"]) | set(note["doubt"]) <= set(CATEGORIES), note["id"]
        assert set(note["labels"].values()) <= {"present", "probable", "uncertain"}, note["id"]


# The floors are a little below what was measured; notes that were read count less as evidence than those that were not.
@pytest.mark.parametrize(("read", "floor"), [(True, 0.92), (False, 0.92)])
def test_the_rules_hold_on_them(bench_notes, read, floor):
    reports, curated = bench_notes.read_notes(read=read)
    labels = RuleTeacher().label(reports)
    scores = score(curated, labels, task="choice", reports=reports, n_bootstrap=40).set_index(
        ["label", "metric"]
    )
    assert scores["value"]["micro", "f1"] >= floor
