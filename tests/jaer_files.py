"""AEDAT 3.1 and 2.0 files for tests, byte by byte from the formats' descriptions.

No library at hand writes either, so files may hold any trap: padding, overflows, packets of any
type, invalid events, addresses of either camera.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

HEADER_3 = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    b"#Start-Time: 2016-01-01 12:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"
)
HEADER_2 = (
    b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
    b"# Creation time: Thu Jan 05 17:42:14 CET 2017\r\n"
)


def polarity(
    x: ArrayLike, y: ArrayLike, t: ArrayLike, p: ArrayLike, valid: ArrayLike = 1
) -> NDArray[Any]:
    """Polarity events of AEDAT 3.1, ``(n, 2)`` little-endian uint32."""
    columns = [np.asarray(each, np.int64) for each in (x, y, p, valid)]
    word = columns[0] << 17 | columns[1] << 2 | columns[2] << 1 | columns[3]
    return np.stack(np.broadcast_arrays(word, np.asarray(t, np.int64)), -1).astype("<u4")


def packet(
    events: NDArray[Any] | bytes,
    *,
    kind: int = 1,
    source: int = 1,
    size: int = 8,
    overflow: int = 0,
    number: int | None = None,
    capacity: int | None = None,
    valid: int | None = None,
    padding: bytes = b"",
) -> bytes:
    """One packet of AEDAT 3.1; what is not given fits the events."""
    body = events if isinstance(events, bytes) else events.tobytes()
    count = len(body) // size if number is None else number
    header = struct.pack(
        "<hh6i",
        kind,
        source,
        size,
        4,
        overflow,
        count if capacity is None else capacity,
        count,
        count if valid is None else valid,
    )
    return header + body + padding


def write_3(path: Path, *packets: bytes, header: bytes = HEADER_3) -> Path:
    """Write a file of AEDAT 3.1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + b"".join(packets))
    return path


def davis(x: ArrayLike, y: ArrayLike, p: ArrayLike) -> NDArray[np.int64]:
    """Addresses of a DAVIS."""
    columns = [np.asarray(each, np.int64) for each in (x, y, p)]
    return columns[1] << 22 | columns[0] << 12 | columns[2] << 11


def dvs128(x: ArrayLike, y: ArrayLike, p: ArrayLike) -> NDArray[np.int64]:
    """Addresses of a DVS128."""
    columns = [np.asarray(each, np.int64) for each in (x, y, p)]
    return columns[1] << 8 | columns[0] << 1 | columns[2]


def write_2(
    path: Path, address: ArrayLike, t: ArrayLike, *, header: bytes = HEADER_2, more: bytes = b""
) -> Path:
    """Write a file of AEDAT 2.0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = np.stack([np.asarray(address, np.int64), np.asarray(t, np.int64)], -1)
    path.write_bytes(header + (pairs & 0xFFFFFFFF).astype(">u4").tobytes() + more)
    return path


def write_gesture(path: Path, columns: Sequence[ArrayLike], label: int = 3, **options: Any) -> Path:
    """Write an HDF5 file of one gesture from x, y, t and p."""
    import h5py

    x, y, t, p = (np.asarray(each) for each in columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("times", data=t.astype(np.uint32), **options)
        file.create_dataset("addrs", data=np.stack([x, y, p], -1).astype(np.uint8), **options)
        file["labels"] = label
    return path
