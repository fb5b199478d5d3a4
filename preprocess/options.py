"""Framing options, apart from the kernels so that reading them imports no compiler."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UsageError

TAILS = ("drop", "keep")
MAX_FRAME_BYTES = 1 << 30
"""Largest frame tensor of one recording; it is held in memory and is one HDF5 chunk."""


@dataclass(frozen=True)
class FrameOptions:
    """How a recording becomes a frame tensor.

    Attributes:
        steps: number of frames ``T``.
        size: ``(H, W)`` of the frames, or None for the sensor's own.
        sensor: ``(height, width)`` of the sensor, or None to infer it per recording.
        limit: largest ``(height, width)`` there can be, where the sensor is inferred.
        tail: what becomes of the events after the last whole window: ``drop`` or ``keep``.
        zero_origin: subtract each recording's smallest x and y first.
    """

    steps: int
    size: tuple[int, int] | None = None
    sensor: tuple[int, int] | None = None
    limit: tuple[int, int] | None = None
    tail: str = "drop"
    zero_origin: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"steps must be at least 1, found {self.steps}")
        for name, pair in (("size", self.size), ("sensor", self.sensor), ("limit", self.limit)):
            if pair is not None and min(pair) < 1:
                raise UsageError(f"{name} must be positive (height, width), found {pair}")
        if self.tail not in TAILS:
            raise UsageError(f"tail must be one of {', '.join(TAILS)}, found '{self.tail}'")
        if self.size is None and self.sensor is None:
            raise UsageError(
                "frames would differ in size between recordings: give a size, or a fixed sensor"
            )
        if 4 * math.prod(self.frame_shape) > MAX_FRAME_BYTES:
            shape = " x ".join(map(str, self.frame_shape))
            raise UsageError(
                f"one recording of {shape} frames would take more than "
                f"{MAX_FRAME_BYTES >> 20} MiB; take fewer steps or a smaller size"
            )

    @property
    def frame_shape(self) -> tuple[int, int, int, int]:
        """``(T, 2, H, W)`` of every frame tensor made with these options."""
        height, width = self.size or self.sensor or (0, 0)
        return self.steps, 2, height, width
