"""The joint mixture: who gets in, who is counted out, and in which order."""

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.evaluation import quality_of_agreement
from radbook.instructions import build_instructions, rival_of, taught_by


class WordTokenizer:
    """One token per word, and one special token in front, so that counts can be checked by eye."""

    def __call__(self, texts, *, add_special_tokens=True, **_):
        return {"input_ids": [[0] * (len(t.split()) + add_special_tokens) for t in texts]}


def make_reports(texts, splits=None, patients=None):
    ids = [f"r{i}" for i in range(len(texts))]
    return pd.DataFrame(
        {
            "report_id": ids,
            "patient_id": patients or [f"p{i}" for i in range(len(texts))],
            "text": texts,
            "findings": texts,
            "impression": "",
            "split": splits or ["train"] * len(texts),
            "corpus": "test",
        }
    )


def make_labels(reports, task, *, source="rules", status="ok"):
    code, phrase = ("Edema", None) if task == "choice" else ("J81.1", "edema")
    return pd.DataFrame(
        [
            label_row(i, source, task, [finding(code, phrase=phrase)], status=status)
            for i in reports["report_id"]
        ]
    )


def build(reports, choice=None, open_=None, **options):
    labels = {task: table for task, table in (("choice", choice), ("open", open_)) if table is not None}
    return build_instructions(reports, labels, tokenizer=WordTokenizer(), **options)


def test_rows_hold_prompt_completion_and_token_counts():
    reports = make_reports(["Edema is seen."])
    frame, counts = build(
        reports, make_labels(reports, "choice"), make_labels(reports, "open", source="simulated:0.93")
    )
    rows = frame.set_index("task")
    assert rows.loc["choice", "prompt"] == "choice\nEdema is seen.\nfindings:"
    assert rows["completion"].to_dict() == {"choice": " [Edema]", "open": " [edema (J81.1)]"}
    assert rows["source"].to_dict() == {"choice": "rules", "open": "simulated:0.93"}
    assert rows.loc["choice", ["prompt_tokens", "completion_tokens"]].tolist() == [6, 1]
    assert (counts["label_rows"], counts["choice"], counts["open"]) == (2, 1, 1)


def test_every_label_row_is_accounted_for():
    texts = ["Edema.", "", "Edema " * 30, "Edema.", "Edema.", "Edema.", "Edema."]
    reports = make_reports(texts, splits=["train"] * 5 + ["dev", "test"])
    labels = make_labels(reports, "choice")
    labels.loc[3, ["status", "note"]] = ["failed", "no list"]
    labels.loc[4, ["status", "note"]] = ["repaired", "missing bracket"]
    frame, counts = build(reports, labels, make_labels(reports.iloc[:1], "open"), max_prompt_tokens=20)
    assert sorted(zip(frame["report_id"], frame["task"], strict=True)) == [
        ("r0", "choice"), ("r0", "open"), ("r4", "choice"),
    ]  # fmt: skip
    assert counts == {
        "label_rows": 8, "choice": 2, "open": 1, "not_train": 2, "failed_labels": 1, "empty_reports": 1,
        "disputed": 0, "thinned": 0, "over_length": 1, "not_drawn": 0, "repaired_labels": 1, "unlabeled": 4, "checked": 0,
    }  # fmt: skip
    gone = (
        "choice", "open", "not_train", "failed_labels", "empty_reports", "disputed", "thinned", "over_length",
        "not_drawn",
    )  # fmt: skip
    assert sum(counts[k] for k in gone) == counts["label_rows"]


def test_a_patient_in_train_and_test_is_named():
    reports = make_reports(["Edema."] * 3, splits=["train", "test", "train"], patients=["ann", "ann", "bob"])
    with pytest.raises(RadbookError, match=r"1 patient\(s\) stand in train and in dev or test: ann;"):
        build(reports, make_labels(reports, "choice"))


def test_draws_are_nested_and_do_not_depend_on_the_order_of_rows():
    reports = make_reports([f"Edema {i}." for i in range(40)])
    labels = make_labels(reports, "choice")
    small, _ = build(reports, labels, n={"choice": 10}, seed=3)
    large, counts = build(reports[::-1], labels.sample(frac=1, random_state=1), n={"choice": 20}, seed=3)
    assert set(small["report_id"]) < set(large["report_id"])
    assert counts["not_drawn"] == 20
    again, _ = build(reports.sample(frac=1, random_state=2), labels[::-1], n={"choice": 10}, seed=3)
    pd.testing.assert_frame_equal(small, again)
    other, _ = build(reports, labels, n={"choice": 10}, seed=4)
    assert set(other["report_id"]) != set(small["report_id"])


def test_the_two_tasks_are_mixed():
    reports = make_reports([f"Edema {i}." for i in range(40)])
    frame, _ = build(reports, make_labels(reports, "choice"), make_labels(reports, "open"))
    assert frame["task"].ne(frame["task"].shift()).sum() > 10


def test_labels_of_the_other_task_in_the_same_table_are_ignored():
    reports = make_reports(["Edema."])
    both = pd.concat([make_labels(reports, "choice"), make_labels(reports, "open")])
    frame, counts = build(reports, both)
    assert (frame["task"].tolist(), counts["label_rows"]) == (["choice"], 1)


def test_the_full_style_ends_in_its_cue():
    reports = make_reports(["Edema."])
    frame, _ = build(reports, make_labels(reports, "choice"), style="full")
    assert frame["prompt"][0].endswith("Edema.\n\n### Answer:")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": {"choice": 9000}}, "n_choice asks for 9000 rows, but 2 are available"),
        ({"n": {"choice": -1}}, "n_choice is -1"),
        ({"n": {"chioce": 5}}, "task='chioce' is none of choice, open; did you mean choice"),
        ({"max_prompt_tokens": 1}, "no instruction row is left of 2 label rows"),
    ],
)
def test_impossible_requests_are_refused(change, message):
    reports = make_reports(["Edema."] * 2)
    with pytest.raises(RadbookError, match=message):
        build(reports, make_labels(reports, "choice"), **change)


def test_two_sources_for_one_task_are_refused():
    reports = make_reports(["Edema."])
    both = pd.concat([make_labels(reports, "choice"), make_labels(reports, "choice", source="curated")])
    with pytest.raises(RadbookError, match="the choice labels stem from curated, rules"):
        build(reports, both)


def test_labels_of_another_corpus_are_refused():
    reports = make_reports(["Edema."] * 2)
    with pytest.raises(RadbookError, match=r"1 choice labels name reports that are not .*'r1'"):
        build(reports[:1], make_labels(reports, "choice"))


def test_a_second_opinion_leaves_out_the_rows_it_disputes():
    reports = make_reports([f"Report {i}." for i in range(4)])
    choice, open_ = make_labels(reports, "choice"), make_labels(reports, "open")
    opinion = pd.DataFrame(
        [
            label_row("r0", "base", "choice", [finding("Edema"), finding("Fracture", "absent")]),
            label_row("r1", "base", "choice", [finding("Edema", "uncertain")]),
            label_row("r2", "base", "choice", [finding("Edema"), finding("Fracture")]),
            label_row("r3", "base", "choice", [finding("Edema")], status="failed"),
            label_row("r0", "base", "open", [finding("J81.0", phrase="acute edema")]),
            label_row("r1", "base", "open", [finding("J90", phrase="effusion")]),
        ]
    )
    frame, counts = build(reports, choice, open_, second_opinion=opinion)
    assert set(zip(frame["report_id"], frame["task"], strict=True)) == {("r0", "choice"), ("r0", "open")}
    assert (counts["choice"], counts["open"], counts["disputed"]) == (1, 1, 6)
    assert counts["label_rows"] == 8
    more = make_labels(make_reports([f"Report {i}." for i in range(6)]), "choice")  # two of them nobody else was asked about
    table = quality_of_agreement(pd.concat([more, open_]), opinion, more)
    assert table.loc[("choice", "agreed")].tolist() == [1, 1, 1.0, pytest.approx(0.025), 1.0]
    assert table.loc[("choice", "disputed"), "reports"] == 3
    assert table.loc[("open", "agreed"), "reports"] == 0  # without a reference
    assert table.loc[("open", "agreed"), ["value", "low", "high"]].isna().all()


def checked(reports, **options):
    choice = make_labels(reports, "choice").assign(findings=[[]] * len(reports))
    curated = pd.concat([make_labels(reports, t, source="curated") for t in ("choice", "open")])
    return build(reports, choice, make_labels(reports, "open"), curated=curated, **options)


def test_checked_reports_take_their_labels_from_people_in_both_tasks_and_are_drawn_first():
    reports = make_reports([f"Edema {i}." for i in range(20)], splits=["train"] * 18 + ["dev", "test"])
    frame, counts = checked(reports, n_checked=3, n={"choice": 5})
    own = frame[frame["source"] == "curated"]
    assert own.groupby("task")["report_id"].nunique().to_dict() == {"choice": 3, "open": 3}
    assert own.groupby("report_id").size().tolist() == [2, 2, 2]
    assert set(own.loc[own["task"] == "choice", "completion"]) == {" [Edema]"}
    assert set(frame.loc[(frame["task"] == "choice") & (frame["source"] == "rules"), "completion"]) == {" [Normal]"}
    assert (counts["checked"], counts["choice"], counts["open"], counts["label_rows"]) == (6, 5, 18, 40)
    assert taught_by(frame) == {"choice": "rules", "open": "rules"}
    assert rival_of(taught_by(frame), "choice") == ("rules", "the rules")
    more, _ = checked(reports, n_checked=6, n={"choice": 8})
    assert set(own["report_id"]) < set(more.loc[more["source"] == "curated", "report_id"])


def test_a_share_of_the_labels_that_name_nothing_is_kept_by_lot_and_the_rest_counted():
    reports = make_reports([f"Report {k}." for k in range(200)])
    labels = make_labels(reports, "choice")
    labels["findings"] = [row if k % 2 else [] for k, row in enumerate(labels["findings"])]
    full, counts = build(reports, labels)
    assert len(full) == 200 and counts["thinned"] == 0
    kept = {}
    for share in (0.0, 0.3, 0.6):
        frame, counts = build(reports, labels, empty_share=share)
        assert counts["choice"] + counts["thinned"] == counts["label_rows"] == 200
        empty = frame[frame["completion"] == " [Normal]"]
        assert len(frame) - len(empty) == 100, "no label that names something is left out"
        kept[share] = set(empty["report_id"])
    assert not kept[0.0] and 15 < len(kept[0.3]) < 45 and kept[0.3] < kept[0.6]
    denied = labels.assign(findings=[[finding("Edema", "absent")]] * 200)
    with pytest.raises(RadbookError, match="no instruction row is left"):
        build(reports, denied, empty_share=0.0)
    with pytest.raises(RadbookError, match=r"empty_share is 1\.5: give a share from 0 to 1"):
        build(reports, labels, empty_share=1.5)


def test_a_checked_label_is_not_disputed():
    reports = make_reports(["Edema 1.", "Edema 2.", "Edema 3."])
    nobody = make_labels(reports, "choice").assign(findings=[[finding("Pneumonia")]] * 3)
    frame, counts = checked(reports, n_checked=1, second_opinion=nobody)
    assert (counts["checked"], counts["disputed"], len(frame)) == (2, 4, 2)


def test_more_checked_reports_than_curated_labels_are_refused():
    reports = make_reports(["Edema 1.", "Edema 2."], splits=["train", "test"])
    with pytest.raises(RadbookError, match="n_checked asks for 2 checked training reports, but 1 have a curated label: lower"):
        checked(reports, n_checked=2)
    with pytest.raises(RadbookError, match="but 0 have a curated label: set it to 0, this corpus has none"):
        build(reports, make_labels(reports, "choice"), n_checked=1)
    with pytest.raises(RadbookError, match="n_checked is -1"):
        build(reports, make_labels(reports, "choice"), n_checked=-1)


@pytest.mark.parametrize(
    ("taught", "kind", "words"),
    [
        ("chat:llama", "chat", "the language model"),
        ("simulated:0.93", "simulated", "the simulated teacher"),
        ("curated", "rules", "the rules (curated labels taught this task, they stand in)"),
        (None, "rules", "the rules (nobody taught this task, they stand in)"),
    ],
)
def test_a_student_is_held_against_what_taught_it_and_else_against_the_rules_in_so_many_words(taught, kind, words):
    assert rival_of({"open": taught} if taught else {}, "open") == (kind, words)
