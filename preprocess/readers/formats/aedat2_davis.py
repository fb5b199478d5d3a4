"""AEDAT 2.0 files of a DAVIS (jAER): DailyAction-DVS.

Of an address, bit 31 marks a sample of the frames or the IMU and bit 10 an event of an outside
signal, which are both passed over. In all others bits 22 to 30 are y, bits 12 to 21 x and bit 11
the polarity, 1 for on; rows and columns as the camera counts them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...framing.events import Events
from ..base import READERS, Reader
from ..jaer import RECORD_BYTES, TIMERS, bits, of_davis, records

_NO_PIXEL = np.uint32(0x80000400)


def decode(data: bytes, path: Path | str) -> Events:
    """Decode the bytes of a file; ``path`` names it in errors.

    Raises:
        BadFileError: no AEDAT 2.0, cut off, or of a DVS128.
    """
    raw = of_davis(records(data, path), path)
    raw = raw.take((raw.address & _NO_PIXEL) == 0)
    return Events(bits(raw, 12, 10), bits(raw, 22, 9), raw.t, bits(raw, 11, 1).astype(np.int8))


@READERS.register("aedat2-davis")
class Aedat2Davis(Reader):
    """Reads AEDAT 2.0 files of a DAVIS: one recording each."""

    record_bytes = RECORD_BYTES
    timers = TIMERS

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        return decode(data, path)
