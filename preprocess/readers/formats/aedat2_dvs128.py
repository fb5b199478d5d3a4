"""AEDAT 2.0 files of a DVS128 (jAER), 128 x 128 pixels: CIFAR10-DVS.

Bit 0 of an address is the polarity, 1 for on, bits 1 to 7 are x and bits 8 to 14 y; bit 15 marks
an event that no pixel sent. Rows and columns are as the camera counts them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...framing.events import Events
from ..base import READERS, Reader
from ..jaer import RECORD_BYTES, TIMERS, bits, of_dvs128, records


def decode(data: bytes, path: Path | str) -> Events:
    """Decode the bytes of a file; ``path`` names it in errors.

    Raises:
        BadFileError: no AEDAT 2.0, cut off, or of a DAVIS.
    """
    raw = of_dvs128(records(data, path), path)
    return Events(bits(raw, 1, 7), bits(raw, 8, 7), raw.t, bits(raw, 0, 1).astype(np.int8))


@READERS.register("aedat2-dvs128")
class Aedat2Dvs128(Reader):
    """Reads AEDAT 2.0 files of a DVS128: one recording each."""

    record_bytes = RECORD_BYTES
    timers = TIMERS

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        return decode(data, path)
