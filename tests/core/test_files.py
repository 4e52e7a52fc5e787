import pytest

from radbook.core.files import read_json, replacing, write_json, write_text


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    file = tmp_path / "new" / "told.json"
    write_json({"name": "Zoë"}, file)
    assert file.read_bytes() == '{\n "name": "Zoë"\n}\n'.encode()
    with pytest.raises(OSError, match="disk"), replacing(file) as partial:
        partial.write_text("half")
        raise OSError("the disk is full")
    assert read_json(file) == {"name": "Zoë"}
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_no_json_reads_as_nothing(tmp_path):
    write_text("{", tmp_path / "half.json")
    (tmp_path / "other.json").write_bytes(b"\xff")
    assert [read_json(tmp_path / f"{name}.json") for name in ("half", "other", "none")] == [None] * 3
