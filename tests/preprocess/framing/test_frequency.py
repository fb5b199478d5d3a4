"""Frequency frames: by hand, against plain NumPy, and against torch's resize."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from snntx.data_cards import load_card
from snntx.errors import BadFileError, SnntxError, UsageError
from snntx.preprocess.cache.settings import interpolation
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.framing.frequency import frequency_frames
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.framing.recording import frame_recording
from snntx.preprocess.readers.formats.atis import encode
from snntx.preprocess.readers.reading import read_recordings

SENSOR, CROP = (260, 346), (4, 254, 54, 304)
T0 = 1_600_000_000_000_000


def plain(
    x: Any, y: Any, t: Any, p: Any, *, steps: int, sensor: tuple[int, int], half: bool = False
) -> NDArray[np.float64]:
    """The published recipe event by event, without crop and resize."""
    relative = [int(time) - int(t[0]) for time in t]
    dt = max(1, relative[-1] // steps)
    frames = np.zeros((steps, 2, *sensor))
    for column, row, time, polarity in zip(x, y, relative, p, strict=True):
        frames[min(time // dt, steps - 1), polarity, row, column] += 1
    for i in range(steps):
        frames[i] /= dt + (relative[-1] % steps if i == steps - 1 else 0)
        if half:
            frames[i] = frames[i].astype(np.float16)
        for polarity in range(2):
            frames[i, polarity] /= max(frames[i, polarity].max(), 1e-5)
    return frames


def random_events(
    count: int, duration_us: int, sensor: tuple[int, int] = SENSOR, seed: int = 0
) -> Events:
    draw = np.random.default_rng(seed)
    t = T0 + np.sort(draw.integers(0, duration_us + 1, count))
    t[0], t[-1] = T0, T0 + duration_us
    return Events(
        draw.integers(0, sensor[1], count).astype(np.int16),
        draw.integers(0, sensor[0], count).astype(np.int16),
        t.astype(np.int64),
        draw.integers(0, 2, count).astype(np.int8),
    )


def test_by_hand() -> None:
    """Duration 25 in 2 steps: dt 12, so t = 24 and 25 are past frame 1's window but in it."""
    t = np.array([0, 11, 11, 12, 24, 25]) + T0
    x, y = np.array([0, 0, 1, 0, 1, 1]), np.zeros(6, int)
    frames = frequency_frames(x, y, t, np.array([1, 1, 1, 1, 1, 0]), steps=2, sensor=(1, 2))
    assert frames.dtype == np.float32
    assert frames[:, 1, 0].tolist() == [[1.0, 0.5], [1.0, 1.0]]
    assert frames[:, 0, 0].tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_below_the_floor_is_not_brought_to_one() -> None:
    """One event in 200,000 us is 5e-6 per us; the last frame is 1 us longer."""
    t = np.array([0, 300_000, 400_001])
    one = np.array([0, 0, 0])
    frames = frequency_frames(one, one, t, one, steps=2, sensor=(1, 1))
    np.testing.assert_allclose(frames[:, 0, 0, 0], [0.5, 0.999995], rtol=1e-6)
    assert frames[1, 0, 0, 0] == np.float32(2 / 200_001 / 1e-5)
    assert frames[0, 0, 0, 0] == np.float32(1 / 200_000 / 1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("duration_us", [0, 5, 11, 12, 1000, 123_457, 40_000_000])
def test_against_plain_numpy(duration_us: int, half: bool) -> None:
    events = random_events(3000, duration_us, (9, 11))
    frames = frequency_frames(*events, steps=12, sensor=(9, 11), round_half=half)
    expected = plain(*events, steps=12, sensor=(9, 11), half=half)
    np.testing.assert_array_equal(frames, expected.astype(np.float32))
    assert frames.max() <= 1


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(28, 28), (7, 300), (250, 250)])
def test_crop_and_resize_against_torch(size: tuple[int, int], antialias: bool) -> None:
    events = random_events(60_000, 3_000_017)
    frames = frequency_frames(
        *events, steps=12, sensor=SENSOR, crop=CROP, size=size, antialias=antialias
    )
    whole = torch.from_numpy(plain(*events, steps=12, sensor=SENSOR))
    expected = torch.nn.functional.interpolate(
        whole[:, :, 4:254, 54:304],
        size=size,
        mode="bilinear",
        align_corners=False,
        antialias=antialias,
    )
    assert frames.shape == (12, 2, *size)
    np.testing.assert_allclose(frames, expected.numpy(), rtol=0, atol=1e-6)


def test_the_brightest_pixel_may_lie_outside_the_crop() -> None:
    x, y, t = np.array([0, 0, 100]), np.array([0, 0, 100]), np.array([0, 1, 2])
    frames = frequency_frames(x, y, t, np.ones(3, int), steps=1, sensor=SENSOR, crop=CROP)
    assert frames.shape == (1, 2, 250, 250)
    assert frames[0, 1, 96, 46] == 0.5
    assert frames.sum() == 0.5


def test_rounding_to_half_moves_low_frequencies_only_by_name() -> None:
    """3e-6 per us lies between float16's steps of 6e-8: up to 1 % off."""
    count, duration_us = 4, 12 * 1_300_000
    t = np.linspace(0, duration_us, 12 * count).astype(np.int64)
    zero = np.zeros(t.size, int)
    exact = frequency_frames(zero, zero, t, zero, steps=12, sensor=(1, 1))
    half = frequency_frames(zero, zero, t, zero, steps=12, sensor=(1, 1), round_half=True)
    relative = np.abs(half / np.maximum(exact, 1e-9) - 1)[:, 0]
    assert 1e-4 < relative.max() < 0.02


def test_many_events_on_one_pixel() -> None:
    zero = np.zeros(80_000, int)
    x = np.append(np.zeros(80_000, int), 1)
    t = np.append(zero, 0)
    frames = frequency_frames(x, 0 * x, t, 0 * x, steps=1, sensor=(1, 2))
    np.testing.assert_allclose(frames[0, 0, 0], [1, 1 / 80_000], rtol=1e-6)


def test_one_event_one_microsecond_one_polarity() -> None:
    one = np.array([3])
    frames = frequency_frames(one, one, one + T0, one - 2, steps=3, sensor=(5, 5))
    assert frames[0, 1, 3, 3] == 1
    assert frames.sum() == 1
    same = np.full(9, 2)
    frames = frequency_frames(same, same, same + T0, same - 2, steps=4, sensor=(5, 5))
    assert frames.sum() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [0, 5, 0]}, r"x lies in \[0, 5\], expected \[0, 4\]"),
        ({"y": [0, -1, 0]}, r"y lies in \[-1, 0\], expected \[0, 3\]"),
        ({"p": [0, 2, 0]}, r"p lies in \[0, 2\], expected \[0, 1\]"),
        ({"t": [5, 3, 9]}, "time goes back at event 1, from 5 to 3 us"),
        ({"x": [0.5, 1, 1]}, "x must be integers, found float64"),
        ({"x": [1, 1]}, r"columns \(N,\) alike, found x \(2,\)"),
        ({k: np.zeros(0, int) for k in "xytp"}, "no events"),
    ],
)
def test_bad_events(change: dict[str, Any], message: str) -> None:
    columns = {"x": [0, 1, 2], "y": [0, 1, 2], "t": [0, 1, 2], "p": [0, 1, 0]} | change
    with pytest.raises(SnntxError, match=message):
        frequency_frames(**columns, steps=2, sensor=(4, 5))


@pytest.mark.parametrize("crop", [(0, 5, 0, 5), (2, 2, 0, 5), (-1, 3, 0, 5), (0, 4, 3, 6)])
def test_bad_crop(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="inside the sensor of 4 rows and 5 columns"):
        frequency_frames([0], [0], [0], [0], steps=1, sensor=(4, 5), crop=crop)
    with pytest.raises(UsageError, match="steps must be at least 1, found 0"):
        frequency_frames([0], [0], [0], [0], steps=0, sensor=(4, 5))


# options

FREQUENCY: dict[str, Any] = {"values": "frequency", "tail": "keep", "sensor": SENSOR}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tail": "drop"}, "values = 'frequency' needs tail = 'keep', found 'drop'"),
        ({"bins": "count"}, "needs bins = 'time', found 'count'"),
        ({"window_ms": 5.0}, "needs window_ms = no value, found '5.0'"),
        ({"polarity": "merged"}, "needs polarity = 'split', found 'merged'"),
        ({"zero_origin": True}, "needs zero_origin = 'False', found 'True'"),
        ({"sensor": None, "size": (28, 28)}, "needs a fixed sensor, which the card lacks"),
        ({"values": "frequencies"}, "found 'frequencies'; did you mean 'frequency'"),
        ({"values": "counts", "antialias": True}, "antialias needs values = 'frequency'"),
    ],
)
def test_options_that_exclude_one_another(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FrameOptions(steps=12, **{**FREQUENCY, **change})


def test_interpolation_is_named() -> None:
    assert interpolation(FrameOptions(steps=1, **FREQUENCY)) == (
        "bilinear, corners not aligned, no antialias"
    )
    smooth = FrameOptions(steps=1, **FREQUENCY, antialias=True)
    assert interpolation(smooth) == "bilinear, corners not aligned, antialias"
    assert interpolation(FrameOptions(steps=1, size=(4, 4))).startswith("bilinear, aligned")


def test_the_card_frames_by_frequency_and_by_other_values() -> None:
    card, events = load_card("n-omniglot"), random_events(20_000, 2_000_003)
    path = Path("a.aedat4")
    options = FrameOptions.from_card(card)
    np.testing.assert_array_equal(
        frame_recording(events, path, options),
        frequency_frames(*events, steps=12, sensor=SENSOR, crop=CROP, size=(28, 28)),
    )
    half = FrameOptions.from_card(card, values="frequency-float16")
    assert not np.array_equal(
        frame_recording(events, path, half), frame_recording(events, path, options)
    )
    for values in ("counts", "binary"):
        native = FrameOptions.from_card(card, values=values, size="native")
        frames = frame_recording(events, path, native)
        counted = frames_from_events(*events, steps=12, sensor=SENSOR, tail="keep")
        inside = counted[:, :, 4:254, 54:304]
        np.testing.assert_array_equal(frames, inside > 0 if values == "binary" else inside)
    with pytest.raises(BadFileError, match=r"a\.aedat4: events span 260 rows and 347 columns, out"):
        frame_recording(events._replace(x=events.x + (events.x == 345)), path, options)


def test_a_file_of_another_format_is_framed_alike(tmp_path: Path) -> None:
    events = random_events(500, 90_000, (34, 34))
    events = events._replace(t=events.t - T0)
    path = tmp_path / "a.bin"
    path.write_bytes(encode(events))
    (read,) = read_recordings(path, "atis", [()])[1]
    assert not isinstance(read, BadFileError)
    options = FrameOptions(steps=5, size=(8, 8), sensor=(34, 34), values="frequency", tail="keep")
    np.testing.assert_array_equal(
        frame_recording(read, path, options),
        frequency_frames(*events, steps=5, size=(8, 8), sensor=(34, 34)),
    )


def test_no_torch_is_imported() -> None:
    code = (
        "import sys, snntx.preprocess.framing.frequency, snntx.preprocess.framing.published, "
        "snntx.preprocess.readers.formats.aedat4, "
        "snntx.preprocess.build.shards, snntx.preprocess.planning.plan; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
