"""AEDAT 2.0 of both cameras: against tonic, and each trap of the format in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snntx.errors import BadFileError
from snntx.preprocess.disk.remarks import hearing
from snntx.preprocess.readers.jaer import header_bytes
from snntx.preprocess.readers.reading import read_events
from snntx.tests.jaer_files import HEADER_2, davis, dvs128, write_2

PLAIN = b"#!AER-DAT2.0\r\n# jAER\r\n"
BOTH = pytest.mark.parametrize(
    ("format", "address"), [("aedat2-davis", davis), ("aedat2-dvs128", dvs128)]
)


def refused(path: Path, format: str) -> str:
    with pytest.raises(BadFileError) as caught:
        read_events(path, format)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_a_davis_against_tonic(tmp_path: Path) -> None:
    """tonic mirrors both axes; its columns are ours once that is undone."""
    io = pytest.importorskip("tonic.io")
    draw = np.random.default_rng(5)
    x, y = draw.integers(0, 346, 3000), draw.integers(0, 260, 3000)
    t, p = np.sort(draw.integers(0, 10**6, 3000)), draw.integers(0, 2, 3000)
    path = write_2(tmp_path / "a.aedat", davis(x, y, p), t, header=PLAIN)
    _, _, theirs = io.read_davis_346(str(path))
    ours = read_events(path, "aedat2-davis")
    np.testing.assert_array_equal(ours.x, 345 - theirs["x"])
    np.testing.assert_array_equal(ours.y, 259 - theirs["y"])
    np.testing.assert_array_equal(ours.t, theirs["t"])
    np.testing.assert_array_equal(ours.p, theirs["p"])
    for column, known in zip(ours, (x, y, t, p), strict=True):
        np.testing.assert_array_equal(column, known)


def test_samples_and_outside_events_are_no_pixels(tmp_path: Path) -> None:
    address = davis([1, 2, 3, 4], [9, 8, 7, 6], [1, 0, 1, 0])
    address[1] |= 1 << 31
    address[2] |= 1 << 10
    path = write_2(tmp_path / "a.aedat", address, [5, 6, 7, 8])
    events = read_events(path, "aedat2-davis")
    assert [column.tolist() for column in events] == [[1, 4], [9, 6], [5, 8], [1, 0]]
    path = write_2(tmp_path / "b.aedat", address | 1 << 31, [5, 6, 7, 8])
    assert refused(path, "aedat2-davis") == "no events; a recording needs at least one"


def test_every_pixel_of_a_dvs128(tmp_path: Path) -> None:
    y, x = (each.ravel() for each in np.mgrid[:128, :128])
    t, p = np.arange(x.size), (x + y) % 2
    events = read_events(write_2(tmp_path / "a.aedat", dvs128(x, y, p), t), "aedat2-dvs128")
    for column, known in zip(events, (x, y, t, p), strict=True):
        np.testing.assert_array_equal(column, known)


def test_outside_events_of_a_dvs128_are_counted(tmp_path: Path) -> None:
    address = dvs128([1, 2, 3], [4, 5, 6], [1, 1, 0])
    address[1] = 0x8000
    path = write_2(tmp_path / "a.aedat", address, [1, 2, 3])
    with hearing() as heard:
        assert read_events(path, "aedat2-dvs128").x.tolist() == [1, 3]
    assert [each.events for each in heard] == [1]


def test_each_camera_in_the_others_card(tmp_path: Path) -> None:
    """The advice, followed, reads the file."""
    path = write_2(tmp_path / "a.aedat", dvs128([100, 0], [127, 3], [1, 0]), [1, 2])
    line = refused(path, "aedat2-davis")
    assert line == (
        "no address has a bit above bit 14 (the largest is 0x7fc9): a DVS128's, expected a "
        'DAVIS\'s; set format = "aedat2-dvs128" in [events] of the card'
    )
    assert read_events(path, line.split('"')[1]).size == 2
    assert refused(path, "daily-action-published") == line
    path = write_2(tmp_path / "b.aedat", davis([0, 345], [0, 259], [1, 0]), [1, 2])
    line = refused(path, "aedat2-dvs128")
    at = len(HEADER_2) + 8
    assert line == (
        f"the address of the record at byte {at} is 0x40d59000 (1 such), with bits above bit 15: "
        "a DAVIS's, expected a DVS128's; set format = \"aedat2-davis\" in [events] of the card"
    )
    assert read_events(path, line.split('"')[1]).size == 2
    assert refused(path, "cifar10-dvs-spikingjelly") == line


@pytest.mark.parametrize(
    "header",
    [
        HEADER_2,  # with jAER's line of the time
        PLAIN,
        b"#!AER-DAT2.0\r\n",
        b"#!AER-DAT2.0\r\n#\r\n##\t# 100% #\r\n" + b"# " + b"x" * 5000 + b"\r\n",
    ],
)
@pytest.mark.parametrize("first", [0x23000000, 0x23232323, 0x237E8823])
def test_data_that_begin_with_the_mark_of_a_comment(
    tmp_path: Path, header: bytes, first: int
) -> None:
    path = write_2(tmp_path / "a.aedat", [first, first], [1, 0x0D0A], header=header)
    assert header_bytes(path.read_bytes()) == len(header)
    events = read_events(path, "aedat2-davis")
    assert events.t.tolist() == [1, 0x0D0A]
    assert events.y.tolist() == [first >> 22 & 511] * 2


@BOTH
def test_a_cut_off_record_names_the_byte(tmp_path: Path, format: str, address: Any) -> None:
    for more in range(1, 8):
        path = write_2(
            tmp_path / "a.aedat",
            address([40], [50], [1]),
            [1],
            more=bytes(more),
        )
        assert refused(path, format) == (
            f"{8 + more} bytes from byte {len(HEADER_2)} on, after the header, are no whole number "
            f"of 8-byte records; the record at byte {len(HEADER_2) + 8} is cut off: copy or "
            "download it again"
        )


@BOTH
def test_a_file_of_nothing_but_its_header(tmp_path: Path, format: str, address: object) -> None:
    path = write_2(tmp_path / "a.aedat", [], [])
    assert refused(path, format) == "no events; a recording needs at least one"


@BOTH
@pytest.mark.parametrize("timer", [1 << 31, 1 << 32])
def test_a_counter_that_starts_over(
    tmp_path: Path, format: str, address: object, timer: int
) -> None:
    t = [timer - 2, timer - 1, 0, 5]
    path = write_2(tmp_path / "a.aedat", address([40] * 4, [50] * 4, [1] * 4), t)  # type: ignore[operator]
    line = refused(path, format)
    assert f"as of a timer of {timer} us that started over; set wraps = true" in line
    events = read_events(path, format, wraps=True)
    assert events.t.tolist() == [timer - 2, timer - 1, timer, timer + 5]


def test_a_signed_counter_goes_on_counting(tmp_path: Path) -> None:
    path = write_2(tmp_path / "a.aedat", davis([40] * 2, [50] * 2, [1] * 2), [2**31 - 1, -(2**31)])
    assert read_events(path, "aedat2-davis").t.tolist() == [2**31 - 1, 2**31]


def test_other_versions_say_what_reads_them(tmp_path: Path) -> None:
    for version, format in ((b"3.1", "aedat3"), (b"4.0", "aedat4")):
        (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT" + version + b"\r\n" + bytes(64))
        assert f"set format = {format} in" in refused(tmp_path / "a.aedat", "aedat2-davis")
    (tmp_path / "a.aedat").write_bytes(b"no header" * 8)
    assert "not an AEDAT 2.0 file" in refused(tmp_path / "a.aedat", "aedat2-davis")
    (tmp_path / "a.aedat").write_bytes(bytes(64))
    assert "all 64 bytes are 0" in refused(tmp_path / "a.aedat", "aedat2-davis")


# as others read them, by name


def plain_daily_action(words: list[tuple[int, int]]) -> list[list[int]]:
    """The published loop, restated: record by record, the last one never reached."""
    kept = []
    for address, t in words[:-1]:
        if address >> 31:
            continue
        x, y = 127 - (address >> 12 & 1023), address >> 22 & 511
        if 0 <= x < 128 and 0 <= y < 128:
            kept.append([x, y, t, 1 - (address >> 11 & 1)])
    return kept


def test_daily_action_as_published(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    address = davis(
        draw.integers(0, 346, 500), draw.integers(0, 260, 500), draw.integers(0, 2, 500)
    )
    address |= (draw.random(500) < 0.1).astype(np.int64) << 31
    address |= (draw.random(500) < 0.1).astype(np.int64) << 10
    t = np.sort(draw.integers(0, 10**6, 500))
    path = write_2(tmp_path / "a.aedat", address, t)
    expected = plain_daily_action(list(zip(address.tolist(), t.tolist(), strict=True)))
    events = read_events(path, "daily-action-published")
    assert np.stack(events, -1).tolist() == expected
    assert 20 < events.size < read_events(path, "aedat2-davis").size


def test_cifar10_dvs_as_spikingjelly(tmp_path: Path) -> None:
    path = write_2(tmp_path / "a.aedat", dvs128([3, 100], [7, 90], [1, 0]), [1, 2])
    events = read_events(path, "cifar10-dvs-spikingjelly")
    assert np.stack(events, -1).tolist() == [[120, 124, 1, 0], [37, 27, 2, 1]]
