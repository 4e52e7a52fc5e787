"""A third task is one more instance: no module knows it, and instructions, replies, scores and a served model do."""

import json

import pandas as pd
import pytest
from chatservers import Server, listening

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.evaluation import score
from radbook.instructions import build_instructions
from radbook.tasks import TASKS, Task
from radbook.teachers.llm import ChatTeacher
from radbook.teachers.rules import RuleTeacher
from radbook.teachers.simulated import SimulatedTeacher

SIDES = ("left", "right", "both")
SAY = "You read one chest radiology report and say on which side it finds something."
TEXTS = ["Left effusion.", "Right effusion.", "Effusions on both sides.", "Clear lungs."]
TRUTH = ["left", "right", "both", None]


def read_side(item: str, strict: bool) -> tuple[str | None, str | None, str]:
    return (item.lower() if item.lower() in SIDES else None), None, ""


@pytest.fixture
def side(monkeypatch):
    example = ("Nodule on the left.", [finding("left", phrase="left", start=14, end=18)])
    task = Task(
        "side", "nowhere", "side", read_side, {"list": SAY, "json": f"{SAY} In JSON."}, codes=SIDES, examples=(example,)
    )
    monkeypatch.setitem(TASKS, task.name, task)
    return task


@pytest.fixture
def reports() -> pd.DataFrame:
    ids = [f"r{i}" for i in range(len(TEXTS))]
    frame = pd.DataFrame({"report_id": ids, "patient_id": ids, "text": TEXTS})
    return frame.assign(findings=TEXTS, impression="", split="train", corpus="synthetic")


def table(source: str, codes: list[str | None]) -> pd.DataFrame:
    rows = [label_row(f"r{i}", source, "side", [finding(c)] if c else []) for i, c in enumerate(codes)]
    return pd.DataFrame(rows)


def micro_f1(labels: pd.DataFrame, reports: pd.DataFrame) -> float:
    scores = score(table("curated", TRUTH), labels, task="side", reports=reports, n_bootstrap=40)
    assert set(scores["label"]) == {"micro", "macro", "all", *SIDES}
    return scores.set_index(["label", "metric"])["value"]["micro", "f1"]


def test_its_labels_become_rows_whose_replies_are_read_back_and_scored(side, reports):
    truth = table("curated", TRUTH)
    rows, counts = build_instructions(
        reports, {"side": truth}, n={"side": 3}, tokenizer=lambda texts, **_: {"input_ids": [t.split() for t in texts]}
    )
    assert (counts["side"], counts["choice"], counts["not_drawn"]) == (3, 0, 1)
    assert rows["prompt"].str.startswith("side\n").all()
    assert set(rows["completion"]) < {" [left]", " [right]", " [both]", " [nowhere]"}
    answers = [side.parse(side.render(found)) for found in truth["findings"]]
    assert {status for _, status, _ in answers} == {"ok"}
    assert [found[0]["code"] if found else None for found, _, _ in answers] == TRUTH
    assert side.parse("[Left, up]")[1:] == ("repaired", "unknown item 'up' left out")
    assert micro_f1(table("student:a", ["left", "left", "both", None]), reports) == pytest.approx(2 / 3)


def test_its_prompt_has_its_own_words_and_examples_and_its_codes_are_closed(side):
    prompt = side.prompt("Clear.", "full")
    assert prompt.startswith(f"### Instruction:\n{SAY}\n\nExample 1\nReport: Nodule on the left.\nAnswer: [left]\n\n")
    assert side.render([finding("both"), finding("left")]) == "[left, both]"
    with pytest.raises(RadbookError, match="side label 'up' is none of the 3 categories: left, right, both"):
        side.render([finding("up")])


def test_a_served_model_and_the_simulated_teacher_answer_it_and_the_rules_leave_it_out(side, reports, tmp_path):
    class Sided(Server):
        def content(self, request):
            assert request["messages"][0]["content"] == f"{SAY} In JSON."
            assert json.loads(request["messages"][2]["content"]) == {"findings": [{"side": "left", "quote": "left"}]}
            text = request["messages"][-1]["content"]
            found = [{"side": s, "quote": s} for s in SIDES if s in text.lower()]
            return json.dumps({"findings": found})

    with listening(Sided()) as url:
        teacher = ChatTeacher("m", base_url=url, cache=tmp_path / "chat.sqlite")
        labels = teacher.label(reports, tasks=("side",))
    assert labels["status"].eq("ok").all() and micro_f1(labels, reports) == 1
    simulated = SimulatedTeacher(table("curated", TRUTH), micro_f1=1).label(reports)
    assert micro_f1(simulated, reports) == 1
    assert set(RuleTeacher().label(reports)["task"]) == {"choice", "open"}
