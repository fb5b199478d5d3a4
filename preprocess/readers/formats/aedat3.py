"""AEDAT 3.1 files (DVS128 Gesture): events among packets of other kinds, cut by time.

A header of text lines ends with ``#!END-HEADER``. Packets follow, each with a header of 28 bytes
and then its events; all numbers are little-endian. The time of an event is its own, plus 2^31 us
for every overflow of its packet. A packet may be padded to its capacity, which is accepted only
where the next packet, or the end of the file, is found behind the padding.

Events that the camera marked as invalid are left out, and packets of other kinds are passed over
by their size; a remark counts the former, and the events of kinds that are not known.

A part of a file is ``(start, end, row)``: the events with start <= time < end, in microseconds;
``row`` is the row of the table beside the file, for errors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError
from ...disk.files import read_file
from ...disk.remarks import remark
from ...framing.events import Events
from ..base import READERS, Reader
from ..parts import row_of
from ..versions import AGAIN, require_version

END_HEADER = b"#!END-HEADER\r\n"
MAX_HEADER_BYTES = 1 << 20
POLARITY = 1
KNOWN = range(13)
"""Types of packets that libcaer names: 0 special, 2 frame, 3 IMU of six axes, …"""
EVENT_BYTES = 8
STARTED_OVER = 1_000_000
"""A step back of at least so many microseconds is a clock that was set to 0."""
INVALID = "with events that the camera marked as invalid: left out"
UNKNOWN = "with packets of an unknown type in their file: passed over"
REACHES = "whose row of the table reaches beyond the events of their file: cut to them"
_HEADER = struct.Struct("<hh6i")


class _Packet(NamedTuple):
    """The header of a packet, after where its events begin."""

    body: int
    kind: int
    source: int
    size: int
    time_at: int
    overflow: int
    capacity: int
    number: int
    valid: int

    @property
    def problem(self) -> str | None:
        """What is wrong with it, None for nothing."""
        if self.kind < 0 or self.source < 0 or self.overflow < 0:
            return f"type {self.kind}, source {self.source}, overflow {self.overflow}, one below 0"
        if self.size < 4 or not 0 <= self.time_at <= self.size - 4:
            return f"events of {self.size} bytes with their time at byte {self.time_at}"
        if not 0 <= self.valid <= self.number <= self.capacity:
            return (
                f"{self.valid} valid of {self.number} events and room for {self.capacity}, "
                "expected 0 <= valid <= number <= capacity"
            )
        if self.kind == POLARITY and (self.size, self.time_at) != (EVENT_BYTES, 4):
            return f"polarity events of {self.size} bytes, time at byte {self.time_at}, not 8 and 4"
        return None


def _packet(data: bytes, at: int) -> _Packet:
    return _Packet(at + _HEADER.size, *_HEADER.unpack_from(data, at))


def _plausible(data: bytes, at: int) -> bool:
    """Whether a packet begins at a byte, or the file ends there."""
    if at + _HEADER.size > len(data):
        return at == len(data)
    packet = _packet(data, at)
    return packet.problem is None and packet.body + packet.number * packet.size <= len(data)


def _packets(data: bytes, at: int, path: Path | str) -> Iterator[_Packet]:
    """Yield every packet from byte ``at`` on, all of its events there."""
    while at < len(data):
        if at + _HEADER.size > len(data):
            raise BadFileError(
                f"{path}: packet at byte {at}: its header is cut off after {len(data) - at} of "
                f"{_HEADER.size} bytes; {AGAIN}"
            )
        packet = _packet(data, at)
        if packet.problem is not None:
            raise BadFileError(f"{path}: packet at byte {at}: {packet.problem}; {AGAIN}")
        end = packet.body + packet.number * packet.size
        if end > len(data):
            raise BadFileError(
                f"{path}: packet at byte {at}: its events are cut off after "
                f"{len(data) - packet.body} of {end - packet.body} bytes; {AGAIN}"
            )
        if packet.capacity > packet.number and not _plausible(data, end):
            padded = packet.body + packet.capacity * packet.size
            if not _plausible(data, padded):
                raise BadFileError(
                    f"{path}: packet at byte {at}: {packet.number} events and room for "
                    f"{packet.capacity}, but the next packet begins neither at byte {end} nor, "
                    f"behind the padding, at byte {padded}; {AGAIN}"
                )
            end = padded
        yield packet
        at = end


def decode(data: bytes, path: Path | str) -> Events:
    """Decode the bytes of a file; ``path`` names it in errors.

    Raises:
        BadFileError: no AEDAT 3.1, damaged, cut off, without events, or of several cameras.
    """
    require_version(data, path, b"3.1")
    found = data.find(END_HEADER, 0, MAX_HEADER_BYTES)
    if found < 0:
        raise BadFileError(
            f"{path}: no line {END_HEADER!r} in its first "
            f"{min(len(data), MAX_HEADER_BYTES)} bytes: its header is cut off; {AGAIN}"
        )
    start = found + len(END_HEADER)
    words: list[NDArray[np.uint32]] = []
    times: list[NDArray[np.int64]] = []
    sources: set[int] = set()
    packets = unknown = 0
    for packet in _packets(data, start, path):
        packets += 1
        if packet.kind != POLARITY:
            unknown += packet.number * (packet.kind not in KNOWN)
            continue
        if packet.number:
            sources.add(packet.source)
        pairs = np.frombuffer(data, "<u4", 2 * packet.number, packet.body).reshape(-1, 2)
        times.append(_times(pairs[:, 1].view("<i4"), packet, path))
        words.append(pairs[:, 0])
    if unknown:
        remark("packets", UNKNOWN, unknown)
    if not sources:
        raise BadFileError(
            f"{path}: {packets} packets after the header of {start} bytes, none of them with "
            f"events of pixels; {AGAIN}"
        )
    if len(sources) > 1:
        raise BadFileError(
            f"{path}: events of sources {' and '.join(map(str, sorted(sources)))}, expected one "
            "camera; write the one you want to a file of its own"
        )
    return _columns(np.concatenate(words), np.concatenate(times))


def _times(own: NDArray[np.int32], packet: _Packet, path: Path | str) -> NDArray[np.int64]:
    """Return a packet's times in microseconds, its overflows added."""
    if own.size and own.min() < 0:
        at = int(np.argmax(own < 0))
        raise BadFileError(
            f"{path}: packet at byte {packet.body - _HEADER.size}: event {at} has the time "
            f"{own[at]}, expected 0 or more; {AGAIN}"
        )
    return own.astype(np.int64) + (packet.overflow << 31)


def _columns(words: NDArray[np.uint32], t: NDArray[np.int64]) -> Events:
    """Return the valid events; of a word bit 0 is valid, 1 polarity, 2-16 y and 17-31 x."""
    valid = (words & 1).astype(bool)
    if not valid.all():
        remark("invalid", INVALID, int(valid.size - valid.sum()))
        words, t = words[valid], t[valid]
    x, y, p = words >> 17, (words >> 2) & 0x7FFF, (words >> 1) & 1
    return Events(x.astype(np.int16), y.astype(np.int16), t, p.astype(np.int8))


def cut(events: Events, part: tuple[int, ...], path: Path) -> Events | BadFileError:
    """Return the events of a part, or the error that there are none; ``()`` is the whole file."""
    if not part:
        return events
    start, end = part[:2]
    which = np.flatnonzero((events.t >= start) & (events.t < end))
    first, last = (int(events.t.min()), int(events.t.max())) if events.size else (0, 0)
    if not which.size:
        held = f"lie from {first} to {last} us" if events.size else "are none"
        return BadFileError(
            f"{row_of(part, path)} is from {start} to {end} us, but no event of {path.name} is: "
            f"they {held}; mend the row, or leave it out"
        )
    if start < first or end > last + 1:
        remark("reaches", REACHES)
    return events.take(which)


@READERS.register("aedat3")
class Aedat3(Reader):
    """Reads AEDAT 3.1 files: the parts that a table beside them names, or a whole file."""

    record_bytes = EVENT_BYTES
    slices = True

    def recordings(
        self, path: Path, parts: Sequence[tuple[int, ...]]
    ) -> Iterator[Events | BadFileError]:
        """Yield the events of each part, in the order of ``parts``; ``()`` is the whole file.

        Raises:
            BadFileError: the file is unreadable or damaged, or its clock was set to 0, so that
                nobody could say which of two times a part means.
        """
        events = self.read(path)
        back = np.flatnonzero(events.t[:-1] - events.t[1:] >= STARTED_OVER)
        if back.size and any(parts):
            at = int(back[0])
            raise BadFileError(
                f"{path}: its clock started over at event {at + 1}, from {events.t[at]} to "
                f"{events.t[at + 1]} us, so the times of its table mean two places; cut the file "
                "there, or remove it"
            )
        yield from (cut(events, part, path) for part in parts)

    def read(self, path: Path) -> Events:
        """Return all events of a file, in file order."""
        return decode(read_file(path), path)
