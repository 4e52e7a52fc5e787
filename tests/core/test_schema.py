"""The table contracts refuse what breaks them, by name."""

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.schema import (
    CONTRACTS,
    ERRORS,
    LABELS,
    PREDICTIONS,
    SCORES,
    check,
    check_reports,
    read_table,
    write_table,
)


def labels(*rows):
    return pd.DataFrame(rows or [label_row("r1", "rules", "choice", [finding("Edema", start=0, end=5)])])


def test_write_then_read_gives_the_same_rows(tmp_path):
    frame = labels(
        label_row("r1", "rules", "choice", [finding("Edema", start=0, end=5), finding("Fracture")]),
        label_row("r1", "rules", "open", [], status="failed", note="empty report"),
    )
    path = write_table(frame, tmp_path / "labels" / "rules.parquet", LABELS)
    assert read_table(path, LABELS).to_dict("records") == frame.to_dict("records")
    assert [p.name for p in path.parent.iterdir()] == ["rules.parquet"]


def test_a_table_may_be_empty(tmp_path):
    frame = pd.DataFrame(columns=list(LABELS.columns))
    assert read_table(write_table(frame, tmp_path / "t.parquet", LABELS), LABELS).empty


def test_columns_come_out_in_the_order_of_the_contract():
    frame = labels()
    assert list(check(frame[frame.columns[::-1]], LABELS)) == list(LABELS.columns)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_keys_and_restricted_columns_are_columns(contract):
    assert set(contract.key) | set(contract.allowed) <= set(contract.columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="note"), "lacks the columns note"),
        (lambda f: f.assign(extra=1), "columns it does not know: extra"),
        (lambda f: f.assign(status="fine"), "column status: 'fine' .row 0. is none of ok, repaired, failed"),
        (lambda f: f.assign(report_id=7), "column report_id: .*expected string"),
        (lambda f: f.assign(findings="Edema"), "column findings"),
        (lambda f: f.assign(source=None), "column source: row 0 has no value"),
        (lambda f: pd.concat([f, f]), "the key report_id='r1', source='rules', task='choice' twice"),
    ],
)
def test_a_broken_table_is_refused_by_name(change, message):
    with pytest.raises(RadbookError, match=message):
        check(change(labels()), LABELS)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"code": "Edema", "presnce": "present"}, "holds a finding with the unknown keys presnce: its keys are code, presence"),
        ({"code": "Edema"}, "holds 'Edema' with the presence None, which is none of present, uncertain, absent"),
        ({"code": "Edema", "presence": "Present"}, "holds 'Edema' with the presence 'Present', which is none of"),
        ({"code": None, "presence": "present"}, "holds a finding without a code"),
        (None, "holds None, which is no finding"),
    ],
)
def test_a_broken_finding_is_refused_with_its_row(entry, message):
    good = label_row("r1", "rules", "choice", [finding("Edema")])
    with pytest.raises(RadbookError, match=rf"labels, column findings: row 1 \(report 'r2'\) {message}"):
        check(labels(good, label_row("r2", "rules", "choice", [finding("Fracture"), entry])), LABELS)


def test_half_a_character_is_named_with_its_row():
    phrases = {"a": "edema", "b": "ed\udcffema"}
    rows = [label_row(i, "rules", "choice", [finding("Edema", phrase=p)]) for i, p in phrases.items()]
    with pytest.raises(RadbookError, match=r"column findings: row 1 holds half of a character \('\\udcff'\)"):
        check(labels(*rows), LABELS)


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ({"text": ["a"]}, "table reports lacks the columns report_id"),
        ({"report_id": ["1", 2], "text": ["a", "b"]}, r"report_id: row 1 holds 2 \(expected string\): use astype\(str\)"),
        ({"report_id": ["1", None], "text": ["a", "b"]}, "column report_id: row 1 has no value"),
        ({"report_id": ["1", "2", "1"], "text": ["a"] * 3}, r"the key report_id='1' twice \(again in row 2\)"),
        ({"report_id": ["1", "2"], "text": ["a", 2.5]}, r"column text: row 1 holds 2.5 \(expected string\)"),
        ({"report_id": ["1", "2"], "text": ["a", "b\udcff"]}, "column text: row 1 holds half of a character"),
    ],
)
def test_reports_that_no_labeler_can_take_are_refused(reports, message):
    with pytest.raises(RadbookError, match=message):
        check_reports(pd.DataFrame(reports, dtype=object))


def test_a_missing_text_is_no_reason_to_refuse_reports():
    check_reports(pd.DataFrame({"report_id": ["a", "b", "c", "d"], "text": ["x", None, float("nan"), pd.NA]}))


def test_a_prediction_may_lack_its_reply():
    assert check(labels().assign(reply=None), PREDICTIONS)["reply"].isna().all()


def test_a_score_may_lack_its_interval():
    row = {
        "task": "choice", "source": "rules", "reference": "curated", "policy": "certain", "label": "micro",
        "metric": "f1", "value": 0.5, "low": None, "high": None, "n_reports": 2, "n_patients": 2, "n_positive": 1,
    }  # fmt: skip
    assert len(check(pd.DataFrame([row]), SCORES)) == 1


def test_a_refused_table_leaves_the_old_file_alone(tmp_path):
    path = write_table(labels(), tmp_path / "t.parquet", LABELS)
    with pytest.raises(RadbookError):
        write_table(labels().assign(status="fine"), path, LABELS)
    assert len(read_table(path, LABELS)) == 1


def test_a_missing_file_names_the_table(tmp_path):
    with pytest.raises(RadbookError, match="run the chapter that writes the labels table"):
        read_table(tmp_path / "none.parquet", LABELS)


def test_errors_hold_codes_and_truth_values_and_no_text(tmp_path):
    names = {"report_id": "r1", "task": "choice", "code": "Edema", "source": "rules", "kind": "miss", "curated": "present"}
    names |= {"predicted": "absent", "status": "ok", "fate": "shared"}
    flags = dict.fromkeys(("negation", "hedge", "comparison", "device", "rare_word", "long_report"), False)
    frame = pd.DataFrame([names | flags])
    assert read_table(write_table(frame, tmp_path / "errors.parquet", ERRORS), ERRORS).to_dict("records") == [names | flags]
    assert ERRORS.columns.keys().isdisjoint({"text", "phrase", "rule", "reply"})
    with pytest.raises(RadbookError, match=r"column fate: 'lost' .* is none of corrected, shared, added"):
        check(frame.assign(fate="lost"), ERRORS)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"garbage"), "cannot be used: .*arquet"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "cannot be used: .*arquet"),
        (lambda path: labels().drop(columns="findings").to_parquet(path), "table labels lacks the columns findings"),
        (lambda path: labels().assign(findings="none").to_parquet(path), "table labels, column findings: "),
        (lambda path: labels().assign(status="lost").to_parquet(path), "'lost' .row 0. is none of ok, repaired, failed"),
    ],
)
def test_a_damaged_or_older_file_is_named_with_what_to_do(tmp_path, spoil, reason):
    path = write_table(labels(), tmp_path / "rules.parquet", LABELS)
    spoil(path)
    with pytest.raises(RadbookError, match=reason) as caught:
        read_table(path, LABELS)
    assert str(path) in str(caught.value)
    assert "delete it and run the chapter that writes the labels table again" in str(caught.value)
