"""The one shape events have after any reader: four columns of equal length, in file order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOWHERE = -1
"""Stands for a coordinate that no sensor has, in an event that is to be left out."""
LEAVE_OUT = (
    'set outside = "drop" in [events] of the card (or of a copy of it), with sensor or limit = '
    "[height, width], to leave such events out"
)


class Events(NamedTuple):
    """Events of one recording.

    Attributes:
        x: column in pixels from the left, 0-based, int16, ``(N,)``; :data:`NOWHERE` is outside of
            every sensor.
        y: row in pixels from the top, likewise, ``(N,)``.
        t: timestamp in microseconds, int64, ``(N,)``.
        p: polarity, 0 off and 1 on, int8, ``(N,)``.
    """

    x: NDArray[np.int16]
    y: NDArray[np.int16]
    t: NDArray[np.int64]
    p: NDArray[np.int8]

    @property
    def size(self) -> int:
        """Number of events (``len`` of the tuple is its number of columns)."""
        return int(self.t.size)

    def take(self, which: NDArray[np.intp] | slice) -> Events:
        """Return the events at some positions, or of a slice, in that order."""
        return Events(self.x[which], self.y[which], self.t[which], self.p[which])

    @property
    def extent(self) -> tuple[int, int]:
        """``(height, width)`` in pixels of the smallest rectangle that holds all events."""
        if not self.t.size:
            return 0, 0
        return int(np.ptp(self.y)) + 1, int(np.ptp(self.x)) + 1

    @property
    def reach(self) -> tuple[int, int]:
        """``(height, width)`` in pixels of the smallest sensor that could have all events."""
        return (int(self.y.max()) + 1, int(self.x.max()) + 1) if self.t.size else (0, 0)

    @property
    def duration_us(self) -> int:
        """Time from the first to the last event in microseconds, 0 when empty."""
        return int(self.t[-1] - self.t[0]) if self.t.size else 0
