"""The soiling of report text: other spellings."""

from radbook.corpora.synthetic.noise import respelled


def test_each_dictionary_of_spellings_is_read_for_itself_however_short_it_lives():
    # A pattern kept under the address of a dictionary would be met again where the next one is put.
    letters = "abcdefghijklmnopqrstuvwxyz"
    written = [respelled(f"a {x * 4} b", {x * 4: x * 2}, lambda: 0.5, 1.0) for x in letters]
    assert written == [f"a {x * 2} b" for x in letters]
