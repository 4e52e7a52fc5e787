"""Cells of a user's file: no row is shifted, cut or dropped, and what cannot be read is named by row and column."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from radbook.core.errors import RadbookError
from radbook.corpora.table import read_table_corpus
from radbook.corpora.tabular import patient_ids, read_columns


@pytest.fixture
def csv(tmp_path):
    def write(text: str):
        path = tmp_path / "mine.csv"
        path.write_bytes(text.encode("utf-8"))
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    def write(columns: dict):
        path = tmp_path / "mine.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,patient,text,label\n1,p1,No effusion.,Normal,\n2,p2,Clear.,Normal,\n", "row 1 has 5 fields, the header 4"),
        ("id,text\n1,No effusion, no edema\n2,Clear\n", "row 1 has 3 fields, the header 2"),
        ("id,text\n1,Clear\n\n2,No effusion, no edema\n", "row 2 has 3 fields, the header 2"),
    ],
)
def test_a_row_with_too_many_fields_is_refused_by_its_number(csv, text, message):
    with pytest.raises(RadbookError, match=rf"mine\.csv, {message}: remove the trailing comma or quote the text"):
        read_table_corpus(csv(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,text,labels\n1,Left effusion is new\n", "row 1 has 2 fields, the header 3"),
        ("id,text,labels\n1,Clear,Normal\n\n2\n3,Clear,Normal\n", "row 2 has 1 fields, the header 3"),
    ],
)
def test_a_row_with_too_few_fields_is_refused_by_its_number_and_its_text_stays_out(csv, text, message):
    with pytest.raises(RadbookError, match=rf"mine\.csv, {message}: give each empty cell its comma") as caught:
        read_columns(csv(text), {"id_column": "id", "label_column": "labels"})
    assert "effusion" not in str(caught.value)


def test_a_name_given_twice_is_refused(csv, parquet):
    with pytest.raises(RadbookError, match=r"mine\.csv names the column 'text' twice"):
        read_table_corpus(csv("text,text\na,b\n"))
    path = parquet({"text": ["a"]})
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), path)
    with pytest.raises(RadbookError, match=r"mine\.parquet names the column 'text' twice"):
        read_table_corpus(path)


def test_in_a_file_of_one_column_a_blank_line_is_a_report_without_text_unless_nothing_follows(csv):
    reports, _ = read_table_corpus(csv('text\r\nclear\r\n\r\n"two\nlines"\r\n""\r\n\r\n\r\n'))
    assert reports["text"].tolist() == ["clear", "", "two\nlines", ""]
    reports, _ = read_table_corpus(csv("text,id\nclear,1\n\nwet,2\n\n"))
    assert reports["text"].tolist() == ["clear", "wet"]


def test_a_cell_may_be_longer_than_the_csv_module_likes(csv):
    reports, _ = read_table_corpus(csv(f"text\n{'word ' * 60_000}\n"))
    assert len(reports["text"][0]) == 300_000


def test_a_quote_inside_a_quoted_text_is_refused_by_its_row(csv):
    with pytest.raises(RadbookError, match=r"row 2 cannot be read as CSV.*double the quotes"):
        read_table_corpus(csv('text\nclear\n"the "line" is in place"\n'))


def test_patients_are_told_apart_by_what_they_are_called_not_by_the_blanks_around_it(csv):
    path = csv("who,text\nP1,a\nP1 ,b\n ,c\n  ,d\n")
    reports, _ = read_table_corpus(path, patient_column="who")
    assert reports["patient_id"].tolist() == ["P1", "P1", "unknown-3", "unknown-4"]
    assert patient_ids(pd.DataFrame({"who": ["p "]}), None, ["7"]) == ["7"]


def test_a_column_nobody_asked_for_may_hold_anything(parquet):
    columns = {"text": ["Edema.", "Clear."], "embedding": [[0.1, 0.2], [0.3, 0.4]]}
    assert read_table_corpus(parquet(columns))[0]["text"].tolist() == columns["text"]
    with pytest.raises(RadbookError, match=r"column embedding holds list<.*name a column of text or numbers"):
        read_table_corpus(parquet(columns), text_column="embedding")


def test_bytes_are_read_as_utf8_or_refused_by_row(parquet):
    path = parquet({"text": ["Edema, 3 µm.".encode(), None]})
    assert read_table_corpus(path)[0]["text"].tolist() == ["Edema, 3 µm.", ""]
    with pytest.raises(RadbookError, match=r"row 2, column text is not UTF-8"):
        read_table_corpus(parquet({"text": [b"fine", b"3 \xb5m"]}))


def test_large_numbers_keep_their_digits_beside_missing_ones(parquet):
    patients = [9007199254740993, None, 9007199254740992]
    kinds = pa.array(["x", "y", "x"]).dictionary_encode()
    path = parquet({"text": ["a", "b", "c"], "who": pa.array(patients, pa.int64()), "kind": kinds})
    reports, _ = read_table_corpus(path, patient_column="who")
    assert reports["patient_id"].tolist() == ["9007199254740993", "unknown-2", "9007199254740992"]
    assert read_columns(path, {"a kind": "kind"})["kind"].tolist() == ["x", "y", "x"]
