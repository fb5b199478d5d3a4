"""The compiled loop of decoding: planes of bytes into a column of events."""

from __future__ import annotations

import numpy as np

from ...disk.compiling import njit


@njit(cache=True, nogil=True)
def fill(planes, zigzag, running, start, out):  # type: ignore[no-untyped-def]
    """Put planes together.

    Args:
        planes: plane ``k`` has bits 8k to 8k + 7 of each value, ``(P, n)`` uint8.
        zigzag: 0, 1, 2, 3 stand for 0, -1, 1, -2.
        running: values are differences to the one before, the first to ``start``.
        start: see ``running``.
        out: the column, ``(n,)``.
    """
    total = np.int64(start)
    for i in range(out.size):
        value = np.int64(0)
        for k in range(planes.shape[0]):
            value |= np.int64(planes[k, i]) << np.int64(8 * k)
        if zigzag:
            value = (value >> np.int64(1)) ^ -(value & np.int64(1))
        if running:
            total += value
            value = total
        out[i] = value
