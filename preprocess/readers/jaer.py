"""AEDAT 2.0, as jAER writes it: a header of text, then addresses and times in pairs.

In: the bytes of a file. Out: its records, undecoded: what an address means depends on the camera.
All numbers are big-endian::

    "#!AER-DAT2.0\\r\\n"
    any number of lines "#...\\r\\n", with no end marker
    records    uint32 address, uint32 time in microseconds, to the end of the file

A data byte can be ``#`` too, so a line belongs to the header only if it is printable ASCII that
ends CR LF. The time is jAER's signed counter read without its sign: it starts over at 2^31 or
2^32.

A DAVIS has more in an address than a DVS128, and each is refused where the other is expected.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import BadFileError
from ..disk.remarks import remark
from .versions import AGAIN, require_version

RECORD_BYTES = 8
TIMERS = (1 << 31, 1 << 32)
"""Ranges in microseconds of the counter, with or without its sign."""
SYNCED = "with events of another kind, that no pixel sent: left out"
_PRINTABLE = bytes(range(32, 127)) + b"\t"
_ABOVE_DVS128 = np.uint32(0xFFFF0000)
_SYNC = np.uint32(0x8000)


class Raw(NamedTuple):
    """Records as they lie in a file.

    Attributes:
        address: ``(N,)`` uint32.
        t: microseconds, ``(N,)`` int64.
        start: byte at which the first one begins.
    """

    address: NDArray[np.uint32]
    t: NDArray[np.int64]
    start: int

    def take(self, which: NDArray[np.bool_]) -> Raw:
        """Return some of the records."""
        return Raw(self.address[which], self.t[which], self.start)


def header_bytes(data: bytes) -> int:
    """Return how many bytes the header of a file takes."""
    at = 0
    while data[at : at + 1] == b"#":
        end = data.find(b"\r\n", at)
        if end < 0 or data[at:end].translate(None, _PRINTABLE):
            break
        at = end + 2
    return at


def records(data: bytes, path: Path | str) -> Raw:
    """Return the records of a file.

    Raises:
        BadFileError: no AEDAT 2.0, or its data are no whole number of records.
    """
    require_version(data, path, b"2.0")
    start = header_bytes(data)
    left = (len(data) - start) % RECORD_BYTES
    if left:
        raise BadFileError(
            f"{path}: {len(data) - start} bytes from byte {start} on, after the header, are no "
            f"whole number of {RECORD_BYTES}-byte records; the record at byte {len(data) - left} "
            f"is cut off: {AGAIN}"
        )
    words = np.frombuffer(data, ">u4", offset=start).reshape(-1, 2)
    return Raw(words[:, 0].astype(np.uint32), words[:, 1].astype(np.int64), start)


def of_davis(raw: Raw, path: Path | str) -> Raw:
    """Return the records of a file whose addresses are a DAVIS's.

    Raises:
        BadFileError: they are a DVS128's.
    """
    if raw.address.size and not (raw.address >> np.uint32(15)).any():
        raise BadFileError(
            f"{path}: no address has a bit above bit 14 (the largest is "
            f"{int(raw.address.max()):#x}): a DVS128's, expected a DAVIS's; set format = "
            '"aedat2-dvs128" in [events] of the card'
        )
    return raw


def of_dvs128(raw: Raw, path: Path | str) -> Raw:
    """Return the records of pixels of a file whose addresses are a DVS128's.

    Raises:
        BadFileError: they are a DAVIS's.
    """
    above = (raw.address & _ABOVE_DVS128) != 0
    if above.any():
        at = int(np.argmax(above))
        raise BadFileError(
            f"{path}: the address of the record at byte {raw.start + RECORD_BYTES * at} is "
            f"{int(raw.address[at]):#010x} ({int(above.sum())} such), with bits above bit 15: a "
            "DAVIS's, expected a DVS128's; set format = \"aedat2-davis\" in [events] of the card"
        )
    synced = (raw.address & _SYNC) != 0
    if not synced.any():
        return raw
    remark("synced", SYNCED, int(synced.sum()))
    return raw.take(~synced)


def bits(raw: Raw, low: int, count: int) -> NDArray[np.int16]:
    """Return ``count`` bits of every address from bit ``low`` on, ``(N,)`` int16."""
    mask = np.uint32((1 << count) - 1)
    return ((raw.address >> np.uint32(low)) & mask).astype(np.int16)
