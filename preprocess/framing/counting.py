"""Events counted by equal windows of the whole recording, where all pixels have a say.

In: the columns of one recording. Out: counts per frame, polarity and pixel, of the pixels that a
crop and a resize look at, and the largest count of all pixels of the sensor. With ``t`` counted
from the recording's first event, ``t_last`` its last and ``T`` steps, ``dt = max(1, t_last // T)``
and frame ``i`` counts ``i dt <= t < (i + 1) dt``; what follows is in the last frame too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ...errors import SnntxError, UsageError
from .kernels import count_pixels
from .resize import used_places


class Counted(NamedTuple):
    """Counts of one recording.

    Attributes:
        counts: of the pixels that are looked at, ``(T, 2, h, w)`` int32.
        largest: count of the whole sensor, before the crop, ``(T, 2, 1, 1)`` int32.
        length: of each frame in microseconds, ``(T, 1, 1, 1)`` float64: ``dt``, the last
            ``dt + t_last mod T``.
        whole: rows and columns of the crop, of which ``h`` and ``w`` may be a part.
    """

    counts: NDArray[np.int32]
    largest: NDArray[np.int32]
    length: NDArray[np.float64]
    whole: tuple[int, int]


def count_windows(
    columns: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
    *,
    steps: int,
    sensor: tuple[int, int],
    crop: Sequence[int] | None,
    size: tuple[int, int] | None,
    dtype: DTypeLike,
    antialias: bool = False,
    lone_tail: bool = True,
) -> Counted:
    """Count one recording; formula in the module's docstring.

    Args:
        columns: x, y, t and p, as for :func:`snntx.preprocess.framing.frequency.frequency_frames`.
        steps: number of frames ``T``.
        sensor: ``(height, width)``.
        crop: ``(top, bottom, left, right)``, ends excluded; None keeps the whole sensor.
        size: that the frames will be resized to, or None.
        dtype: in which they will be.
        antialias: whether they will be averaged.
        lone_tail: whether the last frame takes the events from ``T dt`` on where its own window
            has none; False leaves it empty then.

    Raises:
        SnntxError: no events, times that go back, a polarity that is not 0 or 1, a
            coordinate outside the sensor.
        UsageError: an option has no meaning.
    """
    top, bottom, left, right = _checked_crop(crop, sensor)
    if steps < 1:
        raise UsageError(f"steps must be at least 1, found {steps}")
    places, times = _checked_events(columns, sensor)
    last = int(times[-1] - times[0])
    window = max(1, last // steps)
    bounds = np.searchsorted(times, times[0] + window * np.arange(steps + 1, dtype=np.int64))
    if lone_tail or bounds[-1] > bounds[-2]:
        bounds[-1] = times.size
    rows, across = np.arange(top, bottom), np.arange(left, right)
    whole = rows.size, across.size
    if size is not None:  # most pixels of a frame that shrinks are looked at by none
        rows, across = (
            kept[used_places(kept.size, target, dtype, antialias=antialias)]
            for kept, target in zip((rows, across), size, strict=True)
        )
    counts, largest = count_pixels(places, bounds, sensor, rows, across)
    length = np.full((steps, 1, 1, 1), window, np.float64)
    length[-1] += last % steps
    return Counted(counts, largest[:, :, None, None], length, whole)


def _checked_crop(crop: Sequence[int] | None, sensor: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the crop, or the whole sensor."""
    if crop is None:
        return 0, sensor[0], 0, sensor[1]
    top, bottom, left, right = crop
    if not (0 <= top < bottom <= sensor[0] and 0 <= left < right <= sensor[1]):
        raise UsageError(
            f"crop {list(crop)} must be [top, bottom, left, right] inside the sensor of "
            f"{sensor[0]} rows and {sensor[1]} columns"
        )
    return top, bottom, left, right


def _checked_events(
    given: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], sensor: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each event's place in a flat ``(2, height, width)`` frame, and the times."""
    columns: list[NDArray[Any]] = [np.asarray(values) for values in given]
    for name, column in zip("xytp", columns, strict=True):
        if column.ndim != 1 or column.size != columns[2].size:
            raise SnntxError(f"x, y, t, p must be columns (N,) alike, found {name} {column.shape}")
        if column.size and column.dtype.kind not in "iub":
            raise SnntxError(f"{name} must be integers, found {column.dtype}")
    if columns[2].size == 0:
        raise SnntxError("no events; a recording needs at least one")
    ends = zip("xyp", (*columns[:2], columns[3]), (sensor[1], sensor[0], 2), strict=True)
    for name, column, end in ends:
        low, high = int(column.min()), int(column.max())
        if low < 0 or high >= end:
            raise SnntxError(f"{name} lies in [{low}, {high}], expected [0, {end - 1}]")
    columns_x, columns_y, times, polarity = (column.astype(np.int64) for column in columns)
    backwards = np.flatnonzero(times[1:] < times[:-1])
    if backwards.size:
        at = int(backwards[0]) + 1
        raise SnntxError(
            f"time goes back at event {at}, from {times[at - 1]} to {times[at]} us; "
            "sort the events by time first"
        )
    return (polarity * sensor[0] + columns_y) * sensor[1] + columns_x, times
