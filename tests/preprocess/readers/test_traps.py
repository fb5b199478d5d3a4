"""What every recording can be in any format: short, tied, one-sided, out of order, outside.

The same columns are written in each format, read and framed as a build does it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from snntx.errors import BadFileError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.recording import frame_recording
from snntx.preprocess.readers.base import reader_of
from snntx.preprocess.readers.reading import Usable, read_recordings, usable
from snntx.tests import jaer_files

Columns = tuple[NDArray[np.int64], ...]
SIDE, STEPS = 100, 4


def write_davis(path: Path, columns: Columns) -> Path:
    x, y, t, p = columns
    return jaer_files.write_2(path, jaer_files.davis(x, y, p), t)


def write_dvs128(path: Path, columns: Columns) -> Path:
    x, y, t, p = columns
    return jaer_files.write_2(path, jaer_files.dvs128(x, y, p), t)


def write_aedat3(path: Path, columns: Columns) -> Path:
    events = jaer_files.polarity(*columns)
    return jaer_files.write_3(path, *map(jaer_files.packet, np.array_split(events, 3)))


WRITERS: dict[str, Callable[[Path, Columns], Path]] = {
    "aedat2-davis": write_davis,
    "aedat2-dvs128": write_dvs128,
    "aedat3": write_aedat3,
    "gesture-hdf5": jaer_files.write_gesture,
}
everywhere = pytest.mark.parametrize("format", WRITERS)


def columns(t: list[int], x: int | None = None, p: int | None = None) -> Columns:
    n = np.arange(len(t))
    column = 7 + n % 90 if x is None else np.full(n.size, x)
    return column, 5 + n % 90, np.array(t), n % 2 if p is None else np.full(n.size, p)


def framed(
    folder: Path, format: str, held: Columns, sort: bool = False, outside: str = "stop"
) -> tuple[Events, NDArray[np.float32]]:
    path = WRITERS[format](folder / "a folder/é ü.rec", held)
    options = FrameOptions(steps=STEPS, sensor=(SIDE, SIDE), tail="keep")
    _, (events,) = read_recordings(path, format, [()], drops=outside == "drop")
    assert isinstance(events, Events)
    kept = usable(events, path, Usable(format, sort, outside=outside), options)
    assert isinstance(kept, Events)
    return kept, frame_recording(kept, path, options)


@everywhere
@pytest.mark.parametrize(
    "t",
    [[9], [9, 9, 9, 9, 9], [9, 10], [0, 5, 5, 5, 40, 40, 90]],
    ids=["one event", "one microsecond", "shorter than the frames", "ties"],
)
def test_short_and_tied_recordings(tmp_path: Path, format: str, t: list[int]) -> None:
    held = columns(t)
    events, frames = framed(tmp_path, format, held)
    for column, known in zip(events, held, strict=True):
        np.testing.assert_array_equal(column, known)
    assert frames.shape == (STEPS, 2, SIDE, SIDE)
    assert frames.sum() == len(t)


@everywhere
@pytest.mark.parametrize("p", [0, 1])
def test_one_polarity_has_two_channels(tmp_path: Path, format: str, p: int) -> None:
    _, frames = framed(tmp_path, format, columns([0, 10, 20, 30], p=p))
    assert frames.shape[1] == 2
    assert (frames[:, p].sum(), frames[:, 1 - p].sum()) == (4, 0)


@everywhere
def test_many_events_on_one_pixel(tmp_path: Path, format: str) -> None:
    n = 40_000
    held = np.full(n, 12), np.full(n, 13), np.arange(n) // 1000, np.ones(n, np.int64)
    held[2][:-1] //= 40  # all but the last in one bin
    _, frames = framed(tmp_path, format, held)
    assert frames[0, 1, 13, 12] == n - 1


@everywhere
def test_times_that_go_back(tmp_path: Path, format: str) -> None:
    held = columns([5, 9, 7, 12])
    with pytest.raises(BadFileError, match=r"é ü\.rec: time goes back at event 2, from 9 to 7 us"):
        framed(tmp_path, format, held)
    events, _ = framed(tmp_path, format, held, sort=True)
    assert events.t.tolist() == [5, 7, 9, 12]
    assert events.y.tolist() == [5, 7, 6, 8]


@everywhere
def test_a_coordinate_outside_the_sensor(tmp_path: Path, format: str) -> None:
    held = columns([5, 9, 12, 15])
    held[0][2] = SIDE + 3
    with pytest.raises(BadFileError, match=rf"é ü\.rec: .*{SIDE}"):
        framed(tmp_path, format, held)
    events, frames = framed(tmp_path, format, held, outside="drop")
    assert events.t.tolist() == [5, 9, 15]
    assert frames.sum() == 3


@everywhere
def test_damaged_bytes_are_one_line_or_events(tmp_path: Path, format: str) -> None:
    draw = np.random.default_rng(3)
    path = WRITERS[format](tmp_path / "a.rec", columns(list(range(200))))
    whole = path.read_bytes()
    lines = []
    for _ in range(400):
        data = bytearray(whole[: draw.integers(1, len(whole) + 1)])
        for at in draw.integers(0, len(data), 4):
            data[at] = draw.integers(0, 256)
        path.write_bytes(data)
        try:
            events = reader_of(format).read(path)
        except BadFileError as error:
            lines.append(str(error))
        else:
            assert len({column.shape for column in events}) == 1
    assert len(lines) > 40
    assert not any("\n" in line for line in lines)
