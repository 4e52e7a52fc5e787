"""Label tables as they are published: names in any dress, repairs that are listed, and nothing taken by guessing."""

from importlib.resources import files

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import LABELS, check
from radbook.corpora.label_names import read_label_columns, read_names

INVENTED = files("radbook") / "resources" / "invented_readers.csv"


@pytest.fixture
def write(tmp_path):
    def build(text: str, name: str = "published.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return build


def codes(table: pd.DataFrame) -> list[list[str]]:
    return [[f["code"] for f in row] for row in table["findings"]]


def test_one_labels_table_per_column(write):
    path = write('id,who,note,first,second\n7,p,some text,"Edema, Fracture",edema\n8,p,more,,Normal\n')
    read = read_label_columns(
        path, {"reader 1": "first", "b": "second"}, id_column="id", patient_column="who"
    )
    assert list(read.tables) == ["reader 1", "b"]
    assert codes(read.tables["reader 1"]) == [["Edema", "Fracture"], []] and codes(read.tables["b"]) == [
        ["Edema"],
        [],
    ]
    for source, table in read.tables.items():
        check(table, LABELS)
        assert set(table["source"]) == {source} and set(table["status"]) == {"ok"}
    assert read.reports.to_numpy().tolist() == [["7", "p"], ["8", "p"]]
    assert read.repairs.empty and list(read.repairs) == ["row", "column", "read", "taken_for"]


def test_case_commas_line_breaks_and_brackets_need_no_repair(write):
    path = write(
        'first\n"cardiomegaly,  Lung\n opacity,"\n"[Pleural_Effusion; EDEMA]"\n" Support Devices"\n"No Finding"\n'
    )
    read = read_label_columns(path, {"reader": "first"})
    assert codes(read.tables["reader"]) == [
        ["Cardiomegaly", "Lung Opacity"],
        ["Edema", "Pleural Effusion"],
        ["Support Devices"],
        [],
    ]
    assert read.repairs.empty and read.reports["patient_id"].tolist() == ["1", "2", "3", "4"]


def test_misspellings_are_repaired_and_listed():
    columns = {"reader 1": "reader_1", "reader 2": "reader_2", "rules": "rule_system"}
    read = read_label_columns(INVENTED, columns, id_column="report")
    assert read.repairs.to_numpy().tolist() == [
        [3, "reader_1", "ateletasis", "Atelectasis"],
        [7, "reader_1", "lung opactiy", "Lung Opacity"],
        [9, "reader_2", "ateletasis", "Atelectasis"],
    ]
    repaired = read.tables["reader 1"].query("status == 'repaired'")
    assert repaired["report_id"].tolist() == ["r03", "r07"]
    assert repaired["note"].tolist()[0] == "read 'ateletasis' as Atelectasis"
    assert codes(repaired) == [["Atelectasis"], ["Lung Opacity", "Pneumonia"]]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("heart failure", r"row 2, column first: 'heart failure' is no category .*the nearest is \w+"),
        ("Edema, pleural", r"'pleural' is no category .*the nearest is Pleural Other"),
        ("x" * 90, r"'x{40}\.\.\.' is no category"),
    ],
)
def test_what_fits_nothing_is_refused_by_row_and_column(write, cell, message):
    path = write(f'first\nEdema\n"{cell}"\n')
    with pytest.raises(RadbookError, match=message):
        read_label_columns(path, {"reader": "first"})


def test_bad_tables_are_named(write):
    path = write("id,first\n1,Edema\n1,\n")
    with pytest.raises(RadbookError, match=r"no column 'frist' \(reader\); .*did you mean first"):
        read_label_columns(path, {"reader": "frist"})
    with pytest.raises(RadbookError, match="come more than once"):
        read_label_columns(path, {"reader": "first"}, id_column="id")
    with pytest.raises(RadbookError, match="name at least one column"):
        read_label_columns(path, {})
    with pytest.raises(RadbookError, match="no rows"):
        read_label_columns(write("first\n", "empty.csv"), {"reader": "first"})


def test_an_unnamed_patient_is_one_of_its_own(write):
    path = write("who,first\np ,Edema\n,Edema\n,\n")
    read = read_label_columns(path, {"reader": "first"}, patient_column="who")
    assert read.reports["patient_id"].tolist() == ["p", "unknown-2", "unknown-3"]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(CATEGORIES), max_size=6), st.sampled_from([",", ", ", ";", " | "]), st.data())
def test_any_names_in_any_case_are_found(names, separator, data):
    dress = [data.draw(st.sampled_from([str.upper, str.lower, str.title, str.swapcase])) for _ in names]
    cell = separator.join(change(name) for change, name in zip(dress, names, strict=True))
    found = read_names(cell)
    assert [name.category for name in found] == names
    assert not any(name.repair for name in found)


@settings(max_examples=200)
@given(st.sampled_from(CATEGORIES), st.data())
def test_one_slip_of_the_pen_is_repaired(name, data):
    # Below seven letters one of them is too much of the word to be sure.
    if len(name) < 7:
        return
    at = data.draw(st.integers(0, len(name) - 1))
    slip = name[:at] + name[at + 1 :]
    (found,) = read_names(slip)
    assert found.category == name and (found.repair or slip.replace(" ", "") == name.replace(" ", ""))


@settings(max_examples=200)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    for name, category, presence in read_names(text):
        assert name.strip() and (category is None or category in CATEGORIES)
        assert presence in ("present", "uncertain", "absent") and (presence != "absent" or category is None)


def test_a_report_in_the_place_of_a_label_is_not_shown(write):
    path = write("first\nSmall left effusion with edema\n")
    with pytest.raises(RadbookError, match="row 1, column first: what stands there is no category") as caught:
        read_label_columns(path, {"reader": "first"})
    assert "left" not in str(caught.value)
