"""Frequency frames: events per microsecond of each pixel, brightest pixel 1 (He et al., 2024).

With ``t`` counted from the recording's first event, ``t_last`` its last and ``T`` steps::

    dt = max(1, t_last // T)
    frame i      counts  i dt <= t < (i + 1) dt,  divided by dt
    frame T - 1  counts  (T - 1) dt <= t,         divided by dt + t_last mod T
    each (frame, polarity) / max(its largest value, 1e-5)

then the crop, then the bilinear resize with corners not aligned. The largest value is taken
over the whole sensor, before the crop. A frequency below 1e-5 per microsecond thus stays
below 1. All of it in float64, stored as float32.

The published code stores the frequencies as float16 before it normalises them (3e-6 per
microsecond is then off by up to 1 %): ``round_half`` does so. It resizes tensors, which
torchvision did without antialias until its release 0.17, after that code was written; so no
antialias is the default here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import SnntxError, UsageError
from .kernels import count_pixels
from .resize import resize_used, used_places

FLOOR_PER_US = 1e-5
"""Frequency below which a frame is not brought to a largest value of 1."""


def frequency_frames(
    x: ArrayLike,
    y: ArrayLike,
    t: ArrayLike,
    p: ArrayLike,
    *,
    steps: int,
    sensor: tuple[int, int],
    crop: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
    round_half: bool = False,
    antialias: bool = False,
) -> NDArray[np.float32]:
    """Frame one recording; formula and source in the module's docstring.

    Args:
        x, y: pixel coordinates from 0, ``(N,)``.
        t: timestamps in microseconds, never going back, ``(N,)``.
        p: polarity, 0 off and 1 on, ``(N,)``.
        steps: number of frames ``T``.
        sensor: ``(height, width)``.
        crop: ``(top, bottom, left, right)``, the last row and column not included; None keeps
            the whole sensor.
        size: ``(H, W)`` of the frames; None keeps the pixels of the crop.
        round_half: round the frequencies to float16 before they are normalised.
        antialias: average where the resize shrinks, instead of sampling.

    Returns:
        float32 ``(T, 2, H, W)``, polarity off then on, in [0, 1].

    Raises:
        SnntxError: no events, times that go back, a polarity that is not 0 or 1, a
            coordinate outside the sensor.
        UsageError: an option has no meaning.
    """
    top, bottom, left, right = _checked_crop(crop, sensor)
    if steps < 1:
        raise UsageError(f"steps must be at least 1, found {steps}")
    places, times = _checked_events(x, y, t, p, sensor)
    last = int(times[-1] - times[0])
    window = max(1, last // steps)
    bounds = np.searchsorted(times, times[0] + window * np.arange(steps + 1, dtype=np.int64))
    bounds[-1] = times.size  # the last frame takes all the rest
    rows, columns = np.arange(top, bottom), np.arange(left, right)
    whole = rows.size, columns.size
    if size is not None:  # most pixels of a frame that shrinks are looked at by none
        rows, columns = (
            kept[used_places(kept.size, target, np.float64, antialias=antialias)]
            for kept, target in zip((rows, columns), size, strict=True)
        )
    counts, largest = count_pixels(places, bounds, sensor, rows, columns)
    length = np.full((steps, 1, 1, 1), window, np.float64)
    length[-1] += last % steps
    frequency, brightest = counts / length, largest[:, :, None, None] / length
    if round_half:
        frequency, brightest = (
            values.astype(np.float16).astype(np.float64) for values in (frequency, brightest)
        )
    frames = frequency / np.maximum(brightest, FLOOR_PER_US)
    if size is not None:
        frames = resize_used(frames, whole, size, antialias=antialias)
    return frames.astype(np.float32)


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
    x: ArrayLike, y: ArrayLike, t: ArrayLike, p: ArrayLike, sensor: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each event's place in a flat ``(2, height, width)`` frame, and the times."""
    columns = [np.asarray(values) for values in (x, y, t, p)]
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
