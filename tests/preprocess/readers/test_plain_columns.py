"""Plain columns of a user's own files, by the names and the unit that a card gives."""

import io
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from snntx.data_cards.tables import TIME_UNITS, Columns
from snntx.errors import BadFileError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.events import NOWHERE
from snntx.preprocess.readers import datasets
from snntx.preprocess.readers.arrays import header
from snntx.preprocess.readers.base import READERS, place_of, reader_of
from snntx.preprocess.readers.chosen import ROUNDED, times
from snntx.preprocess.readers.formats.plain import npz
from snntx.preprocess.readers.reading import read_events
from snntx.tests import plain_files
from snntx.tests.plain_files import NAMES, some, table

Write = Callable[[Path, Any], Path]
WRITERS: dict[str, Write] = {
    "csv": plain_files.write_csv,
    "hdf5": plain_files.write_hdf5,
    "npy": plain_files.write_npy,
    "npz": plain_files.write_npz,
}
plain = pytest.mark.parametrize("format", sorted(WRITERS))


def spelled(format: str, **columns: str) -> str:
    """A format with what a card says of its columns."""
    text = Columns(**columns).text  # type: ignore[arg-type]
    return f"{format}?{text}" if text else format


def write(folder: Path, format: str, columns: Any) -> Path:
    return WRITERS[format](folder / f"één file.{format}", columns)


def assert_read(path: Path, format: str, columns: Any, **options: Any) -> None:
    found = read_events(path, format, **options)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(found, name), columns[name])


def refused(path: Path, format: str) -> str:
    with pytest.raises(BadFileError) as caught:
        read_events(path, format)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


# ---------------------------------------------------------------- names and units


@plain
def test_names_that_a_card_gives(tmp_path: Path, format: str) -> None:
    names = {"t": "time stamp", "x": "größe", "y": "Y", "p": "on/off" if format != "npy" else "on"}
    path = write(tmp_path, format, {names[name]: some()[name] for name in NAMES})
    assert_read(path, spelled(format, **names), some())


@plain
def test_further_columns_are_passed_over(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, {"id": np.arange(200), **some(), "note": np.zeros(200)})
    assert_read(path, format, some())


@plain
@pytest.mark.parametrize(("unit", "times_us"), [("ms", 1000), ("s", 1_000_000), ("us", 1)])
def test_units_of_whole_times(tmp_path: Path, format: str, unit: str, times_us: int) -> None:
    path = write(tmp_path, format, some())
    assert_read(path, spelled(format, unit=unit), {**some(), "t": some()["t"] * times_us})


@plain
@pytest.mark.parametrize(("unit", "of_us"), [("ms", 1e-3), ("s", 1e-6), ("ns", 1e3), ("us", 1.0)])
def test_units_of_real_times(tmp_path: Path, format: str, unit: str, of_us: float) -> None:
    path = write(tmp_path, format, {**some(), "t": some()["t"] * of_us})
    assert_read(path, spelled(format, unit=unit), some())


def test_whole_nanoseconds_are_rounded() -> None:
    given = np.array([-1501, -500, 499, 500, 1499, 1_600_000_000_123_456_789])
    wanted = [-2, 0, 0, 1, 1, 1_600_000_000_123_457]
    assert times(given, "t", "ns", "a").tolist() == wanted


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from(["ms", "s"]))
def test_seconds_of_microseconds_come_back(wanted: list[int], unit: str) -> None:
    values = np.array(wanted) / {"ms": 1e3, "s": 1e6}[unit]
    assert times(values, "t", unit, "a").tolist() == wanted


@plain
def test_fractions_of_a_microsecond_say_how_to_go_on(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, {**some(), "t": some()["t"] / 1e6})
    line = refused(path, format)
    assert re.search(r"t\[\d+\] is 0\.\d+ \(\d+ such values\), expected whole numbers", line)
    assert line.endswith("set unit in [events.columns] of the card where times are no microseconds")
    assert_read(path, spelled(format, unit="s"), some())


@pytest.mark.parametrize("unit", TIME_UNITS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_times_that_are_none(unit: str, value: float) -> None:
    with pytest.raises(BadFileError, match=r"^a: t\[1\] is "):
        times(np.array([0.0, value]), "t", unit, "a")


@pytest.mark.parametrize("unit", ["ms", "s"])
def test_whole_times_that_are_too_large(unit: str) -> None:
    with pytest.raises(BadFileError, match=r"^a: t\[1\] is 9000000000000000000 "):
        times(np.array([0, 9 * 10**18]), "t", unit, "a")


def test_coarse_times_are_remarked_on() -> None:
    seconds = np.array([1.6e9, 1.6e9 + 0.5])
    for values, unit, told in (
        (seconds.astype(np.float32), "s", True),
        (seconds, "s", False),
        (np.array([1.7e7], np.float32), "us", True),
        (np.array([1.6e7], np.float32), "us", False),
        (np.array([1e15]), "ns", False),
    ):
        with hearing() as heard:
            times(values, "t", unit, "a")
        assert [each.text for each in heard] == [ROUNDED] * told, (values, unit)


def test_columns_come_back_from_their_text() -> None:
    for columns in (
        Columns(),
        Columns(t="events/t s&=?%", unit="ns"),
        Columns("1", "2", "3", "4", along="rows"),
        Columns(t=""),
    ):
        assert Columns.of(columns.text) == columns
    assert Columns().text == ""


def test_what_a_card_says_goes_with_the_name_of_the_format() -> None:
    assert place_of("npz?t=ts") == "npz?t=ts"
    assert reader_of("npz?t=ts&unit=s").columns == Columns(t="ts", unit="s")
    assert reader_of("npz").columns == Columns()
    assert [n for n in READERS.shipped() if READERS.get(n).takes_columns] == sorted(WRITERS)


# ---------------------------------------------------------------- columns that are none


@plain
def test_a_missing_column_is_named(tmp_path: Path, format: str) -> None:
    columns = {"time": some()["t"], **{n: some()[n] for n in "xyp"}}
    path = write(tmp_path, format, columns)
    line = refused(path, format)
    assert re.search(r"no (column|field) 't'", line)
    assert all(name in line for name in columns)
    assert line.endswith("set t = NAME in [events.columns] of the card")
    assert_read(path, spelled(format, t="time"), some())
    assert "did you mean 'time'?" in refused(path, spelled(format, t="tme"))


@plain
@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("x", 3, -1, r"x\[3\] is -1 \(1 such values\), expected whole numbers from 0 to 32767"),
        ("y", 4, 40_000, r"y\[4\] is 40000"),
        ("p", 5, 2, r"p\[5\] is 2"),
        ("p", 5, -1, r"p\[\d+\] is 0, but others are -1; expected -1 and 1, or 0 and 1"),
    ],
)
def test_values_that_are_none(
    tmp_path: Path, format: str, name: str, at: int, value: int, message: str
) -> None:
    columns = some()
    columns[name][at] = value
    assert re.search(message, refused(write(tmp_path, format, columns), format))


@plain
def test_polarities_of_both_kinds(tmp_path: Path, format: str) -> None:
    signed = {**some(), "p": 2 * some()["p"] - 1}
    assert_read(write(tmp_path, format, signed), format, some())


@plain
def test_coordinates_outside_may_be_dropped(tmp_path: Path, format: str) -> None:
    columns = {**some(), "x": some()["x"].astype(float)}
    columns["x"][[2, 9]] = -3, 7.5
    path = write(tmp_path, format, columns)
    assert 'set outside = "drop"' in refused(path, format)
    assert np.flatnonzero(read_events(path, format, drops=True).x == NOWHERE).tolist() == [2, 9]


@plain
def test_traps_of_every_reader(tmp_path: Path, format: str) -> None:
    one = {name: values[:1] for name, values in some().items()}
    assert_read(write(tmp_path, format, one), format, one)
    ties = {**some(), "t": np.full(200, 1_600_000_000_000_000)}
    assert_read(write(tmp_path, format, ties), format, ties)
    off = {**some(), "p": np.zeros(200, int)}
    assert_read(write(tmp_path, format, off), format, off)
    back = {**some(), "t": some()["t"][::-1]}
    path = write(tmp_path, format, back)
    assert "time goes back at event" in refused(path, format)
    assert read_events(path, format, sort=True).t.tolist() == some()["t"].tolist()
    none = {name: values[:0] for name, values in some().items()}
    assert "no events" in refused(write(tmp_path, format, none), format)
    wrapped = {**some(), "t": (np.sort(some()["t"]) + 2**32 - 40_000) % 2**32}
    path = write(tmp_path, format, wrapped)
    assert "set wraps = true" in refused(path, format)
    assert np.diff(read_events(path, format, wraps=True).t).min() >= 0


@pytest.mark.parametrize("format", ["hdf5", "npz"])
def test_columns_of_other_lengths_and_types(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, {**some(), "y": some()["y"][:-1]})
    assert "columns differ in length (t 200, x 200, y 199, p 200)" in refused(path, format)
    path = write(tmp_path, format, {**some(), "y": some()["y"].reshape(2, 100)})
    assert "column 'y' is 2 x 100, expected one value for each event" in refused(path, format)
    path = write(tmp_path, format, {**some(), "p": np.int64(1)} if format == "npz" else some())
    if format == "npz":
        assert "column 'p' is a single value" in refused(path, format)
    tall = {name: values[:, None] for name, values in some().items()}
    assert_read(write(tmp_path, format, tall), format, some())
    wide = {name: values[None].astype(np.float64) for name, values in some().items()}
    assert_read(write(tmp_path, format, wide), format, some())


@pytest.mark.parametrize("kind", ["?", "i1", "u1", ">i4", "u8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("format", ["hdf5", "npy", "npz"])
def test_columns_of_every_type(tmp_path: Path, format: str, kind: str) -> None:
    columns = {**some(), "p": some()["p"].astype(kind)}
    assert_read(write(tmp_path, format, columns), format, some())


# ---------------------------------------------------------------- arrays without names


ROWS = {"t": "1", "x": "2", "y": "3", "p": "4", "along": "rows"}
COLUMNS = {**ROWS, "along": "columns"}


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float64, np.float32])
@pytest.mark.parametrize("fortran", [False, True])
def test_one_array_along_rows_or_columns(tmp_path: Path, kind: Any, fortran: bool) -> None:
    path = tmp_path / "a.npy"
    for columns, array in ((ROWS, table(some()).T), (COLUMNS, table(some()))):
        np.save(path, (np.asfortranarray if fortran else np.ascontiguousarray)(array.astype(kind)))
        assert_read(path, spelled("npy", **columns), some())
        other = COLUMNS if columns is ROWS else ROWS
        line = refused(path, spelled("npy", **other))
        shape = "(4, 200)" if columns is ROWS else "(200, 4)"
        assert (
            f"is of shape {shape}: {'(4, n)' if columns is ROWS else '(n, 4)'}, an event a" in line
        )
        assert f"set along = '{columns['along']}' in [events.columns] of the card" in line


@pytest.mark.parametrize("columns", [ROWS, COLUMNS], ids=["rows", "columns"])
def test_four_events_are_ambiguous(tmp_path: Path, columns: dict[str, str]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, table(some(4)))
    assert "the array is 4 x 4: nobody can say whether an event is a row" in refused(
        path, spelled("npy", **columns)
    )
    for few in (1, 3, 5):
        np.save(path, table(some(few)).T if columns is ROWS else table(some(few)))
        assert_read(path, spelled("npy", **columns), some(few))
    plain_files.write_npy(path, some(4))  # the way out that the line names
    assert_read(path, "npy", some(4))


@pytest.mark.parametrize("shape", [(5, 7), (4,), (3, 4, 2), ()])
def test_arrays_of_other_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(shape))
    assert f"the array is of shape {shape}, expected (4, n)" in refused(
        path, spelled("npy", **ROWS)
    )


def test_an_array_without_names_has_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, table(some()))
    line = refused(path, "npy")
    assert "the array has no named fields, so no 't': it is of shape (200, 4)" in line
    assert "set t = '1' to '4', the column's number, in [events.columns] of the card" in line
    assert_read(path, spelled("npy", **COLUMNS), some())


@pytest.mark.parametrize("format", ["hdf5", "npz"])
def test_parts_of_an_array_among_others(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, {"events": table(some()).T, "note": np.zeros(3)})
    names = {key: f"events/{name}" for key, name in ROWS.items() if key != "along"}
    assert_read(path, spelled(format, **names, along="rows"), some())
    assert "array 'events' is of shape (4, 200): (4, n)" in refused(path, spelled(format, **names))
    named = np.load(plain_files.write_npy(tmp_path / "named.npy", some()))
    path = write(tmp_path, format, {"events": named})
    assert_read(path, spelled(format, **{name: f"events/{name}" for name in NAMES}), some())
    line = refused(path, spelled(format, t="events/time", x="events/x", y="events/y", p="events/p"))
    assert "array 'events' has no field 'time'" in line


# ---------------------------------------------------------------- npy and npz


@pytest.mark.parametrize("format", ["npy", "npz"])
def test_no_pickle_is_read(tmp_path: Path, format: str) -> None:
    held = np.empty(4, object)
    path = tmp_path / f"a.{format}"
    if format == "npy":
        np.save(path, held)
    else:
        plain_files.write_npz(path, {**some(), "t": held})
    line = refused(path, format)
    assert "a pickled array of objects, expected numbers" in line
    if format == "npz":  # what is not asked for is not read
        plain_files.write_npz(path, {**some(), "more": held})
        assert_read(path, format, some())


def npy_of(text: bytes, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    width = "<H" if version == b"\x01\x00" else "<I"
    return header.MAGIC + version + struct.pack(width, len(text)) + text + content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "describes no array"),
        (b"{'descr': '<i8', 'fortran_order': False}", "no table of descr, fortran_order and shape"),
        (b"{'descr': '<i8', 'fortran_order': 0, 'shape': (1,)}", "fortran_order 0"),
        (b"{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}", r"shape \(-1,\)"),
        (b"{'descr': '<i8', 'fortran_order': False, 'shape': [1]}", r"shape \[1\]"),
        (b"{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}", "describes no array"),
        (b"{'descr': [('t', 'x', 7, 8)], 'fortran_order': False, 'shape': (1,)}", "describes no a"),
        (b"__import__('os').system('true')", "describes no array"),
        (b"(" * 9000, "brackets more than 8 deep"),
        (b"[" * 4 + b"-" * 9000 + b"1" + b"]" * 4, "describes no array"),
        (b"9" * 9000, "describes no array"),
        (
            b"{'descr': '<i8', 'fortran_order': False, 'shape': (1099511627776, 1099511627776)}",
            "0 bytes after the header, which says 9671406556917033397649408: cut off",
        ),
        (
            b"{'descr': '<i8', 'fortran_order': False, 'shape': (4611686018427387904,)}",
            "0 bytes after the header, which says 36893488147419103232",
        ),
    ],
)
def test_headers_that_are_none(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy_of(text))
    assert re.search(message, refused(path, "npy"))


def test_headers_of_every_version(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    whole = plain_files.write_npy(path, some()).read_bytes()
    at = 10 + int.from_bytes(whole[8:10], "little")
    text, content = whole[10:at], whole[at:]
    for version in (b"\x02\x00", b"\x03\x00"):
        path.write_bytes(npy_of(text, content, version))
        assert_read(path, "npy", some())
    path.write_bytes(npy_of(text, content, b"\x04\x00"))
    assert "version 4.0 of .npy, expected 1.0, 2.0 or 3.0" in refused(path, "npy")
    path.write_bytes(header.MAGIC + b"\x02\x00" + struct.pack("<I", 1 << 31) + text)
    assert "header of 2147483648 bytes, expected at most 16384" in refused(path, "npy")
    path.write_bytes(npy_of(text, content)[:40])
    assert "ends within its header at byte 10: cut off" in refused(path, "npy")
    path.write_bytes(npy_of(text, content + b"\0"))
    assert "with bytes left over" in refused(path, "npy")


def test_a_zip_that_claims_more_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plain_files.write_npz(tmp_path / "a.npz", {**some(), "t": np.zeros(1_000_000)})
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(npz, "MOST_BYTES", 100_000)
    assert "array 't': 8000128 bytes inflated, 100000 of 100000 are left" in refused(path, "npz")
    plain_files.write_npz(path, some())
    monkeypatch.setattr(npz, "MOST_BYTES", 3_000)
    assert "array 'x': 1728 bytes inflated, 1272 of 3000 are left" in refused(path, "npz")


def test_a_zip_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    whole = plain_files.write_npz(path, some()).read_bytes()
    at = whole.index(b"PK\x01\x02")
    path.write_bytes(whole[: at + 24] + struct.pack("<I", 100) + whole[at + 28 :])
    assert "array 't'" in refused(path, "npz")  # a smaller size than it inflates to
    changed = bytearray(whole)
    changed[whole.index(b"PK\x03\x04") + 60] ^= 0xFF
    path.write_bytes(changed)
    assert "array 't': cannot be inflated" in refused(path, "npz")
    file = io.BytesIO(whole)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("t.npy", b"")
    path.write_bytes(file.getvalue())
    assert "two arrays 't', expected one of a name" in refused(path, "npz")
    np.save(tmp_path / "b.npy", np.zeros(3))
    path.write_bytes((tmp_path / "b.npy").read_bytes())
    assert "one array (.npy), expected a zip of them; format = 'npy'" in refused(path, "npz")


def test_an_encrypted_array(tmp_path: Path) -> None:
    path = plain_files.write_npz(tmp_path / "a.npz", some())
    whole = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(mark) + at] |= 1
    path.write_bytes(whole)
    assert "cannot be inflated: " in refused(path, "npz")


# ---------------------------------------------------------------- csv


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
def test_what_stands_between_columns(tmp_path: Path, mark: str) -> None:
    path = plain_files.write_csv(tmp_path / "a.csv", some(), mark=mark)
    assert_read(path, "csv", some())


@pytest.mark.parametrize("mark", [",", " "])
def test_columns_by_number(tmp_path: Path, mark: str) -> None:
    columns = {"a": np.arange(200), **some()}
    path = plain_files.write_csv(tmp_path / "a.csv", columns, header=None, mark=mark)
    numbers = {"t": "2", "x": "3", "y": "4", "p": "5"}
    assert_read(path, spelled("csv", **numbers), some())
    plain_files.write_csv(path, columns, mark=mark)
    line = refused(path, spelled("csv", **numbers))
    assert "line 1, column 2 holds 't', expected a number; set the names of the first line" in line
    assert_read(path, "csv", some())


def test_tables_as_programs_write_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [",".join(map(str, row)) for row in table(some()).tolist()]
    for text in (
        "# t, x ,y,p\r\n" + "\r\n".join(lines) + "\r\n",
        '\ufeff"t","x","y","p"\n'
        + "\n".join(f'"{line}"'.replace(",", '","') for line in lines)
        + "\n",
        "\n\nt,x,y,p\n# a note\n" + "\n\n".join(lines) + "\n\n",
    ):
        path.write_bytes(text.encode())
        assert_read(path, "csv", some())
    np.savetxt(path, table(some()), header="t x y p")
    assert_read(path, "csv", some())


def test_times_since_1970_keep_every_microsecond(tmp_path: Path) -> None:
    columns = {**some(), "t": some()["t"] + 1_600_000_000_000_001}
    assert_read(plain_files.write_csv(tmp_path / "a.csv", columns), "csv", columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,x,y,p\n1,2,3,1\n2,2,x,1\n", r"line 3, column 3 holds 'x', expected a number$"),
        (
            "t,x,y,p\n1,2,3,1\n2,2,3\n",
            r"line 3 has 3 columns, expected a number in column 4 \('p'\)",
        ),
        ("t,x,y,p\n1,2,3,1\n2,2,3,1", r"its last line, 3, has no end: cut off\?"),
        ("t,x,y,p\n1,2,3,on\n", r"line 2, column 4 holds 'on', expected a number"),
        ("t,x,y,p\n", "no events"),
        ("\n", r"no column 't' \(found none\)"),
        ("# nothing\n", r"no column 't' \(found nothing\)"),
    ],
)
def test_lines_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert re.search(message, refused(path, "csv"))


def test_text_of_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = plain_files.write_csv(path, some()).read_text()
    path.write_bytes(text.encode("utf-16"))
    assert "text in UTF-16, expected UTF-8; save it as UTF-8" in refused(path, "csv")
    path.write_bytes(b"\xff" + text.encode())
    assert "byte 0 is not UTF-8 (in line 1); save it as UTF-8" in refused(path, "csv")


# ---------------------------------------------------------------- HDF5


def test_groups_and_compound_datasets(tmp_path: Path) -> None:
    path = plain_files.write_hdf5(tmp_path / "a.h5", {f"events/{n}": v for n, v in some().items()})
    names = {name: f"events/{name}" for name in NAMES}
    assert_read(path, spelled("hdf5", **names), some())
    assert_read(path, spelled("hdf5", **{n: f"/{v}" for n, v in names.items()}), some())
    assert "no column 't' (found events/p, events/t, events/x, events/y)" in refused(path, "hdf5")
    assert "no column 'events'" in refused(path, spelled("hdf5", t="events"))


def test_a_file_of_matlab_7_3_is_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in some().items():
            file[name] = values[None].astype(np.float64)
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=r"a MATLAB 7\.3 \(HDF5\) file, expected MATLAB 5"):
        read_events(path, "mat")
    assert_read(path, "hdf5", some())
    savemat(path, some())
    assert "a MATLAB 5 file, expected one of format hdf5; set format = mat" in refused(path, "hdf5")


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    secret = plain_files.write_hdf5(tmp_path / "secret.h5", some())
    path = tmp_path / "a.h5"
    rest = {name: some()[name] for name in "xyp"}
    plain_files.write_hdf5(path, rest)
    with h5py.File(path, "a") as file:
        file["t"] = h5py.ExternalLink(str(secret), "t")
    assert f"'t' of 't' is a link to 't' of {secret}, expected a dataset" in refused(path, "hdf5")
    plain_files.write_hdf5(path, rest)
    with h5py.File(path, "a") as file:
        file["t"] = h5py.SoftLink("/x")
    assert "'t' of 't' is a link to '/x', expected a dataset of the file itself" in refused(
        path, "hdf5"
    )
    plain_files.write_hdf5(path, rest)
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((200,), "i8")
        layout[:] = h5py.VirtualSource(secret, "t", (200,))
        file.create_virtual_dataset("t", layout)
    assert "dataset 't' keeps its values in another file" in refused(path, "hdf5")
    plain_files.write_hdf5(path, rest)
    (tmp_path / "raw").write_bytes(some()["t"].tobytes())
    with h5py.File(path, "a") as file:
        file.create_dataset("t", (200,), "i8", external=[(str(tmp_path / "raw"), 0, 1600)])
    assert "dataset 't' keeps its values in another file" in refused(path, "hdf5")


def test_datasets_that_are_no_numbers(tmp_path: Path) -> None:
    path = plain_files.write_hdf5(tmp_path / "a.h5", {name: some()[name] for name in "xyp"})
    for value, message in (
        (["a"] * 200, "dataset 't' is of type object, expected real numbers"),
        (np.zeros(200, "S4"), "dataset 't' is of type"),
        (h5py.Empty("f8"), "dataset 't' is of type float64, expected real numbers"),
        (np.zeros(200, np.complex64), "dataset 't' is of type complex64"),
    ):
        with h5py.File(path, "a") as file:
            file.pop("t", None)
            file["t"] = value
        assert message in refused(path, "hdf5")


def test_a_dataset_that_claims_more_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plain_files.write_hdf5(tmp_path / "a.h5", {name: some()[name] for name in "xyp"})
    with h5py.File(path, "a") as file:
        file.create_dataset("t", (1 << 40,), "i8", chunks=(1024,))
    assert path.stat().st_size < 20_000
    assert f"dataset 't': {1 << 43} bytes, {1 << 29} of {1 << 29} are left" in refused(path, "hdf5")
    plain_files.write_hdf5(path, some())
    monkeypatch.setattr(datasets, "MOST_BYTES", 3_000)
    assert "dataset 'x': 1600 bytes, 1400 of 3000 are left for a file" in refused(path, "hdf5")


def test_damaged_chunks(tmp_path: Path) -> None:
    path = plain_files.write_hdf5(tmp_path / "a.h5", some(5_000))
    with h5py.File(path) as file:
        where = file["y"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[where.byte_offset : where.byte_offset + 40] = bytes(40)
    path.write_bytes(content)
    assert "dataset 'y' cannot be read: " in refused(path, "hdf5")
