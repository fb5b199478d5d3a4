"""EventDrop on a window's events, before frames are made of them (Gu et al., IJCAI 2021).

In: the events of one window, in order of time, and a generator. Out: those that stay. One of four
kinds is drawn, evenly:

- **all** stay;
- **by time**: a share of {1/10 … 9/10} and a begin in [0, 1); with s the time since the window's
  first event over that of its last one, an event goes where ``begin <= s <= begin + share``;
- **by area**: a side of {1/20 … 19/20} of the sensor's and a centre anywhere on it; a box that
  would begin before pixel 0 begins there, and is cut at the far border. What lies
  in it goes, edges too;
- **at random**: of N events ``int(N share)`` go, with a share of {1/10 … 9/10}.

A window that would lose all its events keeps them.

Frames begin with the first event that is left.

**published** is the same as Yao et al. (ICCV 2023) run it on gaits, with two faults: *by area*
takes the row for the column and the polarity for the row, on a sensor of 32 x 32, and drops a cross
(what lies in the box's range of either), not a box; *at random* leaves the events in random order,
and frames are then cut where a bisection of their times happens to end, so that most are empty.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...preprocess.framing.events import Events

SHARES = 10
"""Shares of time, or of the events, are 1/10, 2/10, … 9/10."""
SIDES = 20
"""Sides of a box, as a share of the sensor's, are 1/20, 2/20, … 19/20."""
PUBLISHED_SENSOR = (32, 32)
"""Pixels that the published code takes the sensor to have, whose coordinates reach 127."""

Kept = NDArray[np.bool_]


class Box(NamedTuple):
    """First and last pixel, both inclusive, by row and by column."""

    top: float
    bottom: float
    left: float
    right: float


def event_drop(
    events: Events, sensor: tuple[int, int], draw: np.random.Generator, *, published: bool = False
) -> Events:
    """Return the events of a window that stay.

    Args:
        events: of one window, in order of time.
        sensor: its height and width in pixels.
        draw: source of the draws.
        published: as the published code does it, faults included; ``sensor`` is then not used.
    """
    kind = draw.integers(0, 4)
    if kind == 0 or not events.size:
        return events
    if kind == 1:
        share = int(draw.integers(1, SHARES)) / SHARES
        stay = events.take(np.flatnonzero(outside_time(events, draw.random(), share)))
    elif kind == 2:
        side = int(draw.integers(1, SIDES)) / SIDES
        centre = (draw.random(), draw.random())
        box = box_around(centre, side, PUBLISHED_SENSOR if published else sensor)
        outside = outside_cross(events, box) if published else outside_box(events, box)
        stay = events.take(np.flatnonzero(outside))
    else:
        share = int(draw.integers(1, SHARES)) / SHARES
        places = draw.permutation(events.size)[: events.size - int(events.size * share)]
        stay = events.take(places if published else np.sort(places))
    return stay if stay.size else events


def outside_time(events: Events, begin: float, share: float) -> Kept:
    """Return which events lie outside a span of time, both of whose ends go with it, ``(N,)``.

    Args:
        events: in order of time.
        begin: of the span, as a share of the time from the first to the last event.
        share: its length, likewise; it may end after the last event.
    """
    since = events.t - events.t[0]
    return _beyond(since, begin * int(since[-1]), (begin + share) * int(since[-1]))


def box_around(centre: tuple[float, float], side: float, sensor: tuple[int, int]) -> Box:
    """Return a box on the sensor.

    Args:
        centre: row and column, as shares of the sensor's sides, in [0, 1).
        side: of the box, as a share of the sensor's.
        sensor: height and width in pixels.
    """
    edges: list[float] = []
    for place, pixels in zip(centre, sensor, strict=True):
        length = side * pixels
        first = int(max(0.0, place * pixels - length / 2))
        edges += [first, min(float(pixels), first + length)]
    return Box(*edges)


def outside_box(events: Events, box: Box) -> Kept:
    """Return which events lie outside a box, ``(N,)``."""
    return _beyond(events.y, box.top, box.bottom) | _beyond(events.x, box.left, box.right)


def outside_cross(events: Events, box: Box) -> Kept:
    """Return which events the published code keeps, ``(N,)``.

    Those whose row is none of the box's columns and whose polarity is none of its rows.
    """
    return _beyond(events.y, box.left, box.right) & _beyond(events.p, box.top, box.bottom)


def _beyond(values: NDArray[Any], first: float, last: float) -> Kept:
    outside: Kept = (values < first) | (values > last)
    return outside
