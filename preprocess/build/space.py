"""Whether a disk has room for the cache that a plan describes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ...errors import SnntxError
from ..cache import format as fmt
from ..framing.options import FrameOptions
from ..raw.recordings import by_file
from ..readers.base import READERS
from ..statics.images import plane_type
from .plan import Plan

EVENT_BYTES = 16
"""At most this many bytes of frames per event: four float32 corners, before compression."""


def check_space(home: Path, plan: Plan, options: FrameOptions) -> None:
    """Refuse to start a build that could fill the disk."""
    frame_bytes = int(np.prod(options.frame_shape)) * fmt.FRAMES.itemsize
    height, width = options.frame_shape[2:]
    record = READERS.get(plan.settings["events"]["format"]).record_bytes
    needed = sum(
        min(len(held) * frame_bytes, EVENT_BYTES * path.stat().st_size // record)
        for path, held in by_file(plan.recordings)
    )
    needed += (
        len(plan.statics) * len(plan.planes) * height * width * plane_type(plan.planes).itemsize
    )
    free = shutil.disk_usage(home).free
    if free < needed:
        raise SnntxError(
            f"{home}: {free / 1e6:.0f} MB free, but this cache may need up to "
            f"{needed / 1e6:.0f} MB; free space or choose another --cache"
        )
