"""ATIS records, as columns and as they lie in the file.

A record has five bytes: ``x``, ``y``, then polarity in bit 7 of byte 2 and a 23-bit
big-endian timestamp in microseconds in the rest. A record with ``y = 240`` is no event: it
marks a timer overflow and adds 2**13 us to itself and all that follows.

:func:`plain_records` takes a file's bytes and returns :class:`Records` where every record is an
event and times never go back, which is nearly every file; else None, and the file goes
through its reader, which sorts or says what is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..disk.compiling import njit
from .events import Events
from .grid import Span
from .kernels import RECORD_BYTES, scan_records

OVERFLOW_ROW = 240
OVERFLOW_US = 1 << 13
_WORD = np.dtype("<u4")


class Records(NamedTuple):
    """Events of one recording as ATIS records, in order of time.

    Attributes:
        data: the bytes, ``(5 N,)``.
        words: row, polarity and time of each record as one number, a view of ``data``, ``(N,)``.
        span: smallest and largest coordinates.
        first_us: timestamp of the first event in microseconds.
        duration_us: time from the first to the last event in microseconds.
    """

    data: NDArray[np.uint8]
    words: NDArray[np.uint32]
    span: Span
    first_us: int
    duration_us: int

    @property
    def size(self) -> int:
        """Number of events."""
        return int(self.words.size)

    @property
    def extent(self) -> tuple[int, int]:
        """``(height, width)`` in pixels of the smallest rectangle that holds all events."""
        return self.span.y_high - self.span.y_low + 1, self.span.x_high - self.span.x_low + 1

    @property
    def reach(self) -> tuple[int, int]:
        """``(height, width)`` in pixels of the smallest sensor that could have all events."""
        return self.span.y_high + 1, self.span.x_high + 1

    def events(self) -> Events:
        """Return the same events as columns."""
        return unpacked(self.data)


def plain_records(data: bytes) -> Records | None:
    """Return the records of a file, or None where its reader has to look at it.

    That is: a cut record, no event, a row of 240 (a timer overflow) or more, or time going back.
    """
    if not data or len(data) % RECORD_BYTES:
        return None
    array = np.frombuffer(data, np.uint8)
    words = np.ndarray(array.size // RECORD_BYTES, _WORD, array, 1, (RECORD_BYTES,))
    span, (first, last), ordered = scan_records(array, words)
    whole = Span(*map(int, span))
    if not ordered or whole.y_high >= OVERFLOW_ROW:
        return None
    return Records(array, words, whole, int(first), int(last - first))


def unpacked(data: NDArray[np.uint8]) -> Events:
    """Return the events of whole records, ``(5 N,)``, as columns; overflow markers are none."""
    records = data.size // RECORD_BYTES
    x = np.empty(records, np.int16)
    y = np.empty(records, np.int16)
    t = np.empty(records, np.int64)
    p = np.empty(records, np.int8)
    kept = _unpack(data, x, y, t, p)
    return Events(x[:kept], y[:kept], t[:kept], p[:kept])


@njit(cache=True, nogil=True)
def _unpack(data, x, y, t, p):  # type: ignore[no-untyped-def]
    kept = 0
    offset = 0
    for start in range(0, data.size, RECORD_BYTES):
        row = data[start + 1]
        if row == OVERFLOW_ROW:
            offset += OVERFLOW_US
            continue
        high = np.int64(data[start + 2])
        x[kept] = data[start]
        y[kept] = row
        p[kept] = high >> 7
        t[kept] = (
            ((high & 127) << 16) | (np.int64(data[start + 3]) << 8) | np.int64(data[start + 4])
        ) + offset
        kept += 1
    return kept
