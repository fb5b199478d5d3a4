"""Tables of when the recordings of a file start and end, good and bad."""

from dataclasses import replace
from pathlib import Path

import pytest

from snntx.data_cards.found import Slices
from snntx.errors import BadFileError
from snntx.preprocess.raw.slices import read_classes, read_slices, table_name, table_of

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


# classes in the table


GESTURES = replace(SPEC, class_column=1)


def test_classes_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "user01_led_labels.csv"
    path.write_text("class,startTime_usec,endTime_usec\n2,5,9\n1,9,12\n 2 ,7,30\n")
    assert read_classes(path, GESTURES, ["clap", "wave"]) == ["wave", "clap", "wave"]
    from_0 = replace(GESTURES, class_first=0)
    assert read_classes(path, from_0, ["a", "b", "c"]) == ["c", "b", "c"]
    with pytest.raises(BadFileError, match=r"row 1, column 1 holds '2', .* of a class, 0 to 1$"):
        read_classes(path, from_0, ["a", "b"])


@pytest.mark.parametrize("cell", ["0", "3", "-1", "wave", "1.0", "", "9" * 30])
def test_numbers_of_no_class(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"class,start,end\n1,5,9\n{cell},5,9\n")
    with pytest.raises(BadFileError, match=rf"a\.csv: row 2, column 1 holds '{cell}'?.*, 1 to 2$"):
        read_classes(path, GESTURES, ["clap", "wave"])


def test_a_table_of_another_name(tmp_path: Path) -> None:
    spec = replace(SPEC, suffix="_labels.csv")
    recording = tmp_path / "user01_led.aedat"
    with pytest.raises(BadFileError, match=r"recordings, user01_led_labels\.csv, is missing"):
        table_of(recording, spec)
    (tmp_path / "user01_led_labels.csv").touch()
    assert table_of(recording, spec) == table_name(recording, spec)
