"""What framing options mean, and which have no meaning; imports no compiler.

In: the options of :class:`~snntx.preprocess.framing.options.FrameOptions`. Out: nothing, or the
error that names the option, what was found and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...data_cards.vocabulary import BINS, EXTENTS, POLARITIES, TAILS, VALUES, WINDOWED
from ...errors import UsageError, nearest

MAX_DURATION_US = 1 << 60
"""Longest time that fixed windows may span; epoch microseconds plus this fit int64."""


def check_extent(extent: str, sensor: tuple[int, int] | None, values: str) -> None:
    """Refuse an extent that is no word, or that goes with no sensor or values.

    Raises:
        UsageError: what was found and what was expected.
    """
    if extent not in EXTENTS:
        raise UsageError(
            f"extent must be one of {', '.join(EXTENTS)}, found '{extent}'"
            f"{nearest(extent, EXTENTS)}"
        )
    if extent == "sensor" and sensor is None:
        raise UsageError("extent = 'sensor' needs a fixed sensor, which the card lacks")
    if extent != "sensor" and values in WINDOWED:
        raise UsageError(f"values = '{values}' needs extent = 'sensor', found '{extent}'")


def channels(polarity: str) -> int:
    """Return the number of channels of a frame."""
    return 1 if polarity == "merged" else 2


def window_us(window_ms: float) -> int:
    """Return a window in whole microseconds.

    Raises:
        UsageError: not a positive, whole number of microseconds.
    """
    scaled = window_ms * 1000
    if not math.isfinite(scaled) or round(scaled) < 1 or abs(scaled - round(scaled)) > 1e-6:
        raise UsageError(
            f"window_ms must be a whole number of microseconds, at least 0.001, found {window_ms}"
        )
    return round(scaled)


def check_framing(
    *,
    steps: int,
    tail: str,
    bins: str,
    values: str,
    polarity: str,
    size: tuple[int, int] | None = None,
    sensor: tuple[int, int] | None = None,
    limit: tuple[int, int] | None = None,
    window_ms: float | None = None,
    crop: Sequence[int] | None = None,
    downsample: int = 1,
) -> None:
    """Refuse an option without meaning; arguments as in :class:`FrameOptions`.

    Raises:
        UsageError: names the option, what was found and what was expected.
    """
    if steps < 1:
        raise UsageError(f"steps must be at least 1, found {steps}")
    if downsample < 1 or (downsample > 1 and size is not None):
        found = f"{downsample}" if downsample < 1 else f"{downsample} and size = {size}"
        raise UsageError(
            f"downsample must be at least 1, and takes the place of a size, found {found}; leave "
            "out one of them (size = 'native' keeps the sensor's pixels)"
        )
    for name, pair in (("size", size), ("sensor", sensor), ("limit", limit)):
        if pair is not None and min(pair) < 1:
            raise UsageError(f"{name} must be positive (height, width), found {pair}")
    for name, value, known in (
        ("tail", tail, TAILS),
        ("bins", bins, BINS),
        ("values", values, VALUES),
        ("polarity", polarity, POLARITIES),
    ):
        if value not in known:
            raise UsageError(
                f"{name} must be one of {', '.join(known)}, found '{value}'{nearest(value, known)}"
            )
    if window_ms is not None:
        if bins != "time":
            raise UsageError(f"window_ms needs bins = 'time', found bins = '{bins}'")
        if window_us(window_ms) * steps > MAX_DURATION_US:
            raise UsageError(f"{steps} windows of {window_ms} ms are longer than any recording")
    if crop is not None:
        top, bottom, left, right = crop
        if not (0 <= top < bottom and 0 <= left < right):
            raise UsageError(
                "crop must be (top, bottom, left, right) with 0 <= top < bottom and "
                f"0 <= left < right, found {tuple(crop)}"
            )
        height, width = sensor or limit or (bottom, right)
        if bottom > height or right > width:
            raise UsageError(
                f"crop {tuple(crop)} reaches beyond the sensor of {height} rows and {width} columns"
            )
