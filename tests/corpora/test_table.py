import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.schema import LABELS, REPORTS, check
from radbook.corpora.table import read_table_corpus


@pytest.fixture
def write(tmp_path):
    def write(columns, name="mine.csv"):
        path = tmp_path / name
        frame = pd.DataFrame(columns)
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
        return path

    return write


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_every_row_becomes_a_report(write, name):
    texts = ["FINDINGS: Big heart.\nIMPRESSION: Cardiomegaly.", None, "word " * 20_000]
    path = write({"report": texts, "nr": ["a", "b", "c"], "who": ["p", "p", None]}, name)
    reports, curated = read_table_corpus(path, text_column="report", id_column="nr", patient_column="who")
    check(reports.assign(split="train", corpus="table"), REPORTS)
    check(curated, LABELS)
    assert reports["report_id"].tolist() == ["a", "b", "c"]
    assert reports["patient_id"].tolist() == ["p", "p", "unknown-c"]
    assert reports["text"].tolist() == [texts[0], "", texts[2]]
    assert reports.loc[0, ["findings", "impression"]].tolist() == ["Big heart.", "Cardiomegaly."]
    assert curated.empty


def test_rows_are_numbered_without_an_id_column(write):
    reports, _ = read_table_corpus(write({"text": ["x", "y"]}), id_column="", patient_column="")
    assert reports["report_id"].tolist() == reports["patient_id"].tolist() == ["1", "2"]


def test_sections_can_be_columns(write):
    path = write({"f": ["Big heart.", ""], "i": ["Cardiomegaly.", ""]})
    reports, _ = read_table_corpus(path, text_column="", findings_column="f", impression_column="i")
    assert reports["text"].tolist() == ["FINDINGS: Big heart.\nIMPRESSION: Cardiomegaly.", ""]
    assert reports["findings"].tolist() == ["Big heart.", ""]


def test_number_ids_stay_numbers(write):
    path = write({"text": ["x", "y"], "id": [12, 13], "patient": [5, None]}, "mine.parquet")
    reports, _ = read_table_corpus(path, id_column="id", patient_column="patient")
    assert reports["report_id"].tolist() == ["12", "13"]
    assert reports["patient_id"].tolist() == ["5", "unknown-13"]


def test_label_cells_are_read_repaired_or_refused_and_always_said(write):
    cells = [
        "edema, Atelectasis",
        "['ateletasis', 'lung opacy']",
        "Normal",
        "",
        "Pleural_Effusion; Pneumonia",
        "Cardiomegaly, kidney stone",
    ]
    path = write({"text": ["x"] * len(cells), "labels": cells})
    _, curated = read_table_corpus(path, label_column="labels")
    check(curated, LABELS)
    assert [[f["code"] for f in row] for row in curated["findings"]] == [
        ["Atelectasis", "Edema"],
        ["Atelectasis", "Lung Opacity"],
        [],
        [],
        ["Pleural Effusion", "Pneumonia"],
        [],
    ]
    assert curated["status"].tolist() == ["ok", "repaired", "ok", "ok", "ok", "failed"]
    assert curated["note"].iloc[1] == "read 'ateletasis' as Atelectasis; read 'lung opacy' as Lung Opacity"


def test_the_note_of_a_label_that_fits_nothing_names_row_and_column_and_never_what_stands_there(write):
    path = write({"text": ["x", "y", "z"], "labels": ["Edema", "Mr Smith, born 1950; no edema", "seen by Dr Who " * 90]})
    _, curated = read_table_corpus(path, label_column="labels")
    assert curated["note"].tolist() == [
        "",
        "row 2, column labels: 3 names fit no category, or deny one",
        "row 3, column labels: 1 name fits no category, or denies one",
    ]


def test_missing_columns_are_named_with_the_ones_there(write):
    path = write({"txt": ["x"], "id": ["1"]})
    with pytest.raises(RadbookError, match=r"no column 'text' \(text_column\).*txt, id; did you mean txt\?"):
        read_table_corpus(path)
    with pytest.raises(RadbookError, match="label_column"):
        read_table_corpus(path, text_column="txt", label_column="labels")
    with pytest.raises(RadbookError, match="text_column"):
        read_table_corpus(path, text_column="")


def test_duplicate_and_empty_ids_are_named(write):
    path = write({"text": list("xyz"), "id": ["7", "7", "8"], "half": ["1", "", "2"]})
    with pytest.raises(RadbookError, match=r"1 ids of column id come more than once \(row 2 has that of row 1\)"):
        read_table_corpus(path, id_column="id")
    with pytest.raises(RadbookError, match="row 2: column half is empty"):
        read_table_corpus(path, id_column="half")


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("text\nclear\nca. 3 µm\n".encode("latin-1"))
    with pytest.raises(RadbookError, match=r"latin\.csv is not UTF-8: byte 0xb5 at offset 17 \(line 3\).*iconv"):
        read_table_corpus(path)
    path.write_bytes(b"\xef\xbb\xbftext\nclear\n")
    assert read_table_corpus(path)[0]["text"].tolist() == ["clear"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"text\n", "no rows"),
        ("a.csv", b"text\na\nb,c,d\n", "row 2 has 3 fields, the header 1"),
        ("a.csv", b'text\n"open', "cannot be read as CSV"),
        ("a.parquet", b"PAR1 not really", "cannot be read as Parquet"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RadbookError, match=message) as caught:
        read_table_corpus(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(RadbookError, match="is no file"):
        read_table_corpus(tmp_path / "nowhere.csv")
    with pytest.raises(RadbookError, match="is no file"):
        read_table_corpus(tmp_path)
