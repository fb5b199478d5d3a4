"""CIFAR10-DVS as SpikingJelly reads it: AEDAT 2.0 of a DVS128, turned over and inverted.

Its x is 127 minus the file's y, its y 127 minus the file's x, and its polarity 1 minus bit 0;
``aedat2-dvs128`` reads the same files as they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...framing.events import Events
from ..base import READERS, Reader
from ..jaer import RECORD_BYTES, TIMERS
from .aedat2_dvs128 import decode

LAST = np.int16(127)
"""The last row and column of the sensor."""


@READERS.register("cifar10-dvs-spikingjelly")
class Cifar10DvsSpikingJelly(Reader):
    """Reads AEDAT 2.0 files of a DVS128 as SpikingJelly shows them: one recording each."""

    record_bytes = RECORD_BYTES
    timers = TIMERS

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file.

        Raises:
            BadFileError: no AEDAT 2.0, cut off, or of a DAVIS.
        """
        raw = decode(data, path)
        return Events(LAST - raw.y, LAST - raw.x, raw.t, np.int8(1) - raw.p)
