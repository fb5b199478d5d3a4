"""Framing: equal to tonic and torch where they are defined, and defined where they are not."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.errors import SnntxError, UsageError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events
from snntx.preprocess.framing.options import FrameOptions
from snntx.preprocess.readers.reading import read_events

Frames = NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Frames are small: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reference(
    events: Events, sensor: tuple[int, int], steps: int, size: tuple[int, int] | None
) -> Frames:
    """Tonic's frames, resized by torch: the published pipeline."""
    from tonic.transforms import ToFrame

    table = np.empty(events.size, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])
    for name, column in zip("xytp", events, strict=True):
        table[name] = column
    height, width = sensor
    counts = ToFrame(sensor_size=(width, height, 2), n_time_bins=steps)(table)
    frames = torch.from_numpy(counts.astype(np.float32))
    if size is not None:
        frames = torch.nn.functional.interpolate(
            frames, size=size, mode="bilinear", align_corners=True
        )
    return frames.numpy()


def events_of(*values: tuple[int, int, int, int]) -> Events:
    """Events from rows ``x, y, t, p``."""
    x, y, t, p = np.array(values, np.int64).T
    return Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))


def row(*times: int) -> Events:
    """Off events on pixel (0, 0) at some times."""
    return events_of(*((0, 0, t, 0) for t in times))


def per_step(frames: Frames) -> list[float]:
    return [float(v) for v in frames.sum(axis=(1, 2, 3))]


@st.composite
def generated(draw: st.DrawFn) -> tuple[Events, tuple[int, int], int, Any, bool]:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    steps = draw(st.integers(1, 12))
    size = draw(st.none() | st.tuples(st.integers(1, 60), st.integers(1, 60)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 300))
    t = np.sort(rng.integers(0, draw(st.integers(1, 5000)), n)) + draw(st.integers(0, 10**13))
    t[-1] = max(t[-1], t[0] + steps)  # tonic loses all events of a shorter recording
    x, y = rng.integers(0, width, n), rng.integers(0, height, n)
    p = rng.integers(0, 2, n)
    events = Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))
    return events, (height, width), steps, size, draw(st.booleans())


@settings(deadline=None, max_examples=150)
@given(generated())
def test_equals_tonic_and_torch(case: tuple[Events, tuple[int, int], int, Any, bool]) -> None:
    events, sensor, steps, size, zero_origin = case
    ours = frames_from_events(
        *events, steps=steps, size=size, sensor=sensor, zero_origin=zero_origin
    )
    if zero_origin:
        events = events._replace(x=events.x - events.x.min(), y=events.y - events.y.min())
    theirs = reference(events, sensor, steps, size)
    assert ours.dtype == np.float32
    assert ours.shape == (steps, 2, *(size or sensor))
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6 * max(1, theirs.max()))


@settings(deadline=None, max_examples=50)
@given(generated())
def test_without_a_sensor_the_extent_is_the_sensor(
    case: tuple[Events, Any, int, Any, bool],
) -> None:
    events, _, steps, size, zero_origin = case
    low = (int(events.y.min()), int(events.x.min())) if zero_origin else (0, 0)
    extent = int(events.y.max()) + 1 - low[0], int(events.x.max()) + 1 - low[1]
    options: dict[str, Any] = {"steps": steps, "size": size, "zero_origin": zero_origin}
    inferred = frames_from_events(*events, **options)
    np.testing.assert_array_equal(inferred, frames_from_events(*events, sensor=extent, **options))


@pytest.mark.real
def test_equals_tonic_and_torch_on_every_real_recording(real: Path) -> None:
    paths = sorted((real / "n_mnist/Train").glob("*/*.bin"))
    assert len(paths) == 1000
    worst = 0.0
    for path in paths:
        events = read_events(path, "atis")
        for size in (None, (48, 48)):
            ours = frames_from_events(*events, steps=10, size=size, sensor=(34, 34))
            worst = max(worst, float(np.abs(ours - reference(events, (34, 34), 10, size)).max()))
    assert worst <= 2e-6


@pytest.mark.real
def test_real_recording_equals_the_binned_oracle(real: Path) -> None:
    # the oracle marks whether a pixel had an event of a polarity in each of 350 whole milliseconds
    with gzip.open(real / "n_mnist/oracle/1_binned_spikes.csv.gz", "rt") as file:
        raster = np.loadtxt(file, delimiter=",", dtype=np.uint8).reshape(2, 34, 34, 350)
    events = read_events(real / "n_mnist/Train/5/00001.bin", "atis")
    # events at 0 and 350 ms, on a pixel outside the 34 x 34, pin the windows to milliseconds
    pin = np.array([35])
    x, y = (np.concatenate([pin, column, pin]) for column in (events.x, events.y))
    t = np.concatenate([[0], events.t, [350_000]])
    p = np.concatenate([[0], events.p, [0]])
    frames = frames_from_events(x, y, t, p, steps=350, sensor=(36, 36))[:, :, :34, :34]
    assert int(raster.sum()) == 4674
    np.testing.assert_array_equal((frames > 0).transpose(1, 2, 3, 0), raster > 0)


def test_hand_computed_windows() -> None:
    # t from 100 to 110, 3 steps: window 3, frames [100, 103) [103, 106) [106, 109), tail 109 ..
    events = row(100, 102, 103, 105, 105, 108, 109, 110)
    drop = frames_from_events(*events, steps=3, sensor=(1, 1))
    assert drop[:, :, 0, 0].tolist() == [[2, 0], [3, 0], [1, 0]]
    keep = frames_from_events(*events, steps=3, sensor=(1, 1), tail="keep")
    assert keep[:, :, 0, 0].tolist() == [[2, 0], [3, 0], [3, 0]]


def test_whole_windows_still_drop_the_last_event() -> None:
    # 12 us, 3 steps: window 4, no remainder; t = 12 lies at the open end of the last frame
    events = row(0, 3, 4, 11, 12)
    assert per_step(frames_from_events(*events, steps=3, sensor=(1, 1))) == [2, 1, 1]
    assert per_step(frames_from_events(*events, steps=3, sensor=(1, 1), tail="keep")) == [2, 1, 2]


def test_hand_computed_bilinear() -> None:
    # 3 x 3 to 2 x 2 reads the corners alone; to 5 x 5 the midpoints are means
    events = events_of((0, 0, 0, 1), (2, 0, 0, 1), (2, 0, 0, 1), (1, 1, 0, 1), (0, 2, 0, 0))
    small = frames_from_events(*events, steps=1, size=2, sensor=(3, 3))
    assert small[0].tolist() == [[[0, 0], [1, 0]], [[1, 2], [0, 0]]]
    large = frames_from_events(*events, steps=1, size=5, sensor=(3, 3))
    assert large[0, 1, 0].tolist() == [1, 0.5, 0, 1, 2]
    assert large[0, 1, 1].tolist() == [0.5, 0.5, 0.5, 0.75, 1]
    one = frames_from_events(*events, steps=1, size=1, sensor=(3, 3))
    assert one[0].ravel().tolist() == [0, 1]  # the top left pixel


def test_size_may_be_height_and_width() -> None:
    frames = frames_from_events(*row(0, 1), steps=2, size=(3, 5), sensor=(34, 20))
    assert frames.shape == (2, 2, 3, 5)


def test_one_event() -> None:
    frames = frames_from_events(*events_of((3, 2, 99, 1)), steps=4, sensor=(5, 6))
    expected = np.zeros((4, 2, 5, 6), np.float32)
    expected[0, 1, 2, 3] = 1
    np.testing.assert_array_equal(frames, expected)


def test_all_in_one_microsecond() -> None:
    assert per_step(frames_from_events(*row(7, 7, 7, 7), steps=3, sensor=(1, 1))) == [4, 0, 0]


def test_shorter_than_the_steps_keeps_every_event() -> None:
    # 3 us, 10 steps: windows of 1 us from t = 50
    frames = frames_from_events(*row(50, 51, 51, 53), steps=10, sensor=(1, 1))
    assert per_step(frames) == [1, 2, 0, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("polarity", [0, 1])
def test_one_polarity_gives_two_channels_and_leaves_the_events(polarity: int) -> None:
    events = events_of(*((1, 1, t, polarity) for t in range(0, 101, 10)))
    frames = frames_from_events(*events, steps=2, sensor=(2, 2))
    assert frames.shape == (2, 2, 2, 2)
    assert frames[:, polarity].sum() == 10
    assert frames[:, 1 - polarity].sum() == 0
    assert (events.p == polarity).all()


@pytest.mark.parametrize("size", [None, 2])
def test_40000_events_on_one_pixel_do_not_wrap(size: int | None) -> None:
    n = 40_000
    zero = np.zeros(n, np.int16)
    t = np.concatenate([np.zeros(n - 1, np.int64), [10]])
    frames = frames_from_events(zero, zero, t, zero, steps=1, size=size, sensor=(2, 2))
    assert frames[0, 0, 0, 0] == n - 1
    assert frames.sum() == n - 1


def test_epoch_timestamps_keep_their_microseconds() -> None:
    epoch = 1_600_000_000_000_000
    events = row(*(epoch + t for t in (0, 4, 5, 9, 10)))
    assert per_step(frames_from_events(*events, steps=2, sensor=(1, 1))) == [2, 2]


def test_zero_origin_by_hand() -> None:
    events = events_of((7, 9, 0, 0), (9, 9, 0, 1), (8, 10, 0, 1))
    frames = frames_from_events(*events, steps=1, zero_origin=True)
    assert frames[0].tolist() == [[[1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 1, 0]]]


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int32, np.uint16, np.int64, np.uint64, ">i2", ">i4"]
)
def test_any_integer_dtype(dtype: Any) -> None:
    events = events_of((1, 2, 0, 1), (3, 0, 5, 0), (2, 2, 9, 1))
    expected = frames_from_events(*events, steps=2, sensor=(3, 4))
    ours = frames_from_events(*(c.astype(dtype) for c in events), steps=2, sensor=(3, 4))
    np.testing.assert_array_equal(ours, expected)


def test_lists_booleans_and_strides() -> None:
    expected = frames_from_events([0, 1, 1], [0, 0, 1], [0, 1, 2], [1, 0, 1], steps=1)
    assert expected[0].tolist() == [[[0, 1], [0, 0]], [[1, 0], [0, 0]]]
    table = np.array([(0, 0, 0, 1), (1, 0, 1, 0), (1, 1, 2, 1)], np.int16)
    x, y, t, p = table.T
    np.testing.assert_array_equal(
        frames_from_events(x, y, t, p.astype(np.bool_), steps=1), expected
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([], [], [], []), "no events"),
        (([0, 0], [0, 0], [5, 4], [0, 1]), "time goes back at event 1, from 5 to 4 us"),
        (([0, 0], [0, 0], [4, 5], [0, 2]), r"polarity of event 1 is 2, expected 0 \(off\)"),
        (([0, 0], [0, 0], [4, 5], [-1, 1]), "polarity of event 0 is -1"),
        (([0, 0], [0, 0], [4, 5], [0, 256]), "polarity of event 1 is 256"),
        (([0, 4], [0, 0], [4, 5], [0, 1]), r"x \[0, 4\] and y \[0, 0\], outside .* 3 rows and 4"),
        (([0, 0], [0, 3], [4, 5], [0, 1]), "outside the sensor"),
        (([-1, 0], [0, 0], [4, 5], [0, 1]), r"x lies in \[-1, 0\]"),
        (([65536, 0], [0, 0], [4, 5], [0, 1]), r"x lies in \[0, 65536\], expected \[0, 32767\]"),
        (([0, 0], [0, 0], [4, 5], [0]), "differ in length: 2, 2, 2, 1"),
        (([0, 0.5], [0, 0], [4, 5], [0, 1]), "x must be integers, found float64"),
        (([0, 0], [0, 0], [0.1, 0.2], [0, 1]), "t must be integers, found float64"),
        (([0, 0], [0, 0], [1, 2], [0.0, 1.0]), "p must be integers, found float64"),
        (
            ([[0], [0]], [0, 0], [1, 2], [0, 1]),
            r"x must be one column \(N,\), found shape \(2, 1\)",
        ),
    ],
)
def test_bad_events(columns: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SnntxError, match=message):
        frames_from_events(*columns, steps=2, sensor=(3, 4))


def test_negative_int16_coordinate_is_outside() -> None:
    minus = np.array([-1], np.int16)
    with pytest.raises(SnntxError, match=r"y \[-1, -1\], outside the sensor"):
        frames_from_events([0], minus, [0], [1], steps=1, sensor=(3, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, found 0"),
        ({"steps": -3}, "steps must be at least 1"),
        ({"steps": 1, "tail": "kep"}, "tail must be one of drop, keep, found 'kep'"),
        ({"steps": 1, "size": 0}, r"size must be positive \(height, width\), found \(0, 0\)"),
        ({"steps": 1, "size": (4, -1)}, "size must be positive"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        frames_from_events([0], [0], [0], [0], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0, "size": (2, 2)}, "steps"),
        ({"steps": 1, "size": (0, 2)}, "size must be positive"),
        ({"steps": 1, "sensor": (2, -2)}, "sensor must be positive"),
        ({"steps": 1, "size": (2, 2), "tail": "x"}, "tail"),
        ({"steps": 1}, "give a size, a crop, or a fixed sensor"),
        ({"steps": 10**8, "size": (34, 34)}, "would take more than 1024 MiB"),
    ],
)
def test_options_are_checked_before_any_file_is_read(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FrameOptions(**options)


def test_frame_shape() -> None:
    assert FrameOptions(steps=3, sensor=(4, 5)).frame_shape == (3, 2, 4, 5)
    assert FrameOptions(steps=3, sensor=(4, 5), size=(6, 7)).frame_shape == (3, 2, 6, 7)
