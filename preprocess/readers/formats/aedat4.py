"""AEDAT 4 files (DAVIS, DVXplorer): events of one stream among frames, IMU and triggers.

Packets are decoded one after the other by the ``aedat`` package, LZ4 and ZSTD included, so
no file is ever held whole unless it is wanted whole. Packets of other streams that cannot be
decoded are passed over with a remark, where all events are there. Timestamps are microseconds
since 1970, about 1.6e15: int64 throughout.

A part of a file is ``(start, end, row)``: the events from the first one whose time equals
``start`` up to, not including, the first one whose time equals ``end``; thousands of events
may share either time. ``row`` is the row of the table beside the file, for errors.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aedat
import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError
from ...disk.remarks import remark
from ...framing.events import LEAVE_OUT, Events
from ..base import READERS, Reader
from ..columns import MAX_COORDINATE, placed
from ..container import AGAIN, EVENTS, Container, check_container, without_short
from ..parts import row_of

MAX_TIME_US = 1 << 62
PASSED = "with packets that hold no events and cannot be decoded in their file: passed over"
_LIBRARY_ERRORS = (RuntimeError, OSError, ValueError, KeyError)


def recordings(
    path: Path, parts: Sequence[tuple[int, ...]], *, drops: bool = False
) -> Iterator[Events | BadFileError]:
    """Yield the events of each part, in the order of ``parts``; ``()`` is the whole file.

    Parts may overlap and stand in any order: events are kept as long as a part that is not
    yet out needs them. A part whose start or end is not among the times, or does not come
    before its end, yields the error in its place. With ``drops``, events outside the sensor that
    the file names are :data:`~snntx.preprocess.framing.events.NOWHERE`, at their times.

    Raises:
        BadFileError: the file is unreadable, damaged or truncated.
    """
    wanted = {time for part in parts for time in part[:2]}
    first: dict[int, int] = {}
    held: list[tuple[int, Events]] = []
    done, seen = 0, 0
    for packet in _packets(path, drops):
        _find(packet.t, seen, wanted, first)
        held.append((seen, packet))
        seen += packet.size
        while done < len(parts) and parts[done] and all(t in first for t in parts[done][:2]):
            yield _part(held, first[parts[done][0]], first[parts[done][1]], parts[done], path)
            done += 1
        open_parts = parts[done:]
        keep = min((first.get(part[0], seen) if part else 0 for part in open_parts), default=seen)
        held = [(base, events) for base, events in held if base + events.size > keep]
    for part in parts[done:]:
        if not part:
            yield _join(events for _, events in held)
            continue
        missing = [time for time in part[:2] if time not in first]
        if missing:
            what = "starts" if missing[0] == part[0] else "ends"
            yield BadFileError(
                f"{row_of(part, path)} {what} at {missing[0]} us, but no event of {path.name} has "
                "that time; the two files do not belong together, or one is damaged"
            )
        else:
            yield _part(held, first[part[0]], first[part[1]], part, path)


def read(path: Path, *, drops: bool = False) -> Events:
    """Return all events of a file, in file order; ``drops`` as in :func:`recordings`.

    Raises:
        BadFileError: the file is unreadable, damaged or truncated.
    """
    return _join(_packets(path, drops))


def _find(t: NDArray[np.int64], base: int, wanted: set[int], first: dict[int, int]) -> None:
    """Note the place of the first event at each wanted time, ``base`` events into the file."""
    if not wanted or not t.size:
        return
    low, high = int(t.min()), int(t.max())
    for time in [time for time in wanted if low <= time <= high]:
        equal = t == time
        at = int(equal.argmax())
        if equal[at]:
            first[time] = base + at
            wanted.discard(time)


def _part(
    held: Sequence[tuple[int, Events]], start: int, end: int, part: tuple[int, ...], path: Path
) -> Events | BadFileError:
    """Join events ``start`` to ``end`` of the file from the packets held."""
    if start >= end:
        return BadFileError(
            f"{row_of(part, path)} starts at {part[0]} us and ends at {part[1]} us, but in "
            f"{path.name} the end does not come after the start; expected start before end"
        )
    pieces = (
        events.take(slice(max(0, start - base), max(0, end - base)))
        for base, events in held
        if base < end and base + events.size > start
    )
    return _join(pieces)


def _join(pieces: Iterator[Events]) -> Events:
    """Concatenate packets into one recording."""
    held = list(pieces)
    if not held:
        none = np.empty(0, np.int16)
        return Events(none, none, none.astype(np.int64), none.astype(np.int8))
    return Events(
        np.concatenate([events.x for events in held]),
        np.concatenate([events.y for events in held]),
        np.concatenate([events.t for events in held]),
        np.concatenate([events.p for events in held]),
    )


def _packets(path: Path, drops: bool) -> Iterator[Events]:
    """Yield the events of every event packet, in file order."""
    container = check_container(path)
    if EVENTS not in container.streams.values():
        kinds = ", ".join(sorted(set(container.streams.values())))
        raise BadFileError(f"{path}: has no stream of events, expected one (found {kinds})")
    stream: int | None = None
    for number, packet in _whole(path, container):
        if stream is None:
            stream = packet["stream_id"]
        elif stream != packet["stream_id"]:
            raise BadFileError(
                f"{path}: events in streams {stream} and {packet['stream_id']}, expected one "
                "stream; write the one you want to a file of its own"
            )
        yield _columns(packet["events"], packet["shape"], f"{path}: packet {number}", drops)


def _whole(path: Path, container: Container) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield what :func:`_decoded` does, of a file that may have packets too short for it."""
    if not container.short:
        yield from _decoded(path, path, container)
        return
    remark("packets", PASSED)
    with tempfile.TemporaryDirectory() as folder:
        yield from _decoded(without_short(path, container, Path(folder)), path, container)


def _decoded(held: Path, path: Path, container: Container) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and content of every event packet, with the ``shape`` of its sensor.

    ``held`` has the packets that are not short, of the file at ``path``.

    Packets of other streams may be such as the library cannot decode, frames of a rare format
    for one, and it passes over some of them by itself. Packets of events must all be there.

    Raises:
        BadFileError: a packet of events cannot be decoded.
    """
    order = container.order.tolist()
    numbers = [number for number in range(len(order)) if number not in container.short]
    of_events = {number for number, kind in container.streams.items() if kind == EVENTS}
    reason = "the library passed over it"
    at = 0

    def pass_over() -> None:
        nonlocal at
        if order[numbers[at]] in of_events:
            raise BadFileError(
                f"{path}: packet {numbers[at]} of {len(order)} cannot be decoded: {reason}; {AGAIN}"
            )
        remark("packets", PASSED)
        at += 1

    try:
        decoder = aedat.Decoder(held)
        sensors = decoder.id_to_stream()
    except BaseException as error:
        raise BadFileError(f"{path}: cannot be decoded: {_reason(error)}; {AGAIN}") from error
    while at < len(numbers):
        try:
            with warnings.catch_warnings(action="ignore"):  # of frames that it passes over
                packet = next(decoder, None)
        except BaseException as error:
            reason = _reason(error)
            pass_over()
            continue
        while at < len(numbers) and (packet is None or order[numbers[at]] != packet["stream_id"]):
            pass_over()
        if packet is not None and "events" in packet:
            sensor = sensors[packet["stream_id"]]
            packet["shape"] = (sensor["height"], sensor["width"])
            yield numbers[at], packet
        at += 1


def _reason(error: BaseException) -> str:
    """Return what the library says of damage; raise again what is none of its errors."""
    if isinstance(error, _LIBRARY_ERRORS) or type(error).__name__ == "PanicException":
        return " ".join(str(error).split())
    raise error


def _columns(packet: NDArray[np.void], shape: tuple[int, int], where: str, drops: bool) -> Events:
    """Return a packet's columns in the project's types, checked against the stream's sensor."""
    x, y, t = packet["x"], packet["y"], packet["t"]
    rows, columns = (min(length, MAX_COORDINATE + 1) for length in shape)
    outside = (x >= columns) | (y >= rows)  # neither has a sign
    bad = t > MAX_TIME_US if drops else outside | (t > MAX_TIME_US)
    if bad.any():
        at = int(np.argmax(bad))
        raise BadFileError(
            f"{where}: event {at} has x {x[at]}, y {y[at]}, t {t[at]}, expected x below "
            f"{columns}, y below {rows} and a time in microseconds; {AGAIN}"
            + f", or {LEAVE_OUT}"
            * bool(outside[at])
        )
    return Events(
        placed(x, outside), placed(y, outside), t.astype(np.int64), packet["on"].astype(np.int8)
    )


@READERS.register("aedat4")
class Aedat4(Reader):
    """Reads AEDAT 4 files: the parts that a table beside them names, or a whole file."""

    record_bytes = 1
    """An event takes 16 bytes before compression; regular ones compress to little more than one."""
    slices = True

    def recordings(
        self, path: Path, parts: Sequence[tuple[int, ...]]
    ) -> Iterator[Events | BadFileError]:
        """Yield the events of each part, in the order of ``parts``; ``()`` is the whole file."""
        return recordings(path, parts, drops=self.drops)

    def read(self, path: Path) -> Events:
        """Return all events of a file, in file order."""
        return read(path, drops=self.drops)
