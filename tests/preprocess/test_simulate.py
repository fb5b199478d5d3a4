"""The simulated sensor: crossings by hand, the motion, the noise, and likeness to N-MNIST."""

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snntx.errors import UsageError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import decode, encode
from snntx.preprocess.readers.reading import read_events
from snntx.preprocess.saccades import SaccadePath
from snntx.preprocess.simulate import (
    SensorOptions,
    events_from_intensity,
    moving_views,
    simulate_events,
)

QUIET = SensorOptions(noise_hz=0)


def rows(events: Events) -> list[tuple[int, ...]]:
    """Events as ``(t, y, x, p)``."""
    columns = (events.t, events.y, events.x, events.p)
    return [tuple(int(v) for v in row) for row in zip(*columns, strict=True)]


def one_pixel(
    log_intensity: list[float], times_us: list[int], **options: Any
) -> list[tuple[int, int]]:
    """Events ``(t, p)`` of one pixel that sees a piecewise linear log intensity."""
    frames = np.exp(np.array(log_intensity)).reshape(-1, 1, 1)
    return [(t, p) for t, _, _, p in rows(events_from_intensity(frames, times_us, **options))]


def ring() -> NDArray[np.float64]:
    """A soft bright ring ``(28, 28)``, much like a zero."""
    y, x = np.mgrid[:28, :28] - 13.5
    soft: NDArray[np.float64] = np.exp(-((np.hypot(x / 0.8, y) - 8) ** 2) / 3)
    return soft


# One pixel, by hand


def test_rise_by_hand() -> None:
    # 0.001 per us: 0.25, 0.50 and 0.75 are crossed at 250, 500 and 750 us
    found = one_pixel([0, 0.9], [0, 900], threshold_on=0.25, threshold_off=9)
    assert found == [(250, 1), (500, 1), (750, 1)]


def test_fall_has_its_own_threshold() -> None:
    found = one_pixel([0, -0.95], [0, 950], threshold_on=9, threshold_off=0.3)
    assert found == [(300, 0), (600, 0), (900, 0)]


def test_turn_is_measured_from_the_last_event() -> None:
    # up to 0.3 (ON at 0.25), then down: OFF at 0.25 - 0.25 = 0 and at -0.25
    found = one_pixel([0, 0.3, -0.3], [0, 300, 900], threshold_on=0.25, threshold_off=0.25)
    assert found == [(250, 1), (600, 0), (850, 0)]


def test_memory_spans_the_steps() -> None:
    # many small steps below the threshold add up: the same events as one step
    times = list(range(0, 1000, 100))
    found = one_pixel([t / 1000 for t in times], times, threshold_on=0.25, threshold_off=9)
    assert found == [(250, 1), (500, 1), (750, 1)]


def test_refractory_by_hand() -> None:
    # 250: event, held to 350 where L = 0.35; 0.35 + 0.25 at 600, held to 700; 0.95 at 950
    found = one_pixel([0, 1.0], [0, 1000], threshold_on=0.25, threshold_off=9, refractory_us=100)
    assert found == [(250, 1), (600, 1), (950, 1)]


def test_refractory_over_several_steps_by_hand() -> None:
    # ON at 75; the dead time ends at 225, on the plateau, so L_ref = 0.2; then 0.001 per us
    # from 300: 0.35 at 450, held to 600 (0.5); 0.65 at 750, held to 900 (0.8); 0.95 at 1050
    found = one_pixel(
        [0, 0.2, 0.2, 1.2], [0, 100, 300, 1300],
        threshold_on=0.15, threshold_off=9, refractory_us=150,
    )  # fmt: skip
    assert found == [(75, 1), (450, 1), (750, 1), (1050, 1)]


def test_change_within_the_dead_time_is_lost() -> None:
    # after ON at 250 all the rest of the rise happens in the dead time
    found = one_pixel(
        [0, 1, 1], [0, 1000, 5000], threshold_on=0.25, threshold_off=9, refractory_us=800
    )
    assert found == [(250, 1)]


def test_mismatch_and_ties_by_hand() -> None:
    # thresholds 0.2 and 0.4 on one ramp; ties go by column
    frames = np.exp(np.array([0, 0.9]))[:, None, None] * np.ones((1, 1, 2))
    events = events_from_intensity(
        frames, [0, 900], threshold_on=np.array([[0.2, 0.4]]), threshold_off=9
    )
    assert [(t, x) for t, _, x, _ in rows(events)] == [
        (200, 0), (400, 0), (400, 1), (600, 0), (800, 0), (800, 1)
    ]  # fmt: skip


def test_many_events_outgrow_the_first_buffer() -> None:
    # 39 crossings of 0.25 below 9.9 for each of 1,600 pixels
    frames = np.exp(np.array([0, 9.9]))[:, None, None] * np.ones((1, 40, 40))
    events = events_from_intensity(frames, [0, 990], threshold_on=0.25, threshold_off=9)
    assert events.size == 39 * 1600
    assert np.bincount(events.y.astype(int) * 40 + events.x).tolist() == [39] * 1600


# log intensities in thousandths, and two thresholds off that grid and off each other's: no
# sum of events is the level of a step, where the rounding of exp and log would decide
LOGS = st.lists(st.integers(-3000, 3000).map(lambda n: n / 1000), min_size=2, max_size=12)
THRESHOLDS = st.integers(50, 1000).map(lambda n: n / 1000 + 2**0.5 * 1e-4)


@settings(max_examples=60, deadline=None)
@given(logs=LOGS, threshold=THRESHOLDS, refractory_us=st.integers(0, 3000))
def test_on_and_off_are_mirror_images(
    logs: list[float], threshold: float, refractory_us: int
) -> None:
    times, other = list(range(0, 1000 * len(logs), 1000)), threshold * 3**0.5
    up = one_pixel(
        logs, times, threshold_on=threshold, threshold_off=other, refractory_us=refractory_us
    )
    down = one_pixel(
        [-value for value in logs],
        times, threshold_on=other, threshold_off=threshold, refractory_us=refractory_us,
    )  # fmt: skip
    assert [t for t, _ in down] == pytest.approx([t for t, _ in up], abs=1)
    assert [1 - p for _, p in down] == [p for _, p in up]
    assert all(b - a >= refractory_us for (a, _), (b, _) in pairwise(up))


@settings(max_examples=60, deadline=None)
@given(logs=LOGS, threshold=THRESHOLDS)
def test_events_add_up_to_the_change(logs: list[float], threshold: float) -> None:
    # without dead time, ON minus OFF times the threshold is the change, within one threshold
    times = list(range(0, 1000 * len(logs), 1000))
    found = one_pixel(logs, times, threshold_on=threshold, threshold_off=threshold)
    total = sum(1 if p else -1 for _, p in found) * threshold
    assert abs(logs[-1] - logs[0] - total) <= threshold * (1 + 1e-6)


# The motion


def test_path_by_hand() -> None:
    # corners every 100 ms; half of the way at half of the time; 10/32 - 15/256 + 6/1024... at 1/4
    times = [0, 25_000, 50_000, 100_000, 150_000, 200_000, 250_000, 300_000]
    x, y = SaccadePath(base_px=6, height_px=6).at(times)
    quarter = 10 / 4**3 - 15 / 4**4 + 6 / 4**5
    assert x.tolist() == pytest.approx([0, 3 * quarter, 1.5, 3, 4.5, 6, 3, 0])
    assert y.tolist() == pytest.approx([0, 6 * quarter, 3, 6, 3, 0, 0, 0])


@pytest.mark.parametrize(("base_px", "height_px"), [(6.0, 6.0), (-5.0, 3.5), (0.0, -7.25)])
def test_image_follows_the_path_below_a_pixel(base_px: float, height_px: float) -> None:
    path = SaccadePath(base_px=base_px, height_px=height_px)
    options = replace(QUIET, height=30, width=40, path=path)
    times = np.arange(0, 300_001, 7_500)
    dot = np.zeros((9, 11))
    dot[4, 5] = 1
    views = moving_views(dot, options, times) - options.black_level
    mass = views.sum((1, 2))
    x_px, y_px = path.at(times)
    np.testing.assert_allclose(mass, 1)
    # the dot is the image's middle, so it stands where the sensor's middle and the path say
    np.testing.assert_allclose(
        (views * np.arange(30)[:, None]).sum((1, 2)), 14.5 + y_px - height_px / 2
    )
    np.testing.assert_allclose((views * np.arange(40)).sum((1, 2)), 19.5 + x_px - base_px / 2)


def test_image_larger_than_the_sensor_is_cropped() -> None:
    image = np.random.default_rng(0).random((50, 60))
    path = SaccadePath(base_px=4, height_px=2)
    options = replace(QUIET, height=20, width=30, path=path)
    views = moving_views(image, options, [0, 100_000])
    # rows: i - 0 - (20 - 50 - 2) / 2 = i + 16; columns: j - (30 - 60 - 4) / 2 = j + 17
    np.testing.assert_allclose(views[0], image[16:36, 17:47] + options.black_level)
    np.testing.assert_allclose(views[1], image[14:34, 15:45] + options.black_level)


def test_arriving_bright_edge_is_on() -> None:
    # the first saccade moves a bright square down: ON at its lower edge, OFF at its upper
    square = np.zeros((28, 28))
    square[10:18, 10:18] = 1
    events = simulate_events(square, options=QUIET, seed=0)
    first = events.t < 100_000
    assert events.y[first & (events.p == 1)].mean() > events.y[first & (events.p == 0)].mean() + 4


# The whole recording


def test_nothing_moves_nothing_happens() -> None:
    for image in (np.zeros((28, 28)), np.ones((80, 80)), np.full((80, 80), 0.3)):
        assert simulate_events(image, options=QUIET, seed=0).size == 0
    still = replace(QUIET, path=SaccadePath(base_px=0, height_px=0))
    assert simulate_events(ring(), options=still, seed=0).size == 0


@pytest.mark.parametrize("noise_on", [1.0, 0.25, 0.0])
def test_noise_is_poisson(noise_on: float) -> None:
    options = SensorOptions(height=128, width=100, noise_hz=5.0, noise_on=noise_on, refractory_us=0)
    events = simulate_events(np.zeros((8, 8)), options=options, seed=7)
    mean = 5.0 * 128 * 100 * 0.3
    assert abs(events.size - mean) < 5 * np.sqrt(mean)
    on_deviation = np.sqrt(noise_on * (1 - noise_on) * events.size)
    assert abs(int(events.p.sum()) - noise_on * events.size) <= 5 * on_deviation
    # uniform over the sensor and over time: variance equals mean in pixels and in bins
    per_pixel = np.bincount(events.y.astype(int) * 100 + events.x, minlength=12_800)
    assert per_pixel.var() == pytest.approx(per_pixel.mean(), rel=0.1)
    per_bin = np.histogram(events.t, 300, range=(0, 300_000))[0]
    assert per_bin.var() == pytest.approx(per_bin.mean(), rel=0.5)


def test_recording_is_well_formed() -> None:
    options = replace(SensorOptions(), noise_hz=50.0)
    events = simulate_events(ring(), options=options, seed=3)
    assert [column.dtype for column in events] == [np.int16, np.int16, np.int64, np.int8]
    assert np.all(np.diff(events.t) >= 0)
    assert events.t[0] >= 0
    assert events.t[-1] <= 300_000
    assert min(events.x.min(), events.y.min()) >= 0
    assert max(events.x.max(), events.y.max()) <= 33
    pixel = events.y.astype(np.int64) * 34 + events.x
    assert np.all(np.diff(pixel)[np.diff(events.t) == 0] >= 0)
    order = np.lexsort((events.t, pixel))
    same_pixel = np.diff(pixel[order]) == 0
    assert np.diff(events.t[order])[same_pixel].min() >= options.refractory_us


def test_same_input_same_recording() -> None:
    first = simulate_events(ring(), seed=(1, 2))
    assert rows(first) == rows(simulate_events(ring(), seed=(1, 2)))
    assert rows(first) != rows(simulate_events(ring(), seed=(1, 3)))
    quiet = simulate_events(ring(), options=QUIET, seed=1)
    assert rows(quiet) == rows(simulate_events(ring(), options=QUIET, seed=2))
    other_chip = replace(QUIET, sensor_seed=1)
    assert rows(quiet) != rows(simulate_events(ring(), options=other_chip, seed=1))


def test_step_hardly_matters() -> None:
    coarse = simulate_events(ring(), options=QUIET, seed=0)
    fine = simulate_events(ring(), options=replace(QUIET, step_us=250), seed=0)
    assert coarse.size == pytest.approx(fine.size, rel=0.01)
    last = simulate_events(ring(), options=replace(QUIET, step_us=7_000), seed=0)
    assert last.t[-1] <= 300_000  # the last, shorter step ends with the path


def test_round_trip_through_atis() -> None:
    events = simulate_events(ring(), seed=5)
    assert rows(decode(encode(events), "simulated.bin")) == rows(events)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 0}, "height must be positive, found 0"),
        ({"threshold_off": -0.1}, "threshold_off must be positive, found -0.1"),
        ({"noise_hz": -1.0}, "noise_hz must be 0 or more, found -1.0"),
        ({"noise_hz": float("nan")}, "noise_hz must be 0 or more, found nan"),
        ({"noise_on": 1.5}, r"noise_on must lie in \[0, 1\], found 1.5"),
        ({"path": SaccadePath(saccade_us=3_000_000)}, "found 9000000"),
        ({"path": SaccadePath(saccade_us=0)}, "found 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SensorOptions(**options)


@pytest.mark.parametrize(
    ("frames", "times_us", "threshold", "message"),
    [
        (np.ones((2, 3)), [0, 1], 0.2, r"frames must be \(K, H, W\)"),
        (np.ones((2, 3, 3)), [0, 1, 2], 0.2, r"found \(2, 3, 3\) and \(3,\)"),
        (np.zeros((2, 1, 1)), [0, 1], 0.2, "positive and finite"),
        (np.full((2, 1, 1), np.nan), [0, 1], 0.2, "positive and finite"),
        (np.full((2, 1, 1), np.inf), [0, 1], 0.2, "positive and finite"),
        (np.ones((2, 1, 1)), [5, 5], 0.2, "grow from frame to frame"),
        (np.ones((2, 1, 1)), [-5, 5], 0.2, "start at 0 or later"),
        (np.ones((2, 1, 1)), [0, 5], 0.0, "thresholds must be positive"),
    ],
)
def test_bad_frames(
    frames: NDArray[np.float64], times_us: list[int], threshold: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        events_from_intensity(frames, times_us, threshold_on=threshold, threshold_off=threshold)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 2, 3)), r"found \(2, 2, 3\)"),
        (np.zeros((0, 2)), r"found \(0, 2\)"),
        (np.full((2, 2), 255.0), r"must lie in \[0, 1\], found \[255.0, 255.0\]"),
        (np.full((2, 2), np.nan), "must lie in"),
    ],
)
def test_bad_image(image: NDArray[np.float64], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate_events(image, seed=0)


# Against the real sensor


def saccade_maps(events: Events) -> NDArray[np.float64]:
    """Counts ``(3, 2, 34, 34)`` by saccade and polarity."""
    counts = np.zeros((3, 2, 34, 34))
    np.add.at(counts, (np.minimum(events.t // 102_000, 2), events.p, events.y, events.x), 1)
    return counts


@pytest.mark.real
def test_likeness_to_real_recordings(real: Path) -> None:
    with (real / "mnist/train_first_100.csv").open() as file:
        digits = list(csv.reader(file))
    images = [np.array(row[1:785], float).reshape(28, 28) / 255 for row in digits]
    files = [real / f"n_mnist/Train/{row[0]}/{i:05d}.bin" for i, row in enumerate(digits, 1)]
    recorded = [read_events(path, "atis") for path in files]
    simulated = [simulate_events(image, seed=i) for i, image in enumerate(images)]

    sizes = np.array([[a.size, b.size] for a, b in zip(recorded, simulated, strict=True)])
    assert sizes[:, 1].mean() == pytest.approx(sizes[:, 0].mean(), rel=0.15)
    assert np.corrcoef(sizes.T)[0, 1] > 0.7  # a digit with more ink has more events in both
    rate = [
        np.histogram(np.concatenate([e.t for e in group]), 30, range=(0, 306_000))[0]
        for group in (recorded, simulated)
    ]
    assert np.corrcoef(rate)[0, 1] > 0.8  # three bells

    # where the events fall: alike once the real polarity is swapped, and only then
    there = np.stack([saccade_maps(e) for e in recorded])
    here = np.roll(np.stack([saccade_maps(e) for e in simulated]), 1, axis=3)
    assert np.corrcoef(there[:, :, ::-1].ravel(), here.ravel())[0, 1] > 0.75
    assert np.corrcoef(there.ravel(), here.ravel())[0, 1] < 0.5
