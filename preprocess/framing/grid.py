"""Where an event of a coordinate is counted, and which counts a pixel of a frame is made of.

Rows and columns are independent: one :class:`Axis` each. Resizing is bilinear with aligned
corners and no antialias, as the published method does (He et al., AAAI 2024): output ``i``
reads inputs ``floor(r)`` and ``floor(r) + 1`` with ``r = i * (n_in - 1) / (n_out - 1)``. Only
those rows and columns get a slot; all others, and what a crop leaves out, share one more slot
that nobody reads, so that counting needs no branch.

Down-sampling is by integer division instead: output ``i`` counts the inputs ``n i`` up to
``n (i + 1)``, the last output what there is of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SnntxError


class OutsideError(SnntxError):
    """An event lies outside the sensor."""


class Span(NamedTuple):
    """Smallest and largest coordinates of a recording, in pixels, ends included."""

    x_low: int
    x_high: int
    y_low: int
    y_high: int


class Axis(NamedTuple):
    """One axis of a frame.

    Attributes:
        slot_of: slot of each coordinate, uint32; ``slots`` where it is not read.
        slots: number of slots that are read.
        first: slot of the first input of each output, ``(n_out,)``.
        second: slot of the second.
        weight: weight of the second; the first has one minus it, ``(n_out,)`` float32.
        resized: whether outputs are interpolated; otherwise output ``i`` is slot ``i``.
    """

    slot_of: NDArray[np.uint32]
    slots: int
    first: NDArray[np.uint32]
    second: NDArray[np.uint32]
    weight: NDArray[np.float32]
    resized: bool


def axes(
    span: Span,
    *,
    size: tuple[int, int] | None,
    sensor: tuple[int, int] | None,
    crop: tuple[int, int, int, int] | None,
    zero_origin: bool,
    downsample: int = 1,
) -> tuple[Axis, Axis]:
    """Return the rows' and the columns' axis of a recording's frames.

    Args:
        span: of the recording's events.
        size: ``(H, W)`` of the frames; None keeps the pixels.
        sensor: ``(height, width)``; None takes what the span needs.
        crop: ``(top, bottom, left, right)`` after the origin is subtracted, or None.
        zero_origin: subtract the span's smallest x and y.
        downsample: rows and columns that are counted together; the frames have no ``size`` then.

    Raises:
        OutsideError: an event lies outside the sensor.
    """
    x_0, y_0 = (span.x_low, span.y_low) if zero_origin else (0, 0)
    height, width = sensor or (span.y_high - y_0 + 1, span.x_high - x_0 + 1)
    outside = span.x_high - x_0 >= width or span.y_high - y_0 >= height
    if min(span.x_low, span.y_low) < 0 or outside:
        raise OutsideError(
            f"events lie in x [{span.x_low}, {span.x_high}] and y [{span.y_low}, {span.y_high}], "
            f"outside the sensor of {height} rows and {width} columns"
        )
    top, bottom, left, right = crop or (0, height, 0, width)
    out_height, out_width = size or (None, None)
    return (
        _axis(y_0, span.y_high + 1, top, bottom, out_height, downsample),
        _axis(x_0, span.x_high + 1, left, right, out_width, downsample),
    )


@lru_cache(maxsize=4096)
def _axis(
    origin: int, end: int, start: int, stop: int, target: int | None, downsample: int
) -> Axis:
    """Return the axis of pixels ``start`` to ``stop`` after ``origin``, for coordinates < ``end``.

    ``target`` is the number of outputs, None to keep the pixels, or ``downsample`` of them each.
    """
    length = stop - start
    if downsample > 1:
        shrunk = -(-length // downsample)
        slot_of = np.full(max(end, origin + stop), shrunk, np.uint32)
        slot_of[origin + start : origin + stop] = np.arange(length) // downsample
        own = np.arange(shrunk, dtype=np.uint32)
        return Axis(slot_of, shrunk, own, own, np.zeros(shrunk, np.float32), False)
    if target is None:
        first = second = used = np.arange(length)
        weight = np.zeros(length, np.float32)
    else:
        scale = np.float32(length - 1) / np.float32(target - 1) if target > 1 else np.float32(0)
        position = scale * np.arange(target, dtype=np.float32)
        first = np.minimum(position.astype(np.int64), length - 1)
        second = np.minimum(first + 1, length - 1)
        weight = np.clip(position - first.astype(np.float32), 0, 1).astype(np.float32)
        used = np.unique(np.concatenate([first, second]))
    slot_of = np.full(max(end, origin + stop), used.size, np.uint32)
    slot_of[origin + start + used] = np.arange(used.size)
    slots = slot_of[origin + start : origin + stop]
    return Axis(slot_of, used.size, slots[first], slots[second], weight, target is not None)
