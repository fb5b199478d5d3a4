"""ATIS files: bits by hand, overflow markers, damage, and a real recording against its oracle."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snntx.errors import BadFileError, UsageError
from snntx.preprocess.disk.files import read_file
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import decode, encode
from snntx.preprocess.readers.reading import checked, read_events


def record(x: int, y: int, p: int, t: int) -> bytes:
    """One record, composed from its description and not by the code under test."""
    return bytes([x, y]) + ((p << 23) | t).to_bytes(3, "big")


def rows(events: Events) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in row) for row in zip(*events, strict=True)]


def test_bits_by_hand() -> None:
    # polarity is bit 7 of byte 2; 0x01_02_03 = 66051 us; 0x7F_FF_FF = 8388607 us, the largest
    data = bytes.fromhex("0507 010203  FFEF 810203  0000 7FFFFF  0001 FFFFFF")
    events = decode(data, "hand.bin")
    assert rows(events) == [
        (5, 7, 66051, 0),
        (255, 239, 66051, 1),
        (0, 0, 8388607, 0),
        (0, 1, 8388607, 1),
    ]
    dtypes = [column.dtype for column in events]
    assert dtypes == [np.int16, np.int16, np.int64, np.int8]
    assert events.size == 4
    assert events.duration_us == 8388607 - 66051


def test_markers_shift_all_that_follow_and_are_dropped() -> None:
    data = b"".join(
        [
            record(1, 1, 1, 8000),
            record(9, 240, 0, 77),  # marker: +8192
            record(2, 2, 0, 100),
            record(3, 239, 1, 200),  # the row before 240 is a row
            record(9, 240, 1, 0),  # marker
            record(9, 240, 1, 0),  # and another: 3 * 8192 in all
            record(4, 241, 1, 5),  # the row after 240 is a row, too
        ]
    )
    assert rows(decode(data, "m.bin")) == [
        (1, 1, 8000, 1),
        (2, 2, 8192 + 100, 0),
        (3, 239, 8192 + 200, 1),
        (4, 241, 24576 + 5, 1),
    ]


def test_many_markers_pass_the_23_bits() -> None:
    data = record(0, 240, 0, 0) * 1100 + record(1, 2, 1, 8388607)
    assert rows(decode(data, "m.bin")) == [(1, 2, 1100 * 8192 + 8388607, 1)]


record_values = st.tuples(
    st.integers(0, 255),
    st.one_of(st.integers(0, 239), st.just(240)),
    st.integers(0, 1),
    st.integers(0, 2**23 - 1),
)


@settings(deadline=None)
@given(st.lists(record_values, min_size=1, max_size=60))
def test_equals_tonic_with_markers(values: list[tuple[int, int, int, int]]) -> None:
    from tonic.io import make_structured_array, read_mnist_file

    data = b"".join(record(*value) for value in values)
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    theirs = read_mnist_file(io.BytesIO(data), dtype, is_stream=True)
    ours = decode(data, "x.bin")
    assert make_structured_array(*ours, dtype=dtype).tolist() == theirs.tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, n) for n in (255, 239, 2**23 - 1, 1)]), max_size=50))
def test_round_trip(values: list[tuple[int, int, int, int]]) -> None:
    columns = np.array(values, np.int64).reshape(-1, 4).T
    data = encode(Events(*columns))
    assert len(data) == 5 * len(values)
    assert rows(decode(data, "r.bin")) == values


@pytest.mark.parametrize(
    ("x", "y", "t", "p"),
    [(256, 0, 0, 0), (-1, 0, 0, 0), (0, 240, 0, 0), (0, 0, 2**23, 0), (0, 0, -1, 0), (0, 0, 0, 2)],
)
def test_encode_refuses_what_does_not_fit(x: int, y: int, t: int, p: int) -> None:
    with pytest.raises(ValueError, match="ATIS"):
        encode(Events(*(np.array([v]) for v in (x, y, t, p))))


@pytest.mark.parametrize("extra", [1, 2, 3, 4])
def test_truncated_names_the_byte(tmp_path: Path, extra: int) -> None:
    path = tmp_path / "cut.bin"
    path.write_bytes(record(1, 2, 0, 3) * 2 + record(1, 2, 0, 9)[:extra])
    with pytest.raises(BadFileError, match=rf"cut\.bin: {10 + extra} bytes .* byte 10 is cut off"):
        read_events(path, "atis")


def test_empty_missing_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.bin").touch()
    with pytest.raises(BadFileError, match=r"empty\.bin: the file is empty"):
        read_events(tmp_path / "empty.bin", "atis")
    with pytest.raises(BadFileError, match=r"none\.bin: cannot be read: No such file"):
        read_file(tmp_path / "none.bin")
    with pytest.raises(BadFileError, match="cannot be read: Is a directory"):
        read_file(tmp_path)


def test_only_markers_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "markers.bin"
    path.write_bytes(record(0, 240, 0, 0) * 3)
    assert decode(path.read_bytes(), path).size == 0
    with pytest.raises(BadFileError, match=r"markers\.bin: no events"):
        read_events(path, "atis")


def test_one_event(tmp_path: Path) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(record(33, 12, 1, 4711))
    events = read_events(path, "atis")
    assert rows(events) == [(33, 12, 4711, 1)]
    assert events.duration_us == 0


def test_times_back_are_named_or_sorted_stably(tmp_path: Path) -> None:
    path = tmp_path / "back.bin"
    times = [5, 7, 6, 6, 9, 1]
    path.write_bytes(b"".join(record(i, 0, 0, t) for i, t in enumerate(times)))
    with pytest.raises(BadFileError, match=r"back\.bin: .* event 2, from 7 to 6 us \(2 such"):
        read_events(path, "atis")
    events = read_events(path, "atis", sort=True)
    assert [(x, t) for x, _, t, _ in rows(events)] == [
        (5, 1),
        (0, 5),
        (2, 6),  # ties keep their order in the file
        (3, 6),
        (1, 7),
        (4, 9),
    ]


def test_ties_are_no_step_back() -> None:
    events = decode(record(1, 1, 1, 7) * 4, "ties.bin")
    assert checked(events, "ties.bin") is events


def test_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown event format 'atsi'; did you mean 'atis'"):
        read_events("none.bin", "atsi")


@pytest.mark.real
def test_real_recording_equals_oracle(real: Path) -> None:
    with gzip.open(real / "n_mnist/oracle/1_raw_spikes.csv.gz", "rt") as file:
        table = list(csv.DictReader(file))
    expected = [(int(r["x"]) - 1, int(r["y"]) - 1, int(r["ts"]), int(r["p"]) - 1) for r in table]
    events = read_events(real / "n_mnist/Train/5/00001.bin", "atis")
    assert events.size > 1000
    assert rows(events) == expected
