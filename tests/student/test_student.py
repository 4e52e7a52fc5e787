import json
import shutil
import weakref

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.schema import PREDICTIONS, check
from radbook.corpora.synthetic import generate_reports
from radbook.student import Student
from radbook.student.base import resolve_base
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune

TAUGHT = resolve_base("tiny-taught")[0]


@pytest.fixture(scope="module")
def run(instructions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    finetune(instructions, folder / "student", Settings("tiny-taught", epochs=1.0, batch_size=8, rank=4, backend="peft"))
    return folder


@pytest.fixture(scope="module")
def reports():
    reports, _ = generate_reports(12, style="cohort", seed=3)
    return reports


def test_a_student_labels_both_tasks_and_leaves_no_row_out(run, reports):
    lines = []
    labels = Student.load(run).label(reports, progress=lines.append)
    check(labels, PREDICTIONS)
    assert len(labels) == 2 * len(reports)
    assert set(labels["source"]) == {"student:demo"}
    assert labels["status"].isin(["ok", "repaired", "failed"]).all()
    assert (labels["reply"] != "").all()
    assert set(labels.groupby("report_id")["task"].agg(",".join)) == {"choice,open"}
    assert any(line.startswith("open: 12 of 12 replies") for line in lines)


def test_the_student_folder_itself_can_be_given_and_the_base_is_asked_by_its_own_name(run, reports):
    one = Student.load(run / "student").label(reports.head(2), ["choice"])
    assert set(one["source"]) == {"student:demo"} and len(one) == 2
    untuned = Student.untuned("tiny-taught").label(reports.head(2), ["choice"])
    assert set(untuned["source"]) == {"base:tiny-taught"} and len(untuned) == 2


def test_a_threshold_names_what_is_probable_enough_and_notes_what_it_changed(run, reports):
    student = Student.load(run)
    plain = student.label(reports, ["choice"])
    stated = student.confidence(reports, plain)
    low = student.label(reports, ["choice"], threshold=0.01)
    expected = stated[stated["probability"] >= 0.01].groupby("report_id")["code"].agg(list)
    named = low.set_index("report_id")["findings"].map(lambda row: [f["code"] for f in row])
    assert named.to_dict() == {i: expected.get(i, []) for i in named.index}
    before = plain.set_index("report_id")["findings"].map(lambda row: [f["code"] for f in row])
    changed = named != before
    notes = low.set_index("report_id")["note"]
    assert changed.any() and notes[changed].str.contains("by a threshold of 0.01: [+]").all()
    assert not notes[~changed].str.contains("threshold").any()
    with pytest.raises(RadbookError, match=r"threshold is 1\.5: give a probability from 0 to below 1"):
        student.label(reports, threshold=1.5)


def test_a_released_model_leaves_the_memory_and_is_loaded_again(run, reports):
    student = Student.load(run)
    before = student.label(reports.head(3))
    model = weakref.ref(student.model()[0])
    student.release()
    assert model() is None
    pd.testing.assert_frame_equal(student.label(reports.head(3)), before)


def test_labels_do_not_depend_on_the_batch(run, reports):
    student = Student.load(run)
    pd.testing.assert_frame_equal(student.label(reports, batch_size=5), student.label(reports, batch_size=1))


def test_what_cannot_be_read_is_failed_with_a_note_and_counted(reports):
    odd = reports.head(4).copy()
    odd.loc[odd.index[0], "text"] = ""
    odd.loc[odd.index[1], "text"] = "INDICATION: cough."
    odd.loc[odd.index[2], "text"] = "FINDINGS: " + "small effusion " * 10_000
    labels = Student.untuned("tiny-taught").label(odd, ["choice"]).set_index("report_id")
    status, note = labels["status"].tolist(), labels["note"].tolist()
    assert status[:3] == ["failed"] * 3
    assert note[:2] == ["empty report"] * 2
    assert note[2].startswith("prompt of ") and "longer than the" in note[2]
    assert len(labels) == 4


def test_an_unreadable_reply_is_failed_and_kept(reports):
    labels = Student.untuned("tiny-taught").label(reports.head(3), ["choice"], max_new_tokens=1)
    assert set(labels["status"]) == {"failed"}
    assert (labels["note"] != "").all()


def test_an_unknown_task_is_refused(reports):
    with pytest.raises(RadbookError, match="tasks='closed' is none of choice, open"):
        Student.untuned("tiny-taught").label(reports, ["closed"])


def test_ids_that_are_no_text_are_refused_before_the_model_is_loaded(reports):
    student = Student.untuned("tiny-taught")
    with pytest.raises(RadbookError, match="report_id"):
        student.label(reports.assign(report_id=range(len(reports))))
    assert student._loaded is None


def test_no_report_gives_no_row(reports):
    assert Student.untuned("tiny-taught").label(reports.head(0)).empty


def test_a_missing_student_is_named(tmp_path):
    with pytest.raises(RadbookError, match="holds no finished student"):
        Student.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "message"), [("template_hash", "prompts have changed"), ("base_hash", "is not the one")]
)
def test_changed_prompts_or_base_are_refused(run, tmp_path, key, message):
    shutil.copytree(run, tmp_path / "copy")
    path = tmp_path / "copy" / "student" / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "0"}))
    with pytest.raises(RadbookError, match=message):
        Student.load(tmp_path / "copy")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("settings.json", "{bad"),
        ("settings.json", "{}"),
        ("settings.json", "[]"),
        ("adapter/adapter_config.json", None),
        ("adapter/adapter_config.json", "{bad"),
        ("adapter/adapter_config.json", "{}"),
        ("adapter/adapter_model.safetensors", "half"),
        ("adapter/adapter_model.safetensors", None),
    ],
)
def test_a_damaged_student_is_named_and_its_reason_reaches_the_chapter(run, reports, tmp_path, file, content):
    answers = Student.load(run).label(reports.head(1), ["choice"], max_new_tokens=40)
    home = shutil.copytree(run / "student", tmp_path / "demo" / "student")
    (home / file).unlink()
    if content is not None:
        (home / file).write_text(content)
    with pytest.raises(RadbookError, match=f"delete {home} and run chapter 06"):
        Student.load(tmp_path / "demo").confidence(reports.head(1), answers)


@pytest.mark.parametrize("tokens", [2048, 3000])
def test_a_reply_that_would_fill_the_model_is_refused_at_once(reports, tokens):
    with pytest.raises(RadbookError, match=f"max_new_tokens is {tokens}: .* 2048 tokens"):
        Student.untuned("tiny-taught").label(reports.head(2), ["choice"], max_new_tokens=tokens)


def test_a_folder_base_is_named_after_the_folder(tmp_path):
    shutil.copytree(TAUGHT, tmp_path / "mine")
    student = Student.untuned(str(tmp_path / "mine"))
    assert (student.source, student.style) == ("base:mine", "short")
