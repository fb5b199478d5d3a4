"""Framing by name, by hand and against NumPy and tonic: bins, tail, values, polarity, crop."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_from_events

Frames = NDArray[np.float32]


def at_times(*times: int) -> Events:
    """Off events on pixel (0, 0) at some times."""
    n = len(times)
    zero = np.zeros(n, np.int16)
    return Events(zero, zero, np.array(times, np.int64), np.zeros(n, np.int8))


def per_step(events: Events, **options: Any) -> list[float]:
    frames = frames_from_events(*events, sensor=(1, 1), **options)
    return [float(v) for v in frames.sum(axis=(1, 2, 3))]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[Events, tuple[int, int]]:
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 300))
    t = np.sort(rng.integers(0, draw(st.sampled_from([1, 5, 5000, 8_000_000])), n))
    x, y, p = rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n)
    events = Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))
    return events, (height, width)


steps_of = st.integers(1, 12)
sizes = st.none() | st.tuples(st.integers(1, 40), st.integers(1, 40))
binned = st.sampled_from(
    [{}, {"bins": "count"}, {"window_ms": 0.001}, {"window_ms": 1.5}, {"window_ms": 4000.0}]
)


# bins and tail


def test_count_bins_by_hand() -> None:
    # 7 events, 3 frames: 2 events each, whatever their times; the seventh remains
    events = at_times(0, 0, 0, 5, 5, 90, 91)
    assert per_step(events, steps=3, bins="count") == [2, 2, 2]
    assert per_step(events, steps=3, bins="count", tail="keep") == [2, 2, 3]


def test_fewer_events_than_frames() -> None:
    assert per_step(at_times(0, 1, 9), steps=5, bins="count") == [1, 1, 1, 0, 0]
    assert per_step(at_times(0, 1, 9), steps=5, bins="count", tail="keep") == [1, 1, 1, 0, 0]


def test_fixed_windows_by_hand() -> None:
    # windows of 2 us from t = 10: [10, 12) [12, 14) [14, 16); beyond: 17, 30
    events = at_times(10, 11, 12, 17, 30)
    assert per_step(events, steps=3, window_ms=0.002) == [2, 1, 0]
    assert per_step(events, steps=3, window_ms=0.002, tail="keep") == [2, 1, 2]


@pytest.mark.parametrize("tail", ["drop", "keep"])
def test_frames_beyond_the_recording_are_empty(tail: str) -> None:
    events = at_times(0, 1500, 2000)
    assert per_step(events, steps=5, window_ms=1, tail=tail) == [1, 1, 1, 0, 0]


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, st.sampled_from(["drop", "keep"]))
def test_count_bins_equal_numpy_splitting(
    case: tuple[Events, tuple[int, int]], steps: int, tail: str
) -> None:
    events, sensor = case
    frames = frames_from_events(*events, steps=steps, sensor=sensor, bins="count", tail=tail)
    each = max(1, events.size // steps)
    parts = np.split(np.arange(events.size), np.minimum(each * np.arange(1, steps + 1), 10**6))
    groups = [*parts[: steps - 1], np.concatenate(parts[steps - 1 :])]
    groups = groups if tail == "keep" else parts[:steps]
    expected = np.zeros_like(frames)
    for step, group in enumerate(groups):
        np.add.at(expected, (step, events.p[group], events.y[group], events.x[group]), 1)
    np.testing.assert_array_equal(frames, expected)


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of)
def test_equals_tonic_where_tonic_is_defined(
    case: tuple[Events, tuple[int, int]], steps: int
) -> None:
    from tonic.transforms import ToFrame

    events, (height, width) = case
    table = np.empty(events.size, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])
    for name, column in zip("xytp", events, strict=True):
        table[name] = column
    sensor = (width, height, 2)
    if events.size >= steps:
        theirs = ToFrame(sensor_size=sensor, n_event_bins=steps)(table)
        ours = frames_from_events(*events, steps=steps, sensor=(height, width), bins="count")
        np.testing.assert_array_equal(ours, theirs)
    window = max(1, events.duration_us // steps)
    theirs = ToFrame(sensor_size=sensor, time_window=window)(table)
    ours = frames_from_events(
        *events, steps=len(theirs), sensor=(height, width), window_ms=window / 1000
    )
    np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, binned)
def test_keep_loses_no_event(
    case: tuple[Events, tuple[int, int]], steps: int, bins: dict[str, Any]
) -> None:
    events, sensor = case
    frames = frames_from_events(*events, steps=steps, sensor=sensor, tail="keep", **bins)
    assert frames.sum() == events.size


# values, polarity, crop


def test_values_by_hand() -> None:
    events = at_times(0, 0, 0, 5, 10)  # counts 3 and 1
    two = {"steps": 2, "size": None}
    assert per_step(events, **two) == [3, 1]
    assert per_step(events, **two, values="binary") == [1, 1]
    assert per_step(events, **two, values="log") == pytest.approx([np.log(4), np.log(2)])
    assert per_step(events, **two, values="max") == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize("values", ["binary", "log", "max"])
def test_values_of_empty_frames_are_zero(values: str) -> None:
    # the only event lies outside the crop
    frames = frames_from_events([5], [5], [0], [1], steps=2, values=values, crop=(0, 2, 0, 2))
    np.testing.assert_array_equal(frames, np.zeros((2, 2, 2, 2), np.float32))


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, sizes)
def test_values_are_functions_of_the_counts(
    case: tuple[Events, tuple[int, int]], steps: int, size: tuple[int, int] | None
) -> None:
    events, sensor = case

    def frames(values: str) -> Frames:
        return frames_from_events(*events, steps=steps, size=size, sensor=sensor, values=values)

    counts = frames("counts")
    np.testing.assert_array_equal(frames("binary"), counts > 0)
    np.testing.assert_allclose(frames("log"), np.log(1 + counts.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(frames("max"), counts / max(counts.max(), 1e-9), rtol=1e-6)
    assert {frames(v).dtype for v in ("counts", "binary", "log", "max")} == {np.dtype(np.float32)}


@settings(deadline=None, max_examples=60)
@given(recordings(), steps_of, sizes, binned)
def test_merged_is_the_sum_of_split(
    case: tuple[Events, tuple[int, int]],
    steps: int,
    size: tuple[int, int] | None,
    bins: dict[str, Any],
) -> None:
    events, sensor = case
    options: dict[str, Any] = {"steps": steps, "size": size, "sensor": sensor, **bins}
    split = frames_from_events(*events, **options)
    merged = frames_from_events(*events, **options, polarity="merged")
    assert merged.shape == (steps, 1, *split.shape[2:])
    exact = 0 if size is None else 1e-5
    np.testing.assert_allclose(merged[:, 0], split.sum(axis=1), rtol=exact, atol=exact)


@settings(deadline=None, max_examples=80)
@given(recordings(), steps_of, binned, st.booleans(), st.data())
def test_crop_is_a_slice_of_the_native_frames(
    case: tuple[Events, tuple[int, int]],
    steps: int,
    bins: dict[str, Any],
    zero_origin: bool,
    data: st.DataObject,
) -> None:
    events, (height, width) = case
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = (
        data.draw(st.integers(top + 1, height)),
        data.draw(st.integers(left + 1, width)),
    )
    options: dict[str, Any] = {"steps": steps, "zero_origin": zero_origin, **bins}
    native = frames_from_events(*events, sensor=(height, width), **options)
    crop = (top, bottom, left, right)
    cropped = frames_from_events(*events, sensor=(height, width), crop=crop, **options)
    np.testing.assert_array_equal(cropped, native[:, :, top:bottom, left:right])
    # where the sensor is inferred, pixels past it are empty
    np.testing.assert_array_equal(frames_from_events(*events, crop=crop, **options), cropped)
    resized = frames_from_events(
        *events, sensor=(height, width), crop=crop, size=(bottom - top, right - left), **options
    )
    np.testing.assert_allclose(resized, cropped, atol=1e-4)
