"""Tables of when the recordings of a file start and end, good and bad."""

from dataclasses import replace
from pathlib import Path

import pytest

from snntx.data_cards.found import Slices
from snntx.errors import BadFileError
from snntx.preprocess.raw.slices import read_slices

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


@pytest.mark.parametrize("rows", [1, 3])
def test_another_number_of_rows(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "0001.csv"
    path.write_text("n,start,end\n" + "".join(f"{i},{i},{i + 1}\n" for i in range(rows)) + "\n")
    spec = replace(SPEC, recordings=2)
    with pytest.raises(BadFileError, match=rf"0001\.csv: {rows} rows below .*, expected 2, one"):
        list(read_slices(path, spec))
    assert len(list(read_slices(path, SPEC))) == rows
    assert len(list(read_slices(path, replace(SPEC, recordings=rows)))) == rows


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = tmp_path / "0001.csv"
    path.write_bytes(b'\xef\xbb\xbf"",start,end\r\n0, 5 ,"9"\r\n\r\n1,9,12\r\n')
    assert list(read_slices(path, SPEC)) == [(5, 9, 1), (9, 12, 2)]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFileError, match=r"0001\.csv: not a table of text"):
        list(read_slices(path, SPEC))
