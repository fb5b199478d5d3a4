"""A chunk of events as bytes: each column by itself, in planes of bytes, by Zstandard.

The columns are t, x, y and p, in that order. ::

    4 bytes          how each column is kept: number of its planes, plus 128 for differences
    4 bytes a plane  length of each plane's Zstandard frame, little-endian
    the frames       plane k of a column holds bits 8k to 8k + 7 of each of its values

============  ====================================================================================
t             differences of one event to the one before, never negative; the first is 0, which
              stands for the chunk's own ``start_us``
x, y          values; or differences (the first to 0), zigzag: 0, -1, 1, -2 are 0, 1, 2, 3;
              whichever of the two is smaller
p             eight events a byte, the first in bit 0
============  ====================================================================================

A column of nothing but zeros has no plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from ...framing.events import Events
from .kernels import fill

MOST_EVENTS = 8192
"""Of a chunk."""
LEVEL = 3
"""Of compression: more gains 1 to 5 % and takes ten times as long."""
DIFFERENCES = 128
_COLUMNS = 4
_LENGTH = np.dtype("<u4")


def bounds_of(count: int) -> NDArray[np.int64]:
    """Return the first event of each chunk of a recording, and their number at the end.

    Chunks are as few as there can be, and differ by one event at most.
    """
    chunks = -(-count // MOST_EVENTS)
    return np.arange(chunks + 1, dtype=np.int64) * count // max(chunks, 1)


def encode(events: Events) -> bytes:
    """Return a chunk's bytes; times never go back, and polarities are 0 or 1."""
    steps = np.diff(events.t, prepend=events.t[:1])
    columns = [
        (DIFFERENCES, _planes(steps)),
        _smaller(events.x),
        _smaller(events.y),
        (0, _planes(np.packbits(events.p.astype(np.uint8), bitorder="little"))),
    ]
    head = bytes(flag + len(planes) for flag, planes in columns)
    frames = [frame for _, planes in columns for frame in planes]
    lengths = np.array([len(frame) for frame in frames], _LENGTH).tobytes()
    return b"".join((head, lengths, *frames))


def _smaller(values: NDArray[np.int16]) -> tuple[int, list[bytes]]:
    """Return the planes of coordinates or of their differences, whichever take fewer bytes."""
    wide = values.astype(np.int64)
    steps = np.diff(wide, prepend=0)
    own, differences = _planes(wide), _planes((steps << 1) ^ (steps >> 63))
    if sum(map(len, own)) <= sum(map(len, differences)):
        return 0, own
    return DIFFERENCES, differences


def _planes(values: NDArray[Any]) -> list[bytes]:
    """Return the compressed planes of values that are not negative, the lowest byte first."""
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    planes = []
    while values.any():
        planes.append(compressor.compress((values & 255).astype(np.uint8).tobytes()))
        values = values >> 8
    return planes


def decode(data: bytes | memoryview, out: Events, start_us: int, decompressor: Any = None) -> None:
    """Decode a chunk into columns of its own length.

    Args:
        data: as :func:`encode` gave it.
        out: where the events go.
        start_us: time of the first event.
        decompressor: of Zstandard, which takes a tenth of the time to make; None makes one.

    Raises:
        ValueError: the bytes are damaged, or of another number of events.
    """
    view = memoryview(data)
    head = view[:_COLUMNS].tolist()
    counts = [flags & ~DIFFERENCES for flags in head]
    begin = _COLUMNS + sum(counts) * _LENGTH.itemsize
    if len(head) < _COLUMNS or begin > len(view) or max(counts) > out.t.itemsize:
        raise ValueError("a chunk without its whole head")
    lengths = np.frombuffer(view[_COLUMNS:begin], _LENGTH).tolist()
    if begin + sum(lengths) != len(view):
        raise ValueError(f"a chunk of {len(view)} bytes, expected {begin + sum(lengths)}")
    decompressor, size, place = decompressor or zstandard.ZstdDecompressor(), out.size, 0
    columns: list[NDArray[np.uint8]] = []
    for number, count in enumerate(counts):
        length = -(-size // 8) if number == _COLUMNS - 1 else size
        planes = np.empty((count, length), np.uint8)
        for plane, taken in zip(planes, lengths[place : place + count], strict=True):
            plane[:] = _plane(decompressor, view[begin : begin + taken], length)
            begin += taken
        columns.append(planes)
        place += count
    _fill(columns, head, out, start_us)


def _plane(decompressor: Any, frame: memoryview, length: int) -> NDArray[np.uint8]:
    """Return one plane, of which no more is allocated than its length.

    Raises:
        ValueError: it is damaged, or of another length.
    """
    try:
        claimed = zstandard.frame_content_size(frame)
        if claimed != length:
            raise ValueError(f"a plane of {claimed} bytes, expected {length}")
        return np.frombuffer(decompressor.decompress(frame), np.uint8)
    except zstandard.ZstdError as error:
        raise ValueError(f"a plane that Zstandard does not read: {error}") from error


def _fill(
    columns: Sequence[NDArray[np.uint8]], head: Sequence[int], out: Events, start_us: int
) -> None:
    """Put planes together into columns."""
    times, *places, signs = columns
    fill(times, False, True, start_us, out.t)
    for planes, flags, column in zip(places, head[1:3], (out.x, out.y), strict=True):
        differ = flags >= DIFFERENCES
        fill(planes, differ, differ, 0, column)
    bits = np.zeros(out.size, np.uint8)
    if len(signs):
        bits = np.unpackbits(signs[0], count=out.size, bitorder="little")
    out.p[:] = bits
