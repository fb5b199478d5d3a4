"""Frequency frames: events per microsecond of each pixel, brightest pixel 1 (He et al., 2024).

With ``t`` counted from the recording's first event, ``t_last`` its last and ``T`` steps::

    dt = max(1, t_last // T)
    frame i      counts  i dt <= t < (i + 1) dt,  divided by dt
    frame T - 1  counts  (T - 1) dt <= t,         divided by dt + t_last mod T
    each (frame, polarity) / max(its largest value, 1e-5)

then the crop, then the bilinear resize with corners not aligned. The largest value is taken
over the whole sensor, before the crop. A frequency below 1e-5 per microsecond thus stays
below 1. All of it in float64, stored as float32.

``round_half`` rounds the frequencies to float16 before they are normalised (3e-6 per microsecond
is then off by up to 1 %), and nothing else: what the published code computes in float16
throughout is in :mod:`snntx.preprocess.framing.published`. That code resizes tensors, which
torchvision did without antialias until its release 0.17, after it was written; so no antialias
is the default here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .counting import count_windows
from .resize import resize_used

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
    counted = count_windows(
        (x, y, t, p),
        steps=steps,
        sensor=sensor,
        crop=crop,
        size=size,
        dtype=np.float64,
        antialias=antialias,
    )
    frequency, brightest = (values / counted.length for values in (counted.counts, counted.largest))
    if round_half:
        frequency, brightest = (
            values.astype(np.float16).astype(np.float64) for values in (frequency, brightest)
        )
    frames = frequency / np.maximum(brightest, FLOOR_PER_US)
    if size is not None:
        frames = resize_used(frames, counted.whole, size, antialias=antialias)
    return frames.astype(np.float32)
