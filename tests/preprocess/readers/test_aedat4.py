"""AEDAT 4: events among other packets, slices by time, and files that are damaged."""

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.errors import BadFileError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.readers.container import check_container
from snntx.preprocess.readers.formats.aedat4 import read, recordings
from snntx.preprocess.readers.reading import read_events, read_recordings

T0 = 1_600_000_000_000_000
"""A time of the year 2020 in microseconds: beyond int32 and float32."""


def random_events(files: Any, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Events in order of time, about 50 at each time."""
    draw = np.random.default_rng(seed)
    rows = np.zeros(count, files.COLUMNS)
    rows["t"] = T0 + np.sort(draw.integers(0, max(1, count // 50), count))
    rows["x"], rows["y"] = draw.integers(0, 346, count), draw.integers(0, 260, count)
    rows["p"] = draw.integers(0, 2, count)
    return rows


def same(found: Events | BadFileError, expected: np.ndarray[Any, Any]) -> None:
    assert isinstance(found, Events), found
    assert [c.dtype for c in found] == [np.int16, np.int16, np.int64, np.int8]
    for name, column in found._asdict().items():
        np.testing.assert_array_equal(column, expected[name])


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH"])
def test_events_among_frames_imu_and_triggers(
    tmp_path: Path, aedat4_files: Any, compression: str
) -> None:
    rows = random_events(aedat4_files, 2000)
    path = tmp_path / "écriture 1.aedat4"
    aedat4_files.write_dv(path, np.array_split(rows, 5), compression=compression)
    container = check_container(path)
    assert sorted(container.streams.values()) == ["EVTS", "FRME", "IMUS", "TRIG"]
    assert container.packets >= 8
    same(read_events(path, "aedat4"), rows)
    digest, whole = read_recordings(path, "aedat4", [()])
    assert len(digest) == 32
    same(next(iter(whole)), rows)  # type: ignore[arg-type]


def test_composed_file_by_hand(tmp_path: Path, aedat4_files: Any) -> None:
    rows = aedat4_files.events((345, 259, T0, 1), (0, 0, T0, 0), (5, 6, T0 + 7, 1))
    aedat4_files.write_plain(tmp_path / "a.aedat4", [rows[:1], rows[1:]])
    found = read(tmp_path / "a.aedat4")
    assert [c.tolist() for c in found] == [[345, 0, 5], [259, 0, 6], [T0, T0, T0 + 7], [1, 0, 1]]


# slices


def test_first_of_ties_starts_and_ends(tmp_path: Path, aedat4_files: Any) -> None:
    """40,000 events share each time, and the packets break in the middle of them."""
    rows = random_events(aedat4_files, 200_000)
    rows["t"] = T0 + np.repeat(np.arange(5), 40_000)
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, np.array_split(rows, 17))
    parts = [(T0, T0 + 2, 1), (T0 + 2, T0 + 3, 2), (T0 + 3, T0 + 4, 3)]
    found = list(recordings(path, parts))
    for events, (low, high) in zip(found, [(0, 2), (2, 3), (3, 4)], strict=True):
        same(events, rows[low * 40_000 : high * 40_000])


@pytest.mark.parametrize("packets", [1, 7, 300])
def test_any_order_and_overlap(tmp_path: Path, aedat4_files: Any, packets: int) -> None:
    rows = random_events(aedat4_files, 3000)
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, np.array_split(rows, packets))
    draw = np.random.default_rng(packets)
    times = np.unique(rows["t"])
    parts: list[tuple[int, ...]] = []
    for row in range(40):
        low, high = np.sort(draw.choice(times, 2, replace=False)).tolist()
        parts.append((low, high, row))
    parts.insert(20, ())
    for part, found in zip(parts, recordings(path, parts), strict=True):
        first = [int(np.argmax(rows["t"] == t)) for t in part[:2]] or [0, rows.size]
        same(found, rows[first[0] : first[1]])


def test_a_part_comes_out_before_the_file_ends(tmp_path: Path, aedat4_files: Any) -> None:
    """Later packets are damaged, yet what lies before them is already out."""
    rows = random_events(aedat4_files, 1000)
    path = tmp_path / "a.aedat4"
    data = bytearray(aedat4_files.write_plain(path, np.array_split(rows, 10)))
    data[-1600:-1584] = b"\xff" * 16  # times and coordinates of an event of the last packet
    path.write_bytes(data)
    times = np.unique(rows["t"]).tolist()
    stream = recordings(path, [(times[0], times[1], 1), (times[1], times[-1], 2)])
    same(next(stream), rows[rows["t"] < times[1]])
    with pytest.raises(BadFileError, match=r"a\.aedat4: packet 9: event \d+ has x 65535"):
        next(stream)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ((T0 + 1, T0 + 4, 3), rf"a\.csv: row 3 starts at {T0 + 1} us, but no event of a\.aedat4"),
        ((T0, T0 + 3, 9), rf"a\.csv: row 9 ends at {T0 + 3} us, but no event"),
        ((T0 + 4, T0, 5), rf"a\.csv: row 5 starts at {T0 + 4} us and ends at {T0} us"),
        ((T0, T0, 5), "the end does not come after the start"),
    ],
)
def test_a_bad_row_is_named_and_the_others_stand(
    tmp_path: Path, aedat4_files: Any, part: tuple[int, int, int], message: str
) -> None:
    rows = aedat4_files.events((1, 1, T0, 1), (2, 1, T0 + 2, 1), (3, 1, T0 + 4, 1))
    aedat4_files.write_plain(tmp_path / "a.aedat4", [rows])
    (tmp_path / "a.csv").touch()
    good = (T0, T0 + 2, 1)
    first, bad, last = recordings(tmp_path / "a.aedat4", [good, part, good])
    same(first, rows[:1])
    same(last, rows[:1])
    assert isinstance(bad, BadFileError)
    assert re.search(message, str(bad))


# events that are odd


def test_times_that_go_back(tmp_path: Path, aedat4_files: Any) -> None:
    rows = aedat4_files.events((1, 1, T0 + 5, 1), (2, 2, T0, 0), (3, 3, T0, 1))
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, [rows[:1], rows[1:]])
    same(read(path), rows)
    with pytest.raises(BadFileError, match=r"a\.aedat4: time goes back at event 1"):
        read_events(path, "aedat4")
    assert read_events(path, "aedat4", sort=True).x.tolist() == [2, 3, 1]


def test_one_event_and_none(tmp_path: Path, aedat4_files: Any) -> None:
    rows = aedat4_files.events((3, 4, T0, 0))
    aedat4_files.write_plain(tmp_path / "one.aedat4", [rows])
    same(read_events(tmp_path / "one.aedat4", "aedat4"), rows)
    for name, packets in (("none", []), ("empty", [rows[:0]])):
        aedat4_files.write_plain(tmp_path / f"{name}.aedat4", packets)
        with pytest.raises(BadFileError, match=rf"{name}\.aedat4: no events; a recording needs"):
            read_events(tmp_path / f"{name}.aedat4", "aedat4")


def framed(events: Events | BadFileError, **options: Any) -> np.ndarray[Any, Any]:
    assert isinstance(events, Events), events
    return frames_from_events(*events, sensor=(260, 346), tail="keep", **options)


def test_slices_of_one_event_and_of_one_microsecond(tmp_path: Path, aedat4_files: Any) -> None:
    """Both are shorter than the 12 us of 12 steps, and lose nothing."""
    path = tmp_path / "a.aedat4"
    rows = [(5, 6, T0, 1), *[(7, 8, T0 + 3, 0)] * 4, (9, 9, T0 + 4, 1)]
    aedat4_files.write_plain(path, [aedat4_files.events(*rows)])
    one, same_time = recordings(path, [(T0, T0 + 3, 1), (T0 + 3, T0 + 4, 2)])
    frames = framed(one, steps=12)
    assert frames.sum() == frames[0, 1, 6, 5] == 1
    frames = framed(same_time, steps=12)
    assert frames.sum() == frames[0, 0, 8, 7] == 4


@pytest.mark.parametrize("polarity", [0, 1])
def test_one_polarity_alone(tmp_path: Path, aedat4_files: Any, polarity: int) -> None:
    rows = random_events(aedat4_files, 300)
    rows["p"] = polarity
    path = tmp_path / "a.aedat4"
    aedat4_files.write_dv(path, [rows])
    frames = framed(read_events(path, "aedat4"), steps=3)
    assert frames.shape == (3, 2, 260, 346)
    assert frames[:, polarity].sum() == 300
    assert frames[:, 1 - polarity].sum() == 0


def test_40000_events_on_one_pixel(tmp_path: Path, aedat4_files: Any) -> None:
    rows = aedat4_files.events(*[(345, 259, T0, 1)] * 40_000)
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, np.array_split(rows, 7))
    assert framed(read_events(path, "aedat4"), steps=1)[0, 1, 259, 345] == 40_000


def test_y_240_is_an_event_like_any_other(tmp_path: Path, aedat4_files: Any) -> None:
    rows = aedat4_files.events((1, 240, T0, 1), (2, 240, T0, 0), (3, 3, T0 + 1, 1))
    aedat4_files.write_plain(tmp_path / "a.aedat4", [rows])
    same(read_events(tmp_path / "a.aedat4", "aedat4"), rows)


@pytest.mark.parametrize("row", [(346, 0, T0, 1), (0, 260, T0, 1), (-1, 0, T0, 1), (0, 0, -1, 1)])
def test_outside_the_sensor(
    tmp_path: Path, aedat4_files: Any, row: tuple[int, int, int, int]
) -> None:
    path = tmp_path / "a.aedat4"
    aedat4_files.write_plain(path, [aedat4_files.events((1, 1, T0, 1), row)])
    with pytest.raises(BadFileError, match=r"a\.aedat4: packet 0: event 1 has .* x below 346"):
        read(path)


def test_two_streams_of_events_are_ambiguous(tmp_path: Path, aedat4_files: Any) -> None:
    rows = aedat4_files.events((1, 1, T0, 1))
    streams = {3: "EVTS", 4: "EVTS"}
    aedat4_files.write_plain(tmp_path / "one.aedat4", [(4, rows)], streams=streams)
    same(read(tmp_path / "one.aedat4"), rows)
    aedat4_files.write_plain(tmp_path / "two.aedat4", [(4, rows), (3, rows)], streams=streams)
    with pytest.raises(BadFileError, match=r"two\.aedat4: events in streams 4 and 3, expected one"):
        read(tmp_path / "two.aedat4")


def test_no_stream_of_events(tmp_path: Path, aedat4_files: Any) -> None:
    aedat4_files.write_plain(tmp_path / "a.aedat4", [], streams={0: "IMUS"})
    with pytest.raises(BadFileError, match=r"no stream of events, expected one \(found IMUS\)"):
        read(tmp_path / "a.aedat4")


@pytest.mark.real
def test_real_file(real: Path) -> None:
    path = real / "aedat4" / "dvxplorer_sample.aedat4"
    events = read_events(path, "aedat4")
    assert events.size == 111_954
    assert (int(events.x.max()), int(events.y.max())) <= (319, 239)
    assert events.t[0] > 1_605_000_000_000_000
    assert 580_000 < events.duration_us < 600_000
    assert set(np.unique(events.p)) == {0, 1}
    times, counts = np.unique(events.t, return_counts=True)
    start, end = int(times[counts.argmax()]), int(times[-10])
    (part,) = recordings(path, [(start, end, 1)])
    assert isinstance(part, Events)
    first, last = np.searchsorted(events.t, [start, end])
    assert (part.size, int(part.t[0])) == (last - first, start)
    assert counts.max() > 1


# packets of other streams that the library cannot decode


def frame(format: int, pixels: bytes = bytes(4)) -> bytes:
    """One size-prefixed ``FRME`` FlatBuffer of 2 x 2 pixels in a format of OpenCV's."""
    fields = (0, 0, 0, 0, 0, 4, 6, 8, 0, 0, 12)
    body = struct.pack("<I4sHH11H2x", 36, b"FRME", 26, 16, *fields)
    body += struct.pack("<ibxhhxxII", 28, format, 2, 2, 4, len(pixels)) + pixels
    return struct.pack("<I", len(body)) + body


UNDECODABLE = {
    "rare": frame(8),
    "few pixels": frame(16),
    "other": struct.pack("<I", 20) + b"\x10\0\0\0XXXX" + bytes(12),
    "noise": b"\xff" * 40,
}


def among_frames(path: Path, files: Any, other: bytes, spoil: int = -1) -> None:
    """Write three packets of two events, each followed by another; ``spoil`` one of events."""
    data = files.header(files.description({7: "EVTS", 3: "FRME"}).encode())
    for i in range(3):
        content = files.event_packet(files.events((1, 2, 100 + 2 * i, 1), (3, 4, 101 + 2 * i, 0)))
        if i == spoil:
            content = content[:4] + b"\xff" * (len(content) - 4)
        data += struct.pack("<ii", 7, len(content)) + content
        data += struct.pack("<ii", 3, len(other)) + other
    path.write_bytes(data)


@pytest.mark.parametrize("name", UNDECODABLE)
@pytest.mark.filterwarnings("error")
def test_frames_that_cannot_be_decoded_leave_the_events_whole(
    tmp_path: Path, aedat4_files: Any, name: str
) -> None:
    path = tmp_path / "a.aedat4"
    among_frames(path, aedat4_files, UNDECODABLE[name])
    with hearing() as heard:
        events = read_events(path, "aedat4")
    assert events.t.tolist() == [100, 101, 102, 103, 104, 105]
    assert [each.kind for each in heard] == ["packets"]
    among_frames(path, aedat4_files, frame(0))
    with hearing() as heard:
        assert read_events(path, "aedat4").size == 6
    assert heard == []


@pytest.mark.parametrize("name", UNDECODABLE)
@pytest.mark.parametrize("spoil", [0, 1, 2])
def test_events_that_cannot_be_decoded_refuse_the_file_all_the_same(
    tmp_path: Path, aedat4_files: Any, name: str, spoil: int
) -> None:
    path = tmp_path / "a.aedat4"
    among_frames(path, aedat4_files, UNDECODABLE[name], spoil)
    with pytest.raises(BadFileError, match=r"packet \d of 6 cannot be decoded: .*again"):
        read_events(path, "aedat4")
