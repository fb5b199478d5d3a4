"""Compiled loops of framing: from ordered events to counts, and from counts to pixels.

Events are counted one frame at a time into a grid that stays in the processor's cache:
``grid (C * (rows + 1) * (columns + 1),)``, int32, flat; ``row_at`` and ``column_at`` add up
to an event's place in it. The last row and column take what no pixel reads.
Indices are unsigned, since a negative one would mean "from the end" and cost a branch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk.compiling import njit
from .checks import channels
from .grid import Axis

RECORD_BYTES = 5
_BLOCK = 128 * RECORD_BYTES


@njit(cache=True, nogil=True)
def scan_columns(x, y, t):  # type: ignore[no-untyped-def]
    """Return smallest and largest x and y, and whether times never go back."""
    x_low = x_high = x[0]
    y_low = y_high = y[0]
    for i in range(x.size):
        x_low = min(x_low, x[i])
        x_high = max(x_high, x[i])
        y_low = min(y_low, y[i])
        y_high = max(y_high, y[i])
    back = 0
    for i in range(1, t.size):
        back |= t[i] < t[i - 1]
    return x_low, x_high, y_low, y_high, back == 0


@njit(cache=True, nogil=True)
def _span_of_records(data):  # type: ignore[no-untyped-def]
    """Return smallest and largest x and y of ATIS records in bytes.

    Whole blocks are compared byte by byte, which needs no unpacking and fills wide registers.
    """
    low = np.full(_BLOCK, 255, np.uint8)
    high = np.zeros(_BLOCK, np.uint8)
    whole = data.size // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        block = data[start : start + _BLOCK]
        for j in range(_BLOCK):
            value = block[j]
            low[j] = value if value < low[j] else low[j]
            high[j] = value if value > high[j] else high[j]
    for j in range(data.size - whole):
        low[j] = min(low[j], data[whole + j])
        high[j] = max(high[j], data[whole + j])
    return (
        low[0::RECORD_BYTES].min(),
        high[0::RECORD_BYTES].max(),
        low[1::RECORD_BYTES].min(),
        high[1::RECORD_BYTES].max(),
    )


@njit(cache=True, nogil=True)
def _key(word):  # type: ignore[no-untyped-def]
    """Return a number that orders records as time does: their last 23 bits, big-endian."""
    swapped = (
        word << np.uint32(24)
        | (word & np.uint32(0xFF00)) << np.uint32(8)
        | (word >> np.uint32(8)) & np.uint32(0xFF00)
        | word >> np.uint32(24)
    )
    return np.uint32(np.uint32(swapped) << np.uint32(9))


@njit(cache=True, nogil=True)
def scan_records(data, words):  # type: ignore[no-untyped-def]
    """Return the span of records, first and last time, and whether times never go back.

    ``words`` has row, polarity and time of each record as one little-endian number.
    """
    back = 0
    last = np.uint32(0)
    for i in range(words.size):
        key = _key(words[i])
        back |= key < last
        last = key
    times = np.int64(_key(words[0]) >> np.uint32(9)), np.int64(last >> np.uint32(9))
    return _span_of_records(data), times, back == 0


@njit(cache=True, nogil=True)
def search_records(words, edges):  # type: ignore[no-untyped-def]
    """Return ``np.searchsorted(times, edges)`` of ordered ATIS records."""
    bounds = np.empty(edges.size, np.int64)
    for k in range(edges.size):
        low, high = 0, words.size
        while low < high:
            middle = (low + high) // 2
            if np.int64(_key(words[middle]) >> np.uint32(9)) < edges[k]:
                low = middle + 1
            else:
                high = middle
        bounds[k] = low
    return bounds


@njit(cache=True, nogil=True)
def _count_columns(x, y, p, start, stop, row_at, column_at, plane, grid):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        place = row_at[np.uint64(y[i])] + column_at[np.uint64(x[i])]
        grid[np.uint64(p[i]) * np.uint64(plane) + np.uint64(place)] += 1


@njit(cache=True, nogil=True)
def _count_records(data, words, start, stop, row_at, column_at, plane, grid):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        word = words[i]
        place = row_at[word & np.uint32(255)] + column_at[data[np.uint64(i) * np.uint64(5)]]
        on = np.uint64((word >> np.uint32(15)) & np.uint32(1))
        grid[on * np.uint64(plane) + np.uint64(place)] += 1


@njit(cache=True, nogil=True)
def _interpolate(counts, rows, columns, line, out):  # type: ignore[no-untyped-def]
    """One frame ``(C, H, W)`` from ``counts (C, rows + 1, columns + 1)``, in float32.

    ``rows`` and ``columns`` are first slot, second slot and weight of each output; ``line``
    holds one row of the frame before it is interpolated along the columns.
    """
    one = np.float32(1.0)
    top, bottom, row_weight = rows
    left, right, column_weight = columns
    for channel in range(out.shape[0]):
        for i in range(top.size):
            upper, lower, v = top[i], bottom[i], row_weight[i]
            for j in range(line.size):
                a, b = np.float32(counts[channel, upper, j]), np.float32(counts[channel, lower, j])
                line[j] = (one - v) * a + v * b
            for j in range(left.size):
                h = column_weight[j]
                out[channel, i, j] = (one - h) * line[left[j]] + h * line[right[j]]


@njit(cache=True, nogil=True)
def _finish(grid, rows, columns, resized, line, out):  # type: ignore[no-untyped-def]
    counts = grid.reshape(out.shape[0], -1, line.size + 1)
    if resized:
        _interpolate(counts, rows, columns, line, out)
    else:
        for channel in range(out.shape[0]):
            for i in range(out.shape[1]):
                for j in range(out.shape[2]):
                    out[channel, i, j] = np.float32(counts[channel, i, j])


@njit(cache=True, nogil=True)
def _frame_columns(events, bounds, places, rows, columns, resized, grid, line, out):  # type: ignore[no-untyped-def]
    x, y, p = events
    row_at, column_at, plane = places
    for step in range(out.shape[0]):
        grid[:] = 0
        _count_columns(x, y, p, bounds[step], bounds[step + 1], row_at, column_at, plane, grid)
        _finish(grid, rows, columns, resized, line, out[step])


@njit(cache=True, nogil=True)
def _frame_records(events, bounds, places, rows, columns, resized, grid, line, out):  # type: ignore[no-untyped-def]
    data, words = events
    row_at, column_at, plane = places
    for step in range(out.shape[0]):
        grid[:] = 0
        _count_records(data, words, bounds[step], bounds[step + 1], row_at, column_at, plane, grid)
        _finish(grid, rows, columns, resized, line, out[step])


def frame(
    events: tuple[NDArray[Any], ...],
    bounds: NDArray[np.int64],
    rows: Axis,
    columns: Axis,
    polarity: str,
) -> NDArray[np.float32]:
    """Return frames ``(T, C, H, W)`` of events whose coordinates the axes cover.

    Args:
        events: columns ``x, y, p``, or the bytes and the words of ATIS records.
        bounds: frame ``i`` has the events from ``bounds[i]`` up to ``bounds[i + 1]``.
        rows: axis of y.
        columns: axis of x.
        polarity: ``split`` or ``merged``.
    """
    depth, stride = channels(polarity), columns.slots + 1
    plane = (rows.slots + 1) * stride
    run = _frame_columns if len(events) == 3 else _frame_records
    out = np.empty((bounds.size - 1, depth, rows.first.size, columns.first.size), np.float32)
    run(
        events,
        bounds,
        (rows.slot_of * np.uint32(stride), columns.slot_of, plane if depth == 2 else 0),
        (rows.first, rows.second, rows.weight),
        (columns.first, columns.second, columns.weight),
        rows.resized,
        np.empty(depth * plane, np.int32),
        np.empty(columns.slots, np.float32),
        out,
    )
    return out


@njit(cache=True, nogil=True)
def _count_pixels(places, bounds, rows, columns, width, grid, counts, largest):  # type: ignore[no-untyped-def]
    plane = grid.size // counts.shape[1]
    for step in range(counts.shape[0]):
        for i in range(bounds[step], bounds[step + 1]):
            place = places[i]
            grid[place] += 1
            channel = place // plane
            largest[step, channel] = max(largest[step, channel], grid[place])
        for channel in range(counts.shape[1]):
            for i in range(rows.size):
                start = channel * plane + rows[i] * width
                for j in range(columns.size):
                    counts[step, channel, i, j] = grid[start + columns[j]]
        for i in range(bounds[step], bounds[step + 1]):
            grid[places[i]] = 0


def count_pixels(
    places: NDArray[np.int64],
    bounds: NDArray[np.int64],
    sensor: tuple[int, int],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count the events of some pixels, and the largest count of all pixels.

    Args:
        places: of each event in a flat ``(2, H, W)`` frame, checked to lie in it, ``(N,)``.
        bounds: frame ``i`` of ``T`` has the events from ``bounds[i]`` up to ``bounds[i + 1]``.
        sensor: ``(H, W)``.
        rows: wanted, ``(h,)``.
        columns: wanted, ``(w,)``.

    Returns:
        Counts ``(T, 2, h, w)``, and the largest of each whole frame and polarity, ``(T, 2)``.
    """
    counts = np.empty((bounds.size - 1, 2, rows.size, columns.size), np.int32)
    largest = np.zeros(counts.shape[:2], np.int32)
    grid = np.zeros(2 * sensor[0] * sensor[1], np.int32)
    _count_pixels(places, bounds, rows, columns, sensor[1], grid, counts, largest)
    return counts, largest
