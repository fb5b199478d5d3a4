"""ATIS 40-bit files (``.bin``) of N-MNIST and N-Caltech101 (Orchard et al., 2015).

A record has five bytes: ``x``, ``y``, then polarity in bit 7 of byte 2 and a 23-bit
big-endian timestamp in microseconds in the rest. A record with ``y = 240`` is no event: it
marks a timer overflow and adds 2**13 us to itself and all that follows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....errors import BadFileError
from ...framing.events import Events
from ...framing.kernels import RECORD_BYTES
from ...framing.records import OVERFLOW_ROW, plain_records

__all__ = ["OVERFLOW_ROW", "RECORD_BYTES", "decode", "encode", "plain_records", "require_whole"]

OVERFLOW_US = 1 << 13
TIMESTAMP_LIMIT_US = 1 << 23


@njit(cache=True, nogil=True)
def _decode(data, x, y, t, p):  # type: ignore[no-untyped-def]
    kept = 0
    offset = 0
    for start in range(0, data.size, RECORD_BYTES):
        row = data[start + 1]
        if row == OVERFLOW_ROW:
            offset += OVERFLOW_US
            continue
        high = np.int64(data[start + 2])
        x[kept] = data[start]
        y[kept] = row
        p[kept] = high >> 7
        t[kept] = (
            ((high & 127) << 16) | (np.int64(data[start + 3]) << 8) | np.int64(data[start + 4])
        ) + offset
        kept += 1
    return kept


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
        BadFileError: the length is not a whole number of records.
    """
    require_whole(len(data), path)
    records = len(data) // RECORD_BYTES
    x = np.empty(records, np.int16)
    y = np.empty(records, np.int16)
    t = np.empty(records, np.int64)
    p = np.empty(records, np.int8)
    kept = _decode(np.frombuffer(data, np.uint8), x, y, t, p)
    return Events(x[:kept], y[:kept], t[:kept], p[:kept])


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
