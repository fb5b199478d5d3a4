"""ATIS records that can be framed as they lie in the file.

:func:`plain_records` takes a file's bytes and returns :class:`Records` where every record is an
event and times never go back, which is nearly every file; else None, and the file goes
through its reader, which sorts or says what is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .grid import Span
from .kernels import RECORD_BYTES, scan_records

OVERFLOW_ROW = 240
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
