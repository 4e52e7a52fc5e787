"""Cells of a user's file: no row is shifted, cut or dropped, and what cannot be read is named by row and column."""

import gzip
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from radbook.core.errors import RadbookError
from radbook.corpora.table import read_table_corpus
from radbook.corpora.tabular import patient_ids, read_columns
from radbook.teachers.rules.teacher import RuleTeacher


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


# Other separators, encodings and programs

TABLE = [
    ["id", "text", "labels"],
    ["1", "Left effusion, new; no edema.", "Pleural Effusion"],
    ["2", "Clear\tlungs | heart.", "Normal"],
]
READ = [row[1] for row in TABLE[1:]]


def written(separator: str, rows=TABLE) -> str:
    quoted = [[f'"{cell}"' if " " in cell else cell for cell in row] for row in rows]
    return "".join(separator.join(row) + "\r\n" for row in quoted)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("above", ["", "\r\n \r\n", "sep={}\r\n"])
def test_any_separator_is_read_also_where_a_line_above_names_it(csv, separator, above):
    path = csv(above.format(separator) + written(separator))
    reports, curated = read_table_corpus(path, id_column="id", label_column="labels")
    assert reports["text"].tolist() == READ and reports["report_id"].tolist() == ["1", "2"]
    assert [[f["code"] for f in row] for row in curated["findings"]] == [["Pleural Effusion"], []]


def test_a_short_row_is_refused_with_any_separator(csv):
    with pytest.raises(RadbookError, match="row 1 has 2 fields, the header 3: give each empty cell its semicolon"):
        read_table_corpus(csv("id;text;labels\n1;Left effusion is new\n2;Clear;Normal\n"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_marked_encodings_and_gzip_are_read(tmp_path, encoding, packed):
    raw = written("\t").encode(encoding)
    path = tmp_path / "mine.csv"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    assert read_table_corpus(path)[0]["text"].tolist() == READ


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_read(tmp_path, encoding):
    path = tmp_path / "mine.txt"
    path.write_bytes(written("\t").encode(encoding))
    assert read_table_corpus(path)[0]["text"].tolist() == READ


def test_a_gzip_file_that_breaks_off_or_holds_too_much_is_named(tmp_path, monkeypatch):
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(written(",").encode())[:-9])
    with pytest.raises(RadbookError, match=r"mine\.csv\.gz is no intact gzip file"):
        read_table_corpus(path)
    path.write_bytes(gzip.compress(b"text\n" + b"0" * 5000))
    monkeypatch.setattr("radbook.corpora.tabular._LARGEST", 1000)
    with pytest.raises(RadbookError, match="unpacks to more than 1,000 bytes"):
        read_table_corpus(path)


@pytest.fixture
def workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")

    def write(*sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for rows in sheets:
            sheet = book.create_sheet()
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / "mine.xlsx")
        return tmp_path / "mine.xlsx"

    return write


def test_an_excel_sheet_is_read_numbers_as_they_were_typed(workbook):
    rows = [["id", "text", "patient"], [12, READ[0], 5.0], [None, None, None], [13, None, None]]
    reports, _ = read_table_corpus(workbook(rows, []), id_column="id", patient_column="patient")
    assert reports[["report_id", "patient_id", "text"]].to_numpy().tolist() == [["12", "5", READ[0]], ["13", "unknown-13", ""]]


def test_an_excel_file_with_two_tables_or_none_is_refused(workbook):
    with pytest.raises(RadbookError, match="has 2 sheets with cells"):
        read_table_corpus(workbook(TABLE, TABLE))
    with pytest.raises(RadbookError, match="is empty"):
        read_table_corpus(workbook([]))
    path = workbook(TABLE)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RadbookError, match=r"mine\.xlsx (is a ZIP|cannot be read as an Excel)"):
        read_table_corpus(path)


def test_without_the_library_for_it_an_excel_file_names_the_extra(workbook, monkeypatch):
    path = workbook(TABLE)
    monkeypatch.setattr("radbook.core.errors.find_spec", lambda name: None)
    with pytest.raises(RadbookError, match=r"lacks openpyxl: .*\[excel\]"):
        read_table_corpus(path)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04 a document", "a ZIP archive"),
        (b'{"text": "Clear."}\n', "JSON"),
        (b"<html><table>", "XML or HTML"),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(tmp_path, raw, kind):
    path = tmp_path / "mine.csv"
    path.write_bytes(raw)
    with pytest.raises(RadbookError, match=rf"mine\.csv is {kind}, not a table that is read here: save it as CSV"):
        read_table_corpus(path)


# No report in a message, no character that hides in a word, no report where there is none


@pytest.mark.parametrize(
    "text",
    [
        "Small left effusion, unchanged.\nClear lungs.\n",
        "Unremarkable\nEffusion\n",
        '1,"Small left effusion, unchanged.",Pleural Effusion\n2,Clear lungs.,Normal\n',
        "1;Effusion;Pleural\n2;Clear;Normal\n",
        "a\tSmall effusion\t\n",
        ",Effusion noted.,Effusion noted.\n",
        "\ufeffsep=;\na;Small effusion;Yes\n",
    ],
)
@pytest.mark.parametrize("options", [{}, {"id_column": "effusion"}, {"label_column": "labels"}])
def test_the_first_report_of_a_file_without_header_is_not_shown(csv, text, options):
    with pytest.raises(RadbookError) as caught:
        read_table_corpus(csv(text), **options)
    said = str(caught.value).replace("'effusion'", "")
    assert "mine.csv" in said and not re.search("effusion|clear|unremarkable", said, re.I)


def test_reports_taken_for_ids_are_not_shown(csv):
    path = csv("text,id\nSmall effusion.,1\nSmall effusion.,2\n")
    with pytest.raises(RadbookError, match=r"1 ids of column text come more than once \(row 2 has that of row 1\)") as caught:
        read_table_corpus(path, id_column="text")
    assert "effusion" not in str(caught.value)


@pytest.mark.parametrize("unseen", ["\0", "\ufeff", "\xad", "\u200b", "\x07", "\u2060", "\u200e"])
def test_what_nobody_sees_is_taken_out_of_a_word(csv, parquet, unseen):
    text = f"No pneu{unseen}mothorax. {unseen}Small ef{unseen}fusion."
    for path in (csv(f"te{unseen}xt\n{text}\n"), parquet({"text": [text]})):
        assert read_table_corpus(path)[0]["text"].tolist() == ["No pneumothorax. Small effusion."]


@pytest.mark.parametrize("cell", ["NA", "N/A", "n.a.", "None", "nan", "NaN", "null", "NULL", "<NA>", "#N/A", "NaT", " - ", "..."])
def test_a_cell_that_stands_for_nothing_is_no_report_and_fails(csv, parquet, cell):
    cells = [cell, "Clear lungs.", "None seen."]
    quoted = "".join(f'"{cell}"\n' for cell in cells)
    for path in (csv("text\n" + quoted), parquet({"text": cells})):
        reports, _ = read_table_corpus(path)
        assert reports["text"].tolist() == ["", *cells[1:]]
    labels = RuleTeacher().label(reports)
    assert labels.groupby("report_id")["status"].agg(set).tolist() == [{"failed"}, {"ok"}, {"ok"}]


def test_sections_ids_and_patients_that_stand_for_nothing_are_missing(csv):
    path = csv("f,i,who\nBig heart.,NA,nan\nnull,Edema.,nan\n")
    reports, _ = read_table_corpus(path, text_column="", findings_column="f", impression_column="i", patient_column="who")
    assert reports["text"].tolist() == ["FINDINGS: Big heart.", "IMPRESSION: Edema."]
    assert reports["patient_id"].tolist() == ["unknown-1", "unknown-2"]
    with pytest.raises(RadbookError, match="row 1: column who is empty"):
        read_table_corpus(path, text_column="f", id_column="who")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,labels\nNA,Edema\n,Normal\n", "no row has a text in text: name the column that holds the reports"),
        ("text,labels\nWet.,\nClear.,NA\n", "no row of column labels names a category"),
        ("text,labels\nWet.,Mr Smith\nClear.,unlabeled\n", "no row of column labels names a category"),
    ],
)
def test_a_column_in_which_nothing_stands_is_refused_at_once(csv, text, message):
    with pytest.raises(RadbookError, match=message):
        read_table_corpus(csv(text), label_column="labels")
