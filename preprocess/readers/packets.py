"""Whether a packet of an AEDAT 4 file has a beginning, told without inflating it.

The decoding library ends in a panic, which prints lines of its own, on a packet whose content is
shorter than :data:`LEAST` bytes: a length and two words of four letters. In: a packet's bytes as
they lie in the file, in full or their start alone. Out: how long its content is at least.

An LZ4 frame is counted exactly: the sequences of a block state their lengths. A ZSTD frame mostly
states its length; of a compressed block that is left to itself the literals and three bytes for
each match are counted. Bytes that are neither are for the library to refuse.
"""

from __future__ import annotations

LEAST = 12
"""Bytes that the content of any packet has: its own length, an offset, four letters."""
START = 64
"""So many bytes of a packet nearly always tell."""
_LZ4, _ZSTD = 0x184D2204, 0xFD2FB528
_SKIPPED = range(0x184D2A50, 0x184D2A60)
_CONTENT_SIZES = (0, 2, 4, 8)
_DICTIONARY_SIZES = (0, 1, 2, 4)
_RAW, _RLE, _COMPRESSED = 0, 1, 2
_MATCH = 3


def is_short(data: bytes, length: int, compression: str) -> bool | None:
    """Say whether a packet's content is shorter than :data:`LEAST` bytes.

    Args:
        data: the packet, or the start of it.
        length: of the whole packet in the file.
        compression: of the file, as :class:`~snntx.preprocess.readers.container.Container` has it.

    Returns:
        None where the start does not tell.
    """
    if compression == "none":
        return length < LEAST
    try:
        count = _lz4 if compression.startswith("LZ4") else _zstd
        return count(data, length) < LEAST
    except IndexError:  # counts past the bytes that are there
        return None if len(data) < length else True


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + size], "little")


def _lz4(data: bytes, length: int) -> int:
    """Count the content of the first LZ4 frame, up to :data:`LEAST` bytes."""
    if length < 4 or _number(data, 0, 4) != _LZ4:
        return LEAST
    flags = _number(data, 4, 1)
    at = 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
    count = 0
    while at + 4 <= length:
        size = _number(data, at, 4)
        stored, size = size >> 31, size & 0x7FFFFFFF
        at += 4
        if size == 0 or at + size > length:  # the end, or a block that is cut off
            break
        count += size if stored else _sequences(data, at, at + size, LEAST - count)
        if count >= LEAST:
            break
        at += size + 4 * (flags >> 4 & 1)
    return count


def _sequences(data: bytes, at: int, end: int, enough: int) -> int:
    """Count what the sequences of an LZ4 block become, up to a number of bytes."""
    count = 0
    while at < end and count < enough:
        token = data[at]
        literals, at = _extended(data, at + 1, token >> 4)
        count += literals
        at += literals + 2
        if at < end and count < enough:
            match, at = _extended(data, at, token & 15)
            count += match + 4
    return count


def _extended(data: bytes, at: int, value: int) -> tuple[int, int]:
    """Return a length of an LZ4 sequence, and where what follows it begins."""
    more = 255 if value == 15 else 0
    while more == 255:
        more = data[at]
        value, at = value + more, at + 1
    return value, at


def _zstd(data: bytes, length: int) -> int:
    """Count the content of ZSTD frames, at least, up to :data:`LEAST` bytes."""
    count = at = 0
    while count < LEAST and at + 4 <= length:
        magic = _number(data, at, 4)
        if magic in _SKIPPED:
            at += 8 + _number(data, at + 4, 4)
            continue
        if magic != _ZSTD:
            return LEAST
        kind = _number(data, at + 4, 1)
        single = kind >> 5 & 1
        at += 5 + (not single) + _DICTIONARY_SIZES[kind & 3]
        size = _CONTENT_SIZES[kind >> 6] or single
        if size:
            stated = _number(data, at, size) + 256 * (size == 2)
            if count + stated >= LEAST:
                return LEAST
        at, found = _blocks(data, at + size, LEAST - count)
        at += 4 * (kind >> 2 & 1)
        count += found
    return count


def _blocks(data: bytes, at: int, enough: int) -> tuple[int, int]:
    """Return where a ZSTD frame's blocks end, and what they become, at least, up to a number."""
    count, last = 0, 0
    while not last and count < enough:
        head = _number(data, at, 3)
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        at += 3
        if kind in (_RAW, _RLE):
            count += size
        elif kind == _COMPRESSED and size:
            count += _compressed(data, at, enough - count)
        at += 1 if kind == _RLE else size
    return at, count


def _compressed(data: bytes, at: int, enough: int) -> int:
    """Return the fewest bytes that a compressed ZSTD block can become: literals and matches."""
    kind, form = data[at] & 3, data[at] >> 2 & 3
    if kind in (_RAW, _RLE):
        size, shift = (1, 3) if not form & 1 else (form // 2 + 2, 4)
        literals = stored = _number(data, at, size) >> shift
        stored = 1 if kind == _RLE else stored
    else:
        size, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
        sizes = _number(data, at, size) >> 4
        literals, stored = sizes & (1 << bits) - 1, sizes >> bits
    if literals >= enough:
        return literals
    matches = _number(data, at + size + stored, 1)
    return literals + _MATCH * matches
