"""The frames of the published N-Omniglot code, number for number (He et al., AAAI 2024).

It makes them in two ways, ``frequency`` and ``event``. Windows and crop are those of
:mod:`snntx.preprocess.framing.frequency`, but

* frame ``T - 1`` takes the events after its window only where its window ``(T - 1) dt <= t < T dt``
  has an event of its own; else it is empty,
* **frequency**: everything is rounded to float16, to nearest, at every turn. ``q`` are the counts,
  from the second frame on rounded themselves (so exact up to 2,048 a pixel and frame)::

      f = half(q / length)                      length as in counting, the division in float64
      half(f / max(largest f of the whole frame and polarity, half(1e-5)))

* **event**: 1 where ``q > 0``, else 0.

The result is cropped and, as float32, resized with corners not aligned. The published code does
not take a recording of up to ``T`` microseconds; here ``dt`` is at least 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import SnntxError
from .counting import count_windows
from .frequency import FLOOR_PER_US
from .resize import resize_used


def published_frames(
    x: ArrayLike,
    y: ArrayLike,
    t: ArrayLike,
    p: ArrayLike,
    *,
    steps: int,
    sensor: tuple[int, int],
    crop: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
    binary: bool = False,
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
        binary: make the frames ``event`` instead of ``frequency``.
        antialias: average where the resize shrinks, as torchvision does from 0.17 on.

    Returns:
        float32 ``(T, 2, H, W)``, polarity off then on, in [0, 1].

    Raises:
        SnntxError: no events, times that go back, a polarity that is not 0 or 1, a coordinate
            outside the sensor, more events on a pixel than float16 holds.
        UsageError: an option has no meaning.
    """
    counted = count_windows(
        (x, y, t, p),
        steps=steps,
        sensor=sensor,
        crop=crop,
        size=size,
        dtype=np.float32,
        antialias=antialias,
        lone_tail=False,
    )
    if binary:
        frames = (counted.counts > 0).astype(np.float32)
    else:
        brightest = _frequencies(counted.largest, counted.length)
        _check_finite(brightest, counted.largest)
        values = _frequencies(counted.counts, counted.length)
        frames = (values / np.maximum(brightest, np.float16(FLOOR_PER_US))).astype(np.float32)
    if size is None:
        return frames
    return resize_used(frames, counted.whole, size, antialias=antialias)


def _frequencies(counts: NDArray[np.int32], length: NDArray[np.float64]) -> NDArray[np.float16]:
    """Return counts ``(T, 2, h, w)`` per microsecond; all but the first step's are rounded twice.

    What float16 cannot hold is infinite.
    """
    rounded = counts.astype(np.float64)
    with np.errstate(over="ignore"):
        rounded[1:] = counts[1:].astype(np.float16)
        return (rounded / length).astype(np.float16)


def _check_finite(brightest: NDArray[np.float16], largest: NDArray[np.int32]) -> None:
    """Refuse what the published code makes infinite, and its quotient then no number at all."""
    found = np.argwhere(~np.isfinite(brightest))
    if found.size:
        step = int(found[0, 0])
        raise SnntxError(
            f"frame {step} has {largest[step].max():,} events on one pixel, more than float16 "
            "holds, in which the published code counts; take --values frequency"
        )
