"""EventDrop on a window's events: each kind by hand, and the published one with its two faults."""

from __future__ import annotations

import bisect
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snntx.errors import UsageError
from snntx.preprocess.framing.events import Events
from snntx.preprocess.framing.frames import frames_in_window
from snntx.preprocess.framing.grid import Span
from snntx.preprocess.framing.options import FrameOptions
from snntx.train.augment.windows import (
    Box,
    box_around,
    event_drop,
    outside_box,
    outside_cross,
    outside_time,
)
from snntx.train.recipe.whole import Recipe


def events(x: Any, y: Any, t: Any, p: Any) -> Events:
    columns = np.array(x, np.int16), np.array(y, np.int16), np.array(t), np.array(p, np.int8)
    return Events(columns[0], columns[1], columns[2].astype(np.int64), columns[3])


def many(count: int = 3000, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.choice(900_000, count, replace=False)) + 5_000_000
    return events(rng.integers(0, 128, count), rng.integers(0, 96, count), t,
                  rng.integers(0, 2, count))  # fmt: skip


class Scripted:
    """Stands for a generator: what is drawn, in order."""

    def __init__(self, whole: list[int], uniform: list[float] | None = None, order: Any = None):
        self.whole, self.uniform, self.order = iter(whole), iter(uniform or []), order

    def integers(self, low: int, high: int) -> int:
        drawn = next(self.whole)
        assert low <= drawn < high
        return drawn

    def random(self) -> float:
        return next(self.uniform)

    def permutation(self, count: int) -> NDArray[np.int64]:
        assert len(self.order) == count
        return np.array(self.order)


def dropped(found: Events, sensor: tuple[int, int], draw: Any, **how: Any) -> Events:
    return event_drop(found, sensor, draw, **how)


LINE = events(range(11), range(11), np.arange(11) * 10 + 700, [0, 1] * 5 + [0])
"""Eleven events on the diagonal, 10 us apart, from 700 us on."""


def test_by_time_counts_from_the_first_event_and_takes_both_ends() -> None:
    kept = LINE.t[outside_time(LINE, begin=0.2, share=0.3)]
    assert (kept - 700).tolist() == [0, 10, 60, 70, 80, 90, 100]
    assert (LINE.t[outside_time(LINE, begin=0.75, share=0.9)] - 700).tolist() == [
        0, 10, 20, 30, 40, 50, 60, 70,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("centre", "side", "box"),
    [
        ((0.5, 0.25), 0.5, Box(2, 6, 0, 8)),  # 4 x 8 about row 4, column 4
        ((0.0, 0.0), 0.5, Box(0, 4, 0, 8)),  # would begin before pixel 0: begins there
        ((0.99, 0.99), 0.5, Box(5, 8, 11, 16)),  # cut at the far border
        ((0.5, 0.5), 0.05, Box(3, 3.4, 7, 7.8)),  # smaller than a pixel: the one it begins in
    ],
)
def test_a_box_by_hand(centre: tuple[float, float], side: float, box: Box) -> None:
    assert box_around(centre, side, (8, 16)) == pytest.approx(box)


def test_a_box_is_a_box_and_has_its_edges() -> None:
    grid = np.mgrid[:8, :16].reshape(2, -1)
    every = events(grid[1], grid[0], range(128), np.zeros(128))
    gone = ~outside_box(every, Box(2, 6, 0, 8)).reshape(8, 16)
    expected = np.zeros((8, 16), bool)
    expected[2:7, 0:9] = True
    np.testing.assert_array_equal(gone, expected)


def test_the_published_area_reads_row_and_polarity_and_drops_a_cross() -> None:
    found = events([5, 5, 5, 5], [9, 10, 20, 21], [0, 1, 2, 3], [0, 1, 0, 1])
    assert outside_cross(found, Box(top=2, bottom=8, left=10, right=20)).tolist() == [
        True, False, False, True,
    ]  # fmt: skip
    # a box from row 0 on has polarity 0 in it, and one from row 1 on polarity 1: all of it goes
    assert outside_cross(found, Box(top=0, bottom=0.5, left=10, right=20)).tolist() == [
        False, False, False, True,
    ]  # fmt: skip


def test_each_kind_by_its_draws() -> None:
    sensor = (11, 11)
    assert dropped(LINE, sensor, Scripted([0])) is LINE
    by_time = dropped(LINE, sensor, Scripted([1, 3], [0.2]))
    assert (by_time.t - 700).tolist() == [0, 10, 60, 70, 80, 90, 100]
    # side 10/20 of 11 is 5.5 about (5.5, 5.5): from int(2.75) = 2 up to 7.5
    by_area = dropped(LINE, sensor, Scripted([2, 10], [0.5, 0.5]))
    assert by_area.x.tolist() == [0, 1, 8, 9, 10]
    order = [7, 2, 9, 4, 0, 1, 3, 5, 6, 8, 10]
    at_random = dropped(LINE, sensor, Scripted([3, 6], order=order))  # int(6.6) go, 5 stay
    assert at_random.x.tolist() == [0, 2, 4, 7, 9]
    assert (np.diff(at_random.t) > 0).all()


def test_the_published_kinds_by_their_draws() -> None:
    order = [7, 2, 9, 4, 0, 1, 3, 5, 6, 8, 10]
    at_random = dropped(LINE, (11, 11), Scripted([3, 6], order=order), published=True)
    assert at_random.x.tolist() == [7, 2, 9, 4, 0]
    # on 32 pixels whatever the sensor: 8/20 of 32 about row 0, column 16, so rows 0 to 12.8 and
    # columns 9 to 21.8; either polarity is a row of it
    none_left = dropped(LINE, (11, 11), Scripted([2, 8], [0.0, 0.5]), published=True)
    assert none_left is LINE, "a window that would lose all its events keeps them"
    # about row 31: rows 24 to 32, which no polarity is; only columns count
    cross = dropped(LINE, (11, 11), Scripted([2, 8], [0.97, 0.5]), published=True)
    assert cross.y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("published", [False, True])
def test_nothing_is_lost_twice_and_an_empty_window_stays(published: bool) -> None:
    everything = Scripted([2, 19], [0.0, 0.0])
    corner = events([0, 0], [0, 0], [0, 1], [0, 1])
    assert dropped(corner, (8, 8), everything, published=published) is corner
    empty = corner.take(slice(0, 0))
    assert not dropped(empty, (8, 8), Scripted([3]), published=published).size


@pytest.mark.parametrize("published", [False, True])
def test_kinds_are_drawn_evenly_and_repeat(published: bool) -> None:
    window, shares = many(400), Counter[int]()
    for seed in range(400):
        one, two = (
            event_drop(window, (96, 128), np.random.default_rng(seed), published=published)
            for _ in range(2)
        )
        assert all(np.array_equal(a, b) for a, b in ((one.t, two.t), (one.x, two.x)))
        shares[int(np.random.default_rng(seed).integers(0, 4))] += 1
        assert 0 < one.size <= window.size
        assert published or (np.diff(one.t) > 0).all()
    assert all(70 <= shares[kind] <= 130 for kind in range(4))


def published_frames(window: Events, steps: int, width_us: int) -> NDArray[np.int64]:
    """Events of each frame as the published code finds them: a bisection of what is left."""
    times = window.t.tolist()
    ends, end = [], 0
    for i in range(steps):
        end += bisect.bisect_left(times[end:], times[0] + (i + 1) * width_us)
        ends.append(end)
    return np.diff([0, *ends])


@pytest.mark.parametrize("seed", range(8))
def test_frames_of_events_out_of_order_are_the_published_ones(seed: int) -> None:
    window = many(seed=seed)
    order = np.random.default_rng(seed).permutation(window.size)[: window.size // 2].tolist()
    order += [i for i in range(window.size) if i not in set(order)]
    mixed = dropped(window, (96, 128), Scripted([3, 5], order=order), published=True)
    sorted_ones = dropped(window, (96, 128), Scripted([3, 5], order=order))
    options = FrameOptions(steps=60, sensor=(96, 128), window_ms=15)
    span = Span(0, 127, 0, 95)
    found = frames_in_window(mixed, span, options).sum((1, 2, 3))
    np.testing.assert_array_equal(found, published_frames(mixed, 60, 15_000))
    whole = frames_in_window(sorted_ones, span, options).sum((1, 2, 3))
    assert (whole > 0).all()
    assert (found > 0).sum() <= 20
    assert whole.sum() == sorted_ones.size


def test_it_needs_windows_and_its_advice_leads_there() -> None:
    plain = {"model": "nmnist", "epochs": 1}
    for value in ("box", "published"):
        text = f"event_drop = {value} drops events of windows; set slice=random, or augment=eve"
        with pytest.raises(UsageError, match=text):
            Recipe.of(**plain, event_drop=value)
        assert Recipe.of(**plain, event_drop=value, slice="random").augment.event_drop == value
    assert Recipe.of(**plain, augment="eventdrop").augment.event_drop == "none"
    with pytest.raises(UsageError, match="event_drop"):
        Recipe.of(**plain, slice="random", event_drop="cross")
