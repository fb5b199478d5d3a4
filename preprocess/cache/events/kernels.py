"""The compiled loop of decoding: planes of bytes into a column of events."""

from __future__ import annotations

import numpy as np

from ...disk.compiling import njit


@njit(cache=True, nogil=True)
def fill(planes, zigzag, running, start, out):  # type: ignore[no-untyped-def]
    """Put planes together.

    Args:
        planes: plane ``k`` has bits 8k to 8k + 7 of each value, ``(P, n)`` uint8.
        zigzag: 0, 1, 2, 3 stand for 0, -1, 1, -2, in up to two planes.
        running: values are differences to the one before, the first to ``start``.
        start: see ``running``.
        out: the column, ``(n,)``.
    """
    if planes.shape[0] == 0:
        out[:] = 0
    elif planes.shape[0] == 1:  # one plane and two are nearly all there are
        for i in range(out.size):
            out[i] = planes[0, i]
    elif planes.shape[0] == 2:
        for i in range(out.size):
            out[i] = np.uint16(planes[0, i]) | np.uint16(planes[1, i]) << np.uint16(8)
    else:
        for i in range(out.size):
            value = np.int64(0)
            for k in range(planes.shape[0]):
                value |= np.int64(planes[k, i]) << np.int64(8 * k)
            out[i] = value
    if zigzag:
        for i in range(out.size):
            value = np.int64(out[i]) & 0xFFFF  # int16 took the highest bit for a sign
            out[i] = (value >> 1) ^ -(value & 1)
    if running:
        total = np.int64(start)
        for i in range(out.size):
            total += out[i]
            out[i] = total
