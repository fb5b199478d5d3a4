"""AEDAT 3.1: events among packets of every kind, overflows, padding, and damage named by byte."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.errors import BadFileError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.base import reader_of
from snntx.preprocess.readers.reading import read_events
from snntx.tests.jaer_files import HEADER_3, packet, polarity, write_3

START = len(HEADER_3)
X, Y, T, P = [3, 127, 0, 64], [5, 0, 127, 64], [10, 20, 20, 35], [1, 0, 1, 0]
FOUR = polarity(X, Y, T, P)
SPECIAL = packet(struct.pack("<2I", 1, 5) * 3, kind=0)
IMU = packet(bytes(36 * 2), kind=3, size=36)
FRAME = packet(bytes(36 + 128), kind=2, size=164)


def read(path: Path) -> Events:
    return read_events(path, "aedat3")


def rows(events: Events) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in events), strict=True))


FOUR_ROWS = list(zip(X, Y, T, P, strict=True))


def refused(path: Path) -> str:
    with pytest.raises(BadFileError) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_events_among_packets_of_other_kinds(tmp_path: Path) -> None:
    path = write_3(tmp_path / "a.aedat", SPECIAL, packet(FOUR[:1]), IMU, FRAME, packet(FOUR[1:]))
    events = read(path)
    assert rows(events) == FOUR_ROWS
    assert [column.dtype for column in events] == [np.int16, np.int16, np.int64, np.int8]


def test_special_packets_are_no_events(tmp_path: Path) -> None:
    """Their events have eight bytes too."""
    path = write_3(tmp_path / "a.aedat", SPECIAL, packet(FOUR), SPECIAL)
    assert rows(read(path)) == FOUR_ROWS


def test_the_header_is_as_long_as_it_is(tmp_path: Path) -> None:
    longer = HEADER_3.replace(b"#Format", b"# a note with # in it\r\n#\r\n#Format")
    assert rows(read(write_3(tmp_path / "a.aedat", packet(FOUR), header=longer))) == FOUR_ROWS


def test_overflows_go_on_counting(tmp_path: Path) -> None:
    late = polarity([1], [2], [7], [1])
    last = polarity([1], [2], [2**31 - 1], [1])
    path = write_3(tmp_path / "a.aedat", packet(last), packet(late, overflow=1))
    assert read(path).t.tolist() == [2**31 - 1, 2**31 + 7]
    path = write_3(tmp_path / "b.aedat", packet(late, overflow=3))
    assert read(path).t.tolist() == [3 * 2**31 + 7]


def test_invalid_events_are_left_out_and_counted(tmp_path: Path) -> None:
    marked = polarity(X, Y, T, P, [1, 0, 1, 0])
    path = write_3(tmp_path / "a.aedat", packet(marked, valid=2))
    with hearing() as heard:
        assert rows(read(path)) == [FOUR_ROWS[0], FOUR_ROWS[2]]
    (said,) = heard
    assert said.whole == "with events that the camera marked as invalid: left out: 2 events"


def test_an_unknown_packet_is_passed_over_by_its_size_and_counted(tmp_path: Path) -> None:
    unknown = packet(bytes(range(50)), kind=77, size=10)
    path = write_3(tmp_path / "a.aedat", unknown, packet(FOUR), unknown)
    with hearing() as heard:
        assert rows(read(path)) == FOUR_ROWS
    (said,) = heard
    assert said.whole == "with packets of an unknown type in their file: passed over: 10 events"


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x01"])
@pytest.mark.parametrize("last", [False, True])
def test_padding_up_to_the_capacity(tmp_path: Path, filler: bytes, last: bool) -> None:
    padded = packet(FOUR[:2], capacity=6, padding=filler * 32)
    packets = [packet(FOUR[:2]), packet(FOUR[2:], capacity=9, padding=filler * 56)]
    if not last:
        packets = [padded, packet(FOUR[2:])]
    assert rows(read(write_3(tmp_path / "a.aedat", *packets))) == FOUR_ROWS


def test_a_capacity_without_padding(tmp_path: Path) -> None:
    packets = packet(FOUR[:2], capacity=6), packet(FOUR[2:], capacity=100)
    assert rows(read(write_3(tmp_path / "a.aedat", *packets))) == FOUR_ROWS


def test_padding_of_another_length_names_the_byte(tmp_path: Path) -> None:
    path = write_3(
        tmp_path / "a.aedat", packet(FOUR[:2], capacity=6, padding=bytes(31)), packet(FOUR)
    )
    assert refused(path) == (
        f"packet at byte {START}: 2 events and room for 6, but the next packet begins neither at "
        f"byte {START + 44} nor, behind the padding, at byte {START + 76}; copy or download it "
        "again"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": 5}, "5 valid of 4 events and room for 4, expected 0 <= valid <= number <= cap"),
        ({"capacity": 3}, "4 valid of 4 events and room for 3, expected 0 <= valid <= number"),
        ({"valid": -1}, "-1 valid of 4 events"),
        ({"overflow": -1}, "type 1, source 1, overflow -1, one below 0"),
        ({"kind": -1}, "type -1, source 1, overflow 0, one below 0"),
        ({"size": 16}, "polarity events of 16 bytes, time at byte 4, not 8 and 4"),
        ({"size": 0, "number": 4}, "events of 0 bytes with their time at byte 4"),
        ({"number": 2**31 - 1}, f"its events are cut off after 32 of {8 * (2**31 - 1)} bytes"),
    ],
)
def test_headers_that_cannot_be(tmp_path: Path, changes: Any, message: str) -> None:
    path = write_3(tmp_path / "a.aedat", packet(FOUR), packet(FOUR, **changes))
    assert refused(path).startswith(f"packet at byte {START + 60}: {message}")


def test_a_cut_off_file_names_the_byte_of_its_packet(tmp_path: Path) -> None:
    path = write_3(tmp_path / "a.aedat", packet(FOUR), packet(FOUR))
    whole = path.read_bytes()
    at = START + 60
    for left in range(len(whole)):
        path.write_bytes(whole[:left])
        if left in (START, START + 60):  # whole packets, or none
            continue
        line = refused(path)
        for packet_at in (at, START):
            if left > packet_at:
                found, of = left - packet_at, 28
                what = "its header is"
                if found >= 28:
                    what, found, of = "its events are", found - 28, 32
                expected = f"packet at byte {packet_at}: {what} cut off after {found} of {of} bytes"
                assert line == f"{expected}; copy or download it again"
                break
        else:
            assert "'#!END-HEADER" in line or left < len(b"#!AER-DAT3.1\r\n")


def test_files_without_events(tmp_path: Path) -> None:
    path = write_3(tmp_path / "a.aedat")
    line = f"0 packets after the header of {START} bytes, none of them with events of pixels"
    assert refused(path).startswith(line)
    path = write_3(tmp_path / "a.aedat", SPECIAL, packet(b""))
    assert refused(path).startswith("2 packets after the header of")
    path = write_3(tmp_path / "a.aedat", packet(polarity(X, Y, T, P, 0)))
    assert refused(path).startswith("no events; a recording needs at least one")


@pytest.mark.parametrize(
    ("start", "format"),
    [
        (b"#!AER-DAT2.0\r\n", "set format = aedat2-davis or aedat2-dvs128 in [events]"),
        (b"#!AER-DAT4.0\r\n", "set format = aedat4 in [events]"),
        (b"#!AER-DAT3.0\r\n", "copy or download it again"),
        (b"RIFF" + bytes(300), "not an AEDAT 3.1 file"),
    ],
)
def test_other_versions_say_what_reads_them(tmp_path: Path, start: bytes, format: str) -> None:
    (tmp_path / "a.aedat").write_bytes(start + bytes(64))
    line = refused(tmp_path / "a.aedat")
    assert line.startswith(f"starts with {start[:12]!r}" if start[0] == 35 else "starts with b'RIF")
    assert format in line


def test_two_cameras(tmp_path: Path) -> None:
    path = write_3(tmp_path / "a.aedat", packet(FOUR), packet(FOUR, source=2))
    assert refused(path).startswith("events of sources 1 and 2, expected one camera")


def test_a_negative_time_names_event_and_packet(tmp_path: Path) -> None:
    wrong = polarity([1, 1], [1, 1], [5, 2**32 - 9], [1, 1])
    path = write_3(tmp_path / "a.aedat", packet(FOUR), packet(wrong))
    assert refused(path).startswith(f"packet at byte {START + 60}: event 1 has the time -9, expec")


# cut by the rows of a table


def parts(path: Path, *wanted: tuple[int, ...]) -> list[Any]:
    return list(reader_of("aedat3").recordings(path, wanted))


def test_parts_are_cut_by_time(tmp_path: Path) -> None:
    """Start belongs to a part, end does not; parts may overlap, repeat and stand in any order."""
    path = write_3(tmp_path / "a.aedat", packet(FOUR[:2]), packet(FOUR[2:]))
    cut = parts(path, (20, 35, 1), (0, 21, 2), (20, 35, 3), ())
    assert [rows(each) for each in cut] == [
        FOUR_ROWS[1:3],
        FOUR_ROWS[:3],
        FOUR_ROWS[1:3],
        FOUR_ROWS,
    ]


def test_a_row_outside_the_recording_is_named(tmp_path: Path) -> None:
    path = write_3(tmp_path / "user01 läb.aedat", packet(FOUR))
    table = tmp_path / "user01 läb_labels.csv"
    table.write_text("class,start,end\n1,10,20\n2,36,90\n3,21,35\n4,34,36\n")
    good, after, between, last = parts(path, (10, 20, 1), (36, 90, 2), (21, 35, 3), (34, 36, 4))
    assert rows(good) == FOUR_ROWS[:1]
    assert isinstance(after, BadFileError)
    assert str(after) == (
        f"{table}: row 2 is from 36 to 90 us, but no event of user01 läb.aedat is: they lie from "
        "10 to 35 us; mend the row, or leave it out"
    )
    assert isinstance(between, BadFileError)
    assert f"{table}: row 3 is from 21 to 35 us, but no event" in str(between)
    assert rows(last) == FOUR_ROWS[3:]


def test_a_row_that_reaches_beyond_is_remarked_on(tmp_path: Path) -> None:
    path = write_3(tmp_path / "a.aedat", packet(FOUR))
    for part, said in (((10, 36, 1), 0), ((9, 36, 1), 1), ((10, 37, 1), 1)):
        with hearing() as heard:
            assert rows(parts(path, part)[0]) == FOUR_ROWS
        assert len(heard) == said


def test_a_clock_that_was_set_to_0(tmp_path: Path) -> None:
    """Between packets; which of two times a row means cannot be known."""
    late = polarity(X, Y, np.array(T) + 5_000_000, P)
    path = write_3(tmp_path / "a.aedat", packet(late), packet(FOUR))
    with pytest.raises(BadFileError, match="its clock started over at event 4, from 5000035 to 10"):
        parts(path, (10, 30, 1))
    assert refused(path).startswith("time goes back at event 4, from 5000035 to 10 us")
    small = write_3(tmp_path / "b.aedat", packet(FOUR), packet(FOUR))
    assert parts(small, (10, 36, 1))[0].t.tolist() == T + T  # refused, or sorted, when framed
