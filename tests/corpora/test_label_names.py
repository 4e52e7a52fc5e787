"""One reading of category names: the same name means the same in a label column, in a list and in JSON."""

import json

import pytest

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.corpora.label_names import category_of, read_label_columns, read_names
from radbook.corpora.table import read_table_corpus
from radbook.tasks import CHOICE, OPEN
from radbook.teachers.llm.prompts import read_reply

DENIED = [
    "no pneumothorax", "No Pneumonia", "no pleural effusion", "not Cardiomegaly", "No_Edema", "NoPneumothorax", "Pneumothorax=0",
    "Support Devices 0",
    "pleural effusion no", "neg pneumothorax", "r/o pneumothorax", "-pneumothorax", "without fracture",
]  # fmt: skip


@pytest.mark.parametrize("name", DENIED)
def test_a_denied_name_is_never_repaired_into_the_finding(name, tmp_path):
    assert [n.category for n in read_names(name)] == [None]
    path = tmp_path / "mine.csv"
    path.write_text(f'text,labels\nClear.,"Edema, {name}"\nWet.,Edema\n')
    _, curated = read_table_corpus(path, label_column="labels")
    assert curated["status"].tolist() == ["failed", "ok"] and curated["findings"][0] == []
    with pytest.raises(RadbookError, match="row 1, column labels"):
        read_label_columns(path, {"reader": "labels"})


def test_a_hedged_name_is_uncertain_in_a_label_column(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text('text,labels\nWet.,"Pneumonia?, possible edema, Fracture"\n')
    _, curated = read_table_corpus(path, label_column="labels")
    expected = [("Edema", "uncertain"), ("Fracture", "present"), ("Pneumonia", "uncertain")]
    assert [(f["code"], f["presence"]) for f in curated["findings"][0]] == expected
    note = "read 'Pneumonia?' as Pneumonia (uncertain); read 'possible edema' as Edema (uncertain)"
    assert (curated["status"][0], curated["note"][0]) == ("repaired", note)
    read = read_label_columns(path, {"reader": "labels"})
    assert [(f["code"], f["presence"]) for f in read.tables["reader"]["findings"][0]] == expected
    assert read.repairs["taken_for"].tolist() == ["Pneumonia (uncertain)", "Edema (uncertain)"]


@pytest.mark.parametrize(
    ("said", "expected", "status"),
    [
        ("No Pneumothorax", [], "failed"),
        ("no_pneumothorax", [], "failed"),
        ("Pneumothorax (absent)", [], "failed"),
        ("Pneumonia?", [("Pneumonia", "uncertain")], "repaired"),
        ("possible Edema", [("Edema", "uncertain")], "repaired"),
        ("Edema (mild)", [("Edema", "present")], "repaired"),
        ("ateletasis", [("Atelectasis", "present")], "repaired"),
        ("support_devices", [("Support Devices", "present")], "ok"),
        ("Normal", [], "ok"),
        ("No finding", [], "ok"),
        ("Scoliosis", [], "failed"),
    ],
)
def test_a_list_and_json_read_a_category_alike(said, expected, status):
    text = "FINDINGS: wet lungs."
    reply = json.dumps({"findings": [{"category": said, "quote": "wet lungs"}]})
    for found, got, note in (read_reply(CHOICE, reply, text), CHOICE.parse(f"[{said}]")):
        assert [(f["code"], f["presence"]) for f in found] == expected
        assert got == status and bool(note) == (status != "ok")


def test_json_of_the_open_task_reads_denials_and_hedges_as_a_list_does():
    text = "FINDINGS: No pneumothorax. Possible effusion. Scoliosis."
    items = [
        {"quote": "No pneumothorax", "icd10": "J93.9"},
        {"quote": "Possible effusion", "icd10": "J90"},
        {"quote": "Scoliosis", "icd10": "M41.9"},
    ]
    found, status, note = read_reply(OPEN, json.dumps({"findings": items}), text)
    assert {(f["code"], f["presence"]) for f in found} == {("J90", "uncertain"), ("M41.9", "present")}
    assert status == "repaired" and "negated item 'No pneumothorax (J93.9)' left out" in note


def test_normal_beside_findings_is_left_out_and_said_in_json_too():
    items = [{"category": "Normal", "quote": "x"}, {"category": "Edema", "quote": "wet lungs"}]
    found, status, note = read_reply(CHOICE, json.dumps({"findings": items}), "FINDINGS: wet lungs.")
    assert [f["code"] for f in found] == ["Edema"]
    assert (status, note) == ("repaired", "Normal left out beside findings")


def test_every_category_is_itself_and_a_wide_name_is_none():
    assert [category_of(name.swapcase()) for name in CATEGORIES] == list(CATEGORIES)
    assert category_of("Edema" * 40) is None
