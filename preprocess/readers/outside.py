"""Events outside the sensor: dropped by name, or at least noticed where no sensor is known.

In: events and what the card says of the sensor. Out: the events to frame, and a remark.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..disk.remarks import remark
from ..framing.events import Events
from ..framing.options import FrameOptions
from ..framing.records import Records

FEW = 1000
"""One event in so many, at the most, is taken for a stray."""
FAR = 2
"""A stray makes the rows or columns at least so many times as many as the others need."""
DROPPED = "with events outside the sensor: left out ([events] outside)"
STRAY = (
    "with a few events far from all others, which squeeze the frames: set sensor = [height, "
    'width] and outside = "drop" in [events] of the card'
)


def within(
    events: Events | Records, options: FrameOptions, *, drop: bool = False
) -> Events | Records:
    """Return the events inside the sensor, with a remark where others were left out.

    Args:
        events: of one recording.
        options: where its sensor is; with neither ``sensor`` nor ``limit`` all events stay, and
            those that lie far from all others are remarked on.
        drop: leave out what is outside; otherwise framing refuses it.
    """
    extent = options.sensor or options.limit
    if extent is None:
        if options.crop is None and _has_strays(_columns(events)):
            remark("stray", STRAY)
        return events
    if not drop or (isinstance(events, Records) and _is_whole(events, extent)):
        return events
    held = _columns(events)
    inside = (held.y >= 0) & (held.y < extent[0]) & (held.x >= 0) & (held.x < extent[1])
    left = held.size - int(np.count_nonzero(inside))
    if not left:
        return events
    remark("outside", DROPPED, left)
    return held.take(np.flatnonzero(inside))


def _is_whole(records: Records, extent: tuple[int, int]) -> bool:
    return all(reach <= most for reach, most in zip(records.reach, extent, strict=True))


def _columns(events: Events | Records) -> Events:
    return events.events() if isinstance(events, Records) else events


def _has_strays(events: Events) -> bool:
    return events.size > FEW // 10 and (_strays(events.x) or _strays(events.y))


def _strays(column: NDArray[np.int16]) -> bool:
    """Whether at most one event in :data:`FEW`, or a single one, lies far above all others."""
    few = max(1, column.size // FEW)
    ordered = np.partition(column, column.size - 1 - few)
    most, largest = int(ordered[column.size - 1 - few]), int(ordered[-few:].max())
    return largest + 1 >= FAR * (most + 1)
