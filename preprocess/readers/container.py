"""The outside of an AEDAT 4 file, checked before its packets are decoded.

The decoding library ends the whole process on some damaged headers, so everything it would
trust is checked here first. All numbers are little-endian::

    14 bytes   "#!AER-DAT4.0\\r\\n"
    uint32     length of the header that follows
    header     FlatBuffer "IOHE": compression (int32), position of the data table (int64, -1 in
               a file that was never closed), description of the streams (XML)
    packets    int32 stream, int32 length, then that many bytes, up to the data table
    data table to the end of the file

Only headers are read, and the start of each packet; the rest of their contents is stepped over.
"""

from __future__ import annotations

import os
import struct
import xml.etree.ElementTree as ElementTree
from array import array
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import BadFileError
from ..disk.files import TEXT_BYTES, refuse_text
from .packets import LEAST, START, is_short

MAGIC = b"#!AER-DAT4.0\r\n"
COMPRESSIONS = ("none", "LZ4", "LZ4 high", "ZSTD", "ZSTD high")
EVENTS = "EVTS"
MAX_HEADER_BYTES = 1 << 22
MAX_PACKET_BYTES = 1 << 29
AGAIN = "copy or download it again"


class Container(NamedTuple):
    """What a file says of itself.

    Attributes:
        compression: one of :data:`COMPRESSIONS`.
        streams: stream id → four-letter type of its packets, ``EVTS`` for events.
        packets: number of packets of all streams.
        order: stream of each packet, in file order, ``(packets,)`` int32.
        short: numbers of the packets that are too short for the decoding library, none of events.
        table: where the header states the position of the data table, 0 where it does not.
    """

    compression: str
    streams: dict[int, str]
    packets: int
    order: NDArray[np.int32]
    short: frozenset[int]
    table: int


def check_container(path: Path) -> Container:
    """Check magic, header and the chain of packets of a file.

    Raises:
        BadFileError: unreadable, empty, not AEDAT 4, damaged or truncated, or a packet of events
            is too short for the decoding library.
    """
    try:
        with path.open("rb") as file:
            return _check(file, os.fstat(file.fileno()).st_size, path)
    except OSError as error:
        raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check(file: BinaryIO, size: int, path: Path) -> Container:
    if size == 0:
        raise BadFileError(f"{path}: the file is empty (0 bytes); {AGAIN}")
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        refuse_text(magic + file.read(TEXT_BYTES), path, "an AEDAT 4 file")
        raise BadFileError(
            f"{path}: starts with {magic!r}, expected {MAGIC!r}: not an AEDAT 4 file"
        )
    length = int.from_bytes(file.read(4), "little")
    start = len(MAGIC) + 4 + length
    if length > MAX_HEADER_BYTES or start > size:
        raise BadFileError(
            f"{path}: header of {length} bytes at byte {len(MAGIC)}, but the file has {size} and a "
            f"header at most {MAX_HEADER_BYTES}; {AGAIN}"
        )
    try:
        compression, table, description, place = _header(file.read(length))
        streams = _streams(description)
    except (struct.error, ValueError, IndexError, ElementTree.ParseError) as error:
        reason = " ".join(str(error).split())
        raise BadFileError(f"{path}: header at byte {len(MAGIC)}: {reason}; {AGAIN}") from error
    if table != -1 and not start <= table <= size:
        raise BadFileError(
            f"{path}: data table at byte {table}, expected {start} to {size}, the end of the "
            f"file: truncated; {AGAIN}"
        )
    end = size if table == -1 else table
    order, short = _order_of_packets(file, start, end, streams, compression, path)
    events = [number for number in sorted(short) if streams[int(order[number])] == EVENTS]
    if events:
        raise BadFileError(
            f"{path}: packet {events[0]} of {order.size} cannot be decoded: its content is cut off "
            f"after fewer than {LEAST} bytes; {AGAIN}"
        )
    at = place and len(MAGIC) + 4 + place
    return Container(compression, streams, order.size, order, short, at)


def _header(data: bytes) -> tuple[str, int, str, int]:
    """Return compression, position of the data table and description of an ``IOHE`` buffer.

    The fourth is where the second stands in the buffer, 0 where it is left out.
    """
    if data[4:8] != b"IOHE":
        raise ValueError(f"identifier {data[4:8]!r}, expected b'IOHE'")
    table = _number("<I", data, 0)
    entries = table - _number("<i", data, table)
    entries_bytes = _number("<H", data, entries)

    def place(field: int) -> int:
        """Return where a field lies, 0 where it is left out."""
        at = 4 + 2 * field
        offset = _number("<H", data, entries + at) if at + 2 <= entries_bytes else 0
        return table + offset if offset else 0

    kind = _number("<i", data, place(0)) if place(0) else 0
    if not 0 <= kind < len(COMPRESSIONS):
        raise ValueError(f"compression {kind}, expected 0 to {len(COMPRESSIONS) - 1}")
    position = _number("<q", data, place(1)) if place(1) else -1
    if not place(2):
        raise ValueError("no description of the streams")
    text = place(2) + _number("<I", data, place(2))
    length = _number("<I", data, text)
    if text + 4 + length > len(data):
        raise ValueError(f"description of {length} bytes in a header of {len(data)}")
    description = data[text + 4 : text + 4 + length].decode("utf-8")
    return COMPRESSIONS[kind], position, description, place(1)


def _number(kind: str, data: bytes, at: int) -> int:
    """Unpack one number, never counting from the end of ``data``."""
    if not 0 <= at <= len(data) - struct.calcsize(kind):
        raise ValueError(f"offset {at} in a header of {len(data)} bytes")
    return int(struct.unpack_from(kind, data, at)[0])


def _streams(description: str) -> dict[int, str]:
    """Return the type of every stream that the XML description names."""
    if "<!" in description.replace("<!--", ""):
        raise ValueError("the description of the streams holds a document type, expected none")
    root = ElementTree.fromstring(description)
    nodes = root.findall("./node[@name='outInfo']/node")
    if root.tag != "dv" or not nodes:
        raise ValueError("the description names no stream (dv/node[outInfo]/node)")
    streams: dict[int, str] = {}
    for node in nodes:
        name = node.get("name", "")
        if not (name.isascii() and name.isdigit()) or int(name) >= 1 << 31 or int(name) in streams:
            raise ValueError(f"stream '{name}', expected whole numbers, each once")
        streams[int(name)] = node.findtext("./attr[@key='typeIdentifier']", "")
        if len(streams[int(name)]) != 4:
            raise ValueError(f"stream {name} is of type '{streams[int(name)]}', expected 4 letters")
    return streams


def _order_of_packets(
    file: BinaryIO, start: int, end: int, streams: dict[int, str], compression: str, path: Path
) -> tuple[NDArray[np.int32], frozenset[int]]:
    """Step from packet to packet; the last one must end where the packets end.

    Returns the stream of each, and the numbers of those that are too short to be decoded.
    """
    at, packets = start, 0
    order, short = array("i"), set()
    while at < end:
        file.seek(at)
        head = file.read(min(8 + START, end - at))
        if len(head) < 8:
            raise BadFileError(f"{path}: truncated in packet {packets} at byte {at}; {AGAIN}")
        stream, length = struct.unpack_from("<ii", head)
        if stream not in streams:
            known = ", ".join(map(str, sorted(streams)))
            raise BadFileError(
                f"{path}: packet {packets} at byte {at} is of stream {stream}, expected {known}; "
                f"{AGAIN}"
            )
        if not 0 < length <= min(end - at - 8, MAX_PACKET_BYTES):
            raise BadFileError(
                f"{path}: packet {packets} at byte {at} has {length} bytes, expected 1 to "
                f"{min(end - at - 8, MAX_PACKET_BYTES)}: damaged or truncated; {AGAIN}"
            )
        cut = is_short(head[8 : 8 + length], length, compression)
        if cut is None:
            file.seek(at + 8)
            cut = is_short(file.read(length), length, compression)
        if cut:
            short.add(packets)
        at += 8 + length
        packets += 1
        order.append(stream)
    return np.array(order, np.int32), frozenset(short)


def without_short(path: Path, container: Container, folder: Path) -> Path:
    """Write a copy of a file without the packets that are too short, and return its path.

    Raises:
        OSError: the file cannot be read any more, or the copy not be written.
    """
    copy = folder / path.name
    with path.open("rb") as file, copy.open("wb") as out:
        head = bytearray(file.read(len(MAGIC) + 4))
        head += file.read(int.from_bytes(head[len(MAGIC) :], "little"))
        if container.table:  # ends where the last packet does
            head[container.table : container.table + 8] = struct.pack("<q", -1)
        out.write(head)
        for number in range(container.packets):
            packet = file.read(8)
            content = file.read(struct.unpack("<ii", packet)[1])
            if number not in container.short:
                out.write(packet + content)
    return copy
