"""A shard of the event cache: the chunks of up to 512 recordings, and where in time each starts.

::

    /bytes          uint8 (b,), the chunks one after the other (:mod:`.chunks`)
    /chunks/row       int32 (m,): row of /recordings that a chunk belongs to, rising
    /chunks/start_us  int64 (m,): time of its first event after the recording's first
    /chunks/events    int32 (m,): how many it has
    /chunks/offset    int64 (m + 1,): its bytes are [offset[i], offset[i + 1])
    /chunks/checksum  uint64 (m,): XXH3-64 of these bytes

A recording's chunks stand together in order of time, so a window is one read.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash
import zstandard
from numpy.typing import NDArray

from ...disk.hdf5 import write_column
from ...framing.events import Events
from ..files import open_own
from . import chunks
from .names import BLOCK_BYTES

_COLUMNS = {"row": "<i4", "start_us": "<i8", "events": "<i4", "checksum": "<u8"}


class DamagedError(Exception):
    """A chunk is not what was sealed; the text says which."""


def checksum(events: Events) -> int:
    """Return the 64-bit XXH3 of a recording: its columns t, x, y and p, one after the other."""
    state = xxhash.xxh3_64()
    for column, kind in zip((events.t, events.x, events.y, events.p), _KINDS, strict=True):
        state.update(np.ascontiguousarray(column, kind).data)
    return state.intdigest()


_KINDS = ("<i8", "<i2", "<i2", "i1")


def empty_events(count: int) -> Events:
    """Return columns of ``count`` events, to be filled."""
    x, y = np.empty((2, count), np.int16)
    return Events(x, y, np.empty(count, np.int64), np.empty(count, np.int8))


class ShardWriter:
    """Writes the chunks of a shard, recording by recording.

    Args:
        file: the shard, open for writing.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._bytes = file.create_dataset(
            "bytes", (0,), np.uint8, maxshape=(None,), chunks=(BLOCK_BYTES,)
        )
        self._columns: dict[str, list[int]] = {name: [] for name in _COLUMNS}
        self._offset = [0]

    def write(self, row: int, events: Events) -> None:
        """Write one recording, whose first event is at time 0, over what follows that row."""
        kept = int(np.searchsorted(self._columns["row"], row))
        del self._offset[kept + 1 :]
        for column in self._columns.values():
            del column[kept:]
        bounds = chunks.bounds_of(events.size).tolist()
        for start, stop in pairwise(bounds):
            part = events.take(slice(start, stop))
            self._append(row, int(part.t[0]), part.size, chunks.encode(part))

    def _append(self, row: int, start_us: int, count: int, data: bytes) -> None:
        begin, end = self._offset[-1], self._offset[-1] + len(data)
        if end > self._bytes.shape[0]:
            self._bytes.resize(end, axis=0)
        self._bytes[begin:end] = np.frombuffer(data, np.uint8)
        self._offset.append(end)
        values = (row, start_us, count, xxhash.xxh3_64_intdigest(data))
        for name, value in zip(_COLUMNS, values, strict=True):
            self._columns[name].append(value)

    @property
    def size(self) -> int:
        """Bytes of the chunks so far."""
        return self._offset[-1]

    def finish(self, rows: int) -> None:
        """Write where the chunks of the first ``rows`` recordings lie, and forget all others."""
        kept = int(np.searchsorted(self._columns["row"], rows))
        self._bytes.resize(self._offset[kept], axis=0)
        group = self._file.create_group("chunks")
        for name, kind in _COLUMNS.items():
            write_column(group, name, self._columns[name][:kept], kind)
        write_column(group, "offset", self._offset[: kept + 1], "<i8")


class OpenShard:
    """A shard of events, read a window at a time.

    Args:
        path: the shard.
        held: all its chunks, where they are in memory; see :meth:`whole`.

    Raises:
        DamagedError: its chunks do not fit together.
        SnntxError: something in it lies in another file.
        OSError: it cannot be opened (or what else h5py raises then).
    """

    def __init__(self, path: Path, *, held: NDArray[np.uint8] | None = None) -> None:
        # a chunk is read whole, and seldom twice: no chunk cache
        file = open_own(path, rdcc_nbytes=0)
        self._bytes = file["bytes"]
        self._held = held
        group = file["chunks"]
        row, self._start, self._events, self._sum = (group[name][()] for name in _COLUMNS)
        self._offset: NDArray[np.int64] = group["offset"][()]
        if not _fit_together(row, self._events, self._offset, self._bytes.shape[0]):
            raise DamagedError("its chunks do not fit together")
        self._first = np.searchsorted(row, np.arange(len(file["recordings/label"]) + 1))
        self._whole = np.zeros(row.size, np.bool_)

    def whole(self) -> NDArray[np.uint8]:
        """Return all its chunks, to be held in memory."""
        held: NDArray[np.uint8] = self._bytes[()]
        return held

    def read(self, row: int, start_us: int | None = None, stop_us: int | None = None) -> Events:
        """Return the events of a recording with ``start_us <= t < stop_us``, in order of time.

        Times count from the recording's first event; an end that is None is the recording's.

        Raises:
            DamagedError: a chunk is not what was sealed.
        """
        first, end = int(self._first[row]), int(self._first[row + 1])
        starts = self._start[first:end]
        low = first if start_us is None else first + max(0, _before(starts, start_us) - 1)
        high = end if stop_us is None else first + _before(starts, stop_us)
        events = self._decoded(low, high)
        begin = 0 if start_us is None else _before(events.t, start_us)
        stop = events.size if stop_us is None else _before(events.t, stop_us)
        return events.take(slice(begin, max(begin, stop)))

    def last_before(self, row: int, moment: int) -> int:
        """Return the time of a recording's last event before a moment; 0 where there is none.

        Raises:
            DamagedError: a chunk is not what was sealed.
        """
        first, end = int(self._first[row]), int(self._first[row + 1])
        chunk = first + _before(self._start[first:end], moment) - 1
        if chunk < first:
            return 0
        times = self._decoded(chunk, chunk + 1).t
        return int(times[_before(times, moment) - 1])

    def _decoded(self, low: int, high: int) -> Events:
        """Return the events of chunks ``low`` up to ``high``, read at once."""
        if high <= low:
            return empty_events(0)
        base, top = int(self._offset[low]), int(self._offset[high])
        data: Any = self._bytes[base:top] if self._held is None else self._held[base:top]
        view = memoryview(data)
        counts, decompressor = self._events[low:high].tolist(), zstandard.ZstdDecompressor()
        out, place = empty_events(sum(counts)), 0
        for number, count in enumerate(counts, low):
            part = view[int(self._offset[number]) - base : int(self._offset[number + 1]) - base]
            if not self._whole[number]:
                found = xxhash.xxh3_64_intdigest(part)
                if found != int(self._sum[number]):
                    raise DamagedError(f"chunk {number} does not match its checksum")
                self._whole[number] = True
            try:
                own = out.take(slice(place, place + count))
                chunks.decode(part, own, int(self._start[number]), decompressor)
            except ValueError as error:
                raise DamagedError(f"chunk {number} is {error}") from error
            place += count
        return out


def _fit_together(
    row: NDArray[np.int32], events: NDArray[np.int32], offset: NDArray[np.int64], size: int
) -> bool:
    """Return whether a table of chunks is one that a writer makes, before anything is allocated."""
    chunks_of = row.size == events.size == offset.size - 1
    rising = bool((np.diff(row) >= 0).all() and (np.diff(offset) > 0).all())
    few = bool((events > 0).all() and (events <= chunks.MOST_EVENTS).all())
    return chunks_of and rising and few and int(offset[0]) == 0 and int(offset[-1]) == size


def _before(times: NDArray[np.int64], moment: int) -> int:
    """Return how many times lie before a moment."""
    return int(np.searchsorted(times, moment))
