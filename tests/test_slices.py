"""Tables of when the recordings of a file start and end, good and bad."""

from pathlib import Path

import pytest

from snntx.data_cards.schema import Slices
from snntx.errors import BadFileError
from snntx.preprocess.slices import read_slices

SPEC = Slices(identity="{drawer}", field="drawer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 rows, expected 1 of header and at least one"),
        ("n,start,end\n", "1 rows, expected 1 of header and at least one"),
        ("n,start,end\n0,5,9\n1,7", "row 2 has 2 columns, expected a time in column 3"),
        ("n,start,end\n0,5,x", "row 1, column 3 holds 'x', expected a time in whole"),
        ("n,start,end\n0,1.6e15,9", "row 1, column 2 holds '1.6e15', expected"),
        ("n,start,end\n0,-5,9", "row 1, column 2 holds '-5', expected"),
        ("n,start,end\n0,9,9", "row 1 starts at 9 us and ends at 9 us; expected an end after"),
        (f"n,start,end\n0,5,{10**25}", "row 1, column 3 holds"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "0001.csv"
    path.write_text(text)
    with pytest.raises(BadFileError, match=rf"0001\.csv: {message}"):
        list(read_slices(path, SPEC))


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = tmp_path / "0001.csv"
    path.write_bytes(b'\xef\xbb\xbf"",start,end\r\n0, 5 ,"9"\r\n\r\n1,9,12\r\n')
    assert list(read_slices(path, SPEC)) == [(5, 9, 1), (9, 12, 2)]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFileError, match=r"0001\.csv: not a table of text"):
        list(read_slices(path, SPEC))
