"""DailyAction-DVS as the code of Yao et al. (ICCV 2023) reads it: AEDAT 2.0, altered.

The published numbers were made with it, so it is here by name; ``aedat2-davis`` reads the same
files as they are. The code mirrors x (127 minus x) and inverts the polarity, drops what lies
above 127 in either coordinate although the sensor is larger, loses the last record of a file, and
takes events of outside signals for pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...framing.events import Events
from ..base import READERS, Reader
from ..jaer import RECORD_BYTES, TIMERS, bits, of_davis, records

SIDE = 128
_SAMPLE = np.uint32(0x80000000)


@READERS.register("daily-action-published")
class DailyActionPublished(Reader):
    """Reads AEDAT 2.0 files of a DAVIS with the published alterations: one recording each."""

    record_bytes = RECORD_BYTES
    timers = TIMERS

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file.

        Raises:
            BadFileError: no AEDAT 2.0, cut off, or of a DVS128.
        """
        raw = of_davis(records(data, path), path)
        kept = (raw.address & _SAMPLE) == 0
        kept[-1:] = False
        raw = raw.take(kept)
        x, y = bits(raw, 12, 10), bits(raw, 22, 9)
        inside = (x < SIDE) & (y < SIDE)
        x, y, p = SIDE - 1 - x[inside], y[inside], 1 - bits(raw, 11, 1)[inside]
        return Events(x.astype(np.int16), y, raw.t[inside], p.astype(np.int8))
