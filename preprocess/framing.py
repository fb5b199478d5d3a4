"""Events to frame tensors ``(T, 2, H, W)``, float32: counts per time bin and polarity.

With ``t_0`` and ``t_1`` the first and last timestamp, ``window = max(1, (t_1 - t_0) // T)``
and frame ``i`` counts the events with ``t_0 + i * window <= t < t_0 + (i + 1) * window``.
``tail="drop"`` leaves out what remains after frame ``T - 1`` (tonic's
``ToFrame(n_time_bins=T)``; at least the last event); ``tail="keep"`` puts it into the last
frame (SpikingJelly's convention). Counts are int32, then float32.

Resizing is bilinear with aligned corners and no antialias, as the published method does
(He et al., AAAI 2024): output row ``i`` reads input rows ``floor(r)`` and ``floor(r) + 1``
with ``r = i * (h_in - 1) / (h_out - 1)``. Only those rows and columns are ever counted, so
most events of a large sensor cost one table look-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..errors import SnntxError, UsageError
from .options import TAILS


@njit(cache=True, nogil=True)
def _scan(x, y, t):  # type: ignore[no-untyped-def]
    """Smallest and largest x and y, and the first event that goes back in time."""
    x_low = x_high = x[0]
    y_low = y_high = y[0]
    backwards = -1
    for i in range(x.size):
        x_low = min(x_low, x[i])
        x_high = max(x_high, x[i])
        y_low = min(y_low, y[i])
        y_high = max(y_high, y[i])
        if i and t[i] < t[i - 1] and backwards < 0:
            backwards = i
    return x_low, x_high, y_low, y_high, backwards


@njit(cache=True, nogil=True)
def _count(x, y, p, bounds, row_of, column_of, counts):  # type: ignore[no-untyped-def]
    """Count events into ``counts (T, 2, rows, columns)``; a look-up of -1 means not sampled."""
    for step in range(counts.shape[0]):
        frame = counts[step]
        for i in range(bounds[step], bounds[step + 1]):
            row = row_of[y[i]]
            column = column_of[x[i]]
            if row >= 0 and column >= 0:
                frame[p[i], row, column] += 1


@njit(cache=True, nogil=True)
def _interpolate(counts, top, bottom, row_weight, left, right, column_weight, out):  # type: ignore[no-untyped-def]
    """Bilinear combination of the counted rows and columns, in float32."""
    one = np.float32(1.0)
    for step in range(out.shape[0]):
        for polarity in range(2):
            source = counts[step, polarity]
            target = out[step, polarity]
            for i in range(target.shape[0]):
                upper = source[top[i]]
                lower = source[bottom[i]]
                v = row_weight[i]
                for j in range(target.shape[1]):
                    h = column_weight[j]
                    above = (one - h) * np.float32(upper[left[j]]) + h * np.float32(upper[right[j]])
                    below = (one - h) * np.float32(lower[left[j]]) + h * np.float32(lower[right[j]])
                    target[i, j] = (one - v) * above + v * below


def _taps(
    source: int, target: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """First input index, second input index and weight of the second, per output index."""
    scale = np.float32(source - 1) / np.float32(target - 1) if target > 1 else np.float32(0)
    position = scale * np.arange(target, dtype=np.float32)
    first = np.minimum(position.astype(np.intp), source - 1)
    second = np.minimum(first + 1, source - 1)
    weight = np.clip(position - first.astype(np.float32), 0, 1).astype(np.float32)
    return first, second, weight


def _look_up(length: int, offset: int, *used: NDArray[np.intp]) -> tuple[NDArray[np.int32], int]:
    """Map a coordinate (offset included) to its place among the ``used`` ones, else -1."""
    places = np.unique(np.concatenate(used)) if used else np.arange(length)
    table = np.full(length + offset, -1, np.int32)
    table[places + offset] = np.arange(places.size, dtype=np.int32)
    return table, int(places.size)


def _integers(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return one column of whole numbers; fractions would be cut off without a word."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise SnntxError(f"{name} must be one column (N,), found shape {array.shape}")
    if array.size and array.dtype.kind not in "iub":
        raise SnntxError(f"{name} must be integers, found {array.dtype}")
    return array


def _narrow(values: ArrayLike, name: str) -> NDArray[np.int16]:
    """Return coordinates as int16 without ever wrapping one."""
    array = _integers(values, name)
    if array.dtype == np.int16:
        return array
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int16).max):
        raise SnntxError(f"{name} lies in [{array.min()}, {array.max()}], expected [0, 32767]")
    return array.astype(np.int16)


def _off_on(values: NDArray[Any]) -> NDArray[np.int8]:
    """Return polarities as int8, checked before a wide integer could wrap."""
    if values.dtype == np.bool_:
        return values.view(np.int8)
    if values.min() < 0 or values.max() > 1:
        bad = int(np.flatnonzero((values < 0) | (values > 1))[0])
        raise SnntxError(f"polarity of event {bad} is {values[bad]}, expected 0 (off) or 1 (on)")
    return values.astype(np.int8, copy=False)


def frames_from_events(
    x: ArrayLike,
    y: ArrayLike,
    t: ArrayLike,
    p: ArrayLike,
    *,
    steps: int,
    size: int | tuple[int, int] | None = None,
    sensor: tuple[int, int] | None = None,
    tail: str = "drop",
    zero_origin: bool = False,
) -> NDArray[np.float32]:
    """Frame one recording; formula and source in the module's docstring.

    Args:
        x, y: pixel coordinates from 0, ``(N,)``.
        t: timestamps in microseconds, never going back, ``(N,)``.
        p: polarity, 0 off and 1 on, ``(N,)``.
        steps: number of frames ``T``.
        size: side, or ``(H, W)``, of the frames; None keeps the sensor's pixels.
        sensor: ``(height, width)``; None takes the largest coordinate plus one.
        tail: ``drop`` or ``keep`` the events after the last whole window.
        zero_origin: subtract the smallest x and y first.

    Returns:
        float32 ``(T, 2, H, W)``, polarity off then on.

    Raises:
        SnntxError: no events, times that go back, a polarity that is not 0 or 1, a
            coordinate outside the sensor.
        UsageError: an option has no meaning.
    """
    if steps < 1:
        raise UsageError(f"steps must be at least 1, found {steps}")
    if tail not in TAILS:
        raise UsageError(f"tail must be one of {', '.join(TAILS)}, found '{tail}'")
    target = (size, size) if isinstance(size, int) else size
    if target is not None and min(target) < 1:
        raise UsageError(f"size must be positive, found {size}")
    columns, rows = _narrow(x, "x"), _narrow(y, "y")
    times, polarity = _integers(t, "t").astype(np.int64, copy=False), _integers(p, "p")
    if not columns.size == rows.size == times.size == polarity.size:
        raise SnntxError(
            "x, y, t, p differ in length: "
            f"{columns.size}, {rows.size}, {times.size}, {polarity.size}"
        )
    if times.size == 0:
        raise SnntxError("no events; a recording needs at least one")
    polarity = _off_on(polarity)
    x_low, x_high, y_low, y_high, backwards = _scan(columns, rows, times)
    if backwards >= 0:
        raise SnntxError(
            f"time goes back at event {backwards}, from {times[backwards - 1]} to "
            f"{times[backwards]} us; sort the events by time first"
        )
    origin_x, origin_y = (int(x_low), int(y_low)) if zero_origin else (0, 0)
    height, width = sensor or (int(y_high) - origin_y + 1, int(x_high) - origin_x + 1)
    if x_low < 0 or y_low < 0 or x_high - origin_x >= width or y_high - origin_y >= height:
        raise SnntxError(
            f"events lie in x [{x_low}, {x_high}] and y [{y_low}, {y_high}], outside the sensor "
            f"of {height} rows and {width} columns"
        )

    window = max(1, int(times[-1] - times[0]) // steps)
    edges = times[0] + window * np.arange(steps + 1, dtype=np.int64)
    bounds = np.searchsorted(times, edges)
    if tail == "keep":
        bounds[-1] = times.size

    if target is None:
        row_of, n_rows = _look_up(height, origin_y)
        column_of, n_columns = _look_up(width, origin_x)
        counts = np.zeros((steps, 2, n_rows, n_columns), np.int32)
        _count(columns, rows, polarity, bounds, row_of, column_of, counts)
        return counts.astype(np.float32)

    out_height, out_width = target
    top, bottom, row_weight = _taps(height, out_height)
    left, right, column_weight = _taps(width, out_width)
    row_of, n_rows = _look_up(height, origin_y, top, bottom)
    column_of, n_columns = _look_up(width, origin_x, left, right)
    counts = np.zeros((steps, 2, n_rows, n_columns), np.int32)
    _count(columns, rows, polarity, bounds, row_of, column_of, counts)
    out = np.empty((steps, 2, out_height, out_width), np.float32)
    _interpolate(
        counts,
        row_of[top + origin_y],
        row_of[bottom + origin_y],
        row_weight,
        column_of[left + origin_x],
        column_of[right + origin_x],
        column_weight,
        out,
    )
    return out
