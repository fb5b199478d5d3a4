"""ATIS records that can be framed as they lie in the file.

:func:`plain_records` takes a file's bytes and returns :class:`Records` where every record is an
event, which is nearly every file; else None, and the file goes through its reader.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .grid import Span
from .kernels import RECORD_BYTES, record_time, span_of_records

OVERFLOW_ROW = 240


class Records(NamedTuple):
    """Events of one recording as ATIS records, not yet known to be in order of time.

    Attributes:
        data: the bytes, uint8, ``(5 N,)``.
        span: smallest and largest coordinates.
        first_us: timestamp of the first event in microseconds.
        duration_us: time from the first to the last event in microseconds.
    """

    data: NDArray[np.uint8]
    span: Span
    first_us: int
    duration_us: int

    @property
    def size(self) -> int:
        """Number of events."""
        return self.data.size // RECORD_BYTES

    @property
    def extent(self) -> tuple[int, int]:
        """``(height, width)`` in pixels of the smallest rectangle that holds all events."""
        return self.span.y_high - self.span.y_low + 1, self.span.x_high - self.span.x_low + 1

    @property
    def reach(self) -> tuple[int, int]:
        """``(height, width)`` in pixels of the smallest sensor that could have all events."""
        return self.span.y_high + 1, self.span.x_high + 1


def plain_records(data: bytes) -> Records | None:
    """Return the records of a file, or None where its reader has to look at it.

    That is: a cut record, no event, or a row of 240 (a timer overflow) or more.
    """
    if not data or len(data) % RECORD_BYTES:
        return None
    array = np.frombuffer(data, np.uint8)
    whole = Span(*map(int, span_of_records(array)))
    if whole.y_high >= OVERFLOW_ROW:
        return None
    first, last = (int(record_time(array, i)) for i in (0, len(data) // RECORD_BYTES - 1))
    return Records(array, whole, first, last - first)
