"""ATIS 40-bit files (``.bin``) of N-MNIST and N-Caltech101 (Orchard et al., 2015).

A record has five bytes: ``x``, ``y``, then polarity in bit 7 of byte 2 and a 23-bit
big-endian timestamp in microseconds in the rest. A record with ``y = 240`` is no event: it
marks a timer overflow and adds 2**13 us to itself and all that follows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError
from ...disk.files import is_text, refuse_text
from ...framing.events import Events
from ...framing.kernels import RECORD_BYTES
from ...framing.records import OVERFLOW_ROW, Records, plain_records, unpacked
from ..base import READERS, Reader

__all__ = ["OVERFLOW_ROW", "RECORD_BYTES", "decode", "encode", "plain_records", "require_whole"]

TIMESTAMP_LIMIT_US = 1 << 23


def require_whole(size: int, path: Path | str) -> None:
    """Refuse a file of ``size`` bytes that ends within a record.

    Raises:
        BadFileError: the length is not a whole number of records.
    """
    if size % RECORD_BYTES:
        whole = size - size % RECORD_BYTES
        raise BadFileError(
            f"{path}: {size} bytes is not a whole number of {RECORD_BYTES}-byte ATIS records; "
            f"the record at byte {whole} is cut off: copy or download the file again"
        )


def decode(data: bytes, path: Path | str) -> Events:
    """Decode the bytes of an ATIS file; ``path`` names it in errors.

    Raises:
        BadFileError: it is text, or the length is not a whole number of records.
    """
    refuse_text(data, path, "ATIS records")
    require_whole(len(data), path)
    return unpacked(np.frombuffer(data, np.uint8))


def encode(events: Events) -> bytes:
    """Encode events as ATIS records, the inverse of :func:`decode` without overflow markers.

    Raises:
        ValueError: a coordinate, timestamp or polarity does not fit the record.
    """
    x, y, t, p = (np.asarray(column, np.int64) for column in events)
    if t.size and (t.min() < 0 or t.max() >= TIMESTAMP_LIMIT_US):
        raise ValueError(f"ATIS timestamps lie in [0, {TIMESTAMP_LIMIT_US}) microseconds")
    if p.size and (p.min() < 0 or p.max() > 1):
        raise ValueError("ATIS polarities are 0 and 1")
    if x.size and (min(x.min(), y.min()) < 0 or x.max() > 255 or y.max() >= OVERFLOW_ROW):
        raise ValueError(f"ATIS coordinates lie in x [0, 255] and y [0, {OVERFLOW_ROW - 1}]")
    records: NDArray[np.uint8] = np.empty((t.size, RECORD_BYTES), np.uint8)
    records[:, 0] = x
    records[:, 1] = y
    records[:, 2] = (p << 7) | (t >> 16)
    records[:, 3] = (t >> 8) & 255
    records[:, 4] = t & 255
    return records.tobytes()


@READERS.register("atis")
class Atis(Reader):
    """Reads ATIS files: one recording each."""

    record_bytes = RECORD_BYTES
    timers = (TIMESTAMP_LIMIT_US,)

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        return decode(data, path)

    def plain_records(self, data: bytes) -> Records | None:
        """Return the records of a file of nothing but events in order of time."""
        return None if is_text(data) else plain_records(data)
