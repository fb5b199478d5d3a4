"""What a shard keeps of its recordings: a writer for frames, and one for events.

In: recordings that may be framed. Out: datasets of the shard, and each recording's row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np

from ...data_cards.vocabulary import Kind
from ..cache import format as fmt
from ..cache.events.shard import ShardWriter
from ..cache.events.shard import checksum as events_checksum
from ..framing.events import Events
from ..framing.options import FrameOptions
from ..framing.recording import frame_recording
from ..framing.records import Records


class Kept(NamedTuple):
    """What the writer adds to a recording's row.

    Attributes:
        checksum: of what is kept.
        corner: smallest ``(y, x)`` of its events; None beside frames.
        first_us: timestamp of its first event; likewise.
    """

    checksum: int
    corner: tuple[int, int] | None = None
    first_us: int | None = None


class Writer(Protocol):
    """Writes recordings into a shard."""

    def write(self, row: int, events: Events | Records, path: Path) -> Kept:
        """Write one recording as row ``row``, over what an earlier one left there.

        Raises:
            BadFileError: it cannot be framed; ``path`` names it.
        """
        ...

    @property
    def size(self) -> int:
        """Bytes of what was written, compressed."""
        ...

    def finish(self, rows: int) -> None:
        """Keep the first ``rows`` recordings alone."""
        ...


@dataclass(frozen=True)
class _Frames:
    """Frames, one row of a dataset a recording."""

    dataset: Any
    options: FrameOptions

    def write(self, row: int, events: Events | Records, path: Path) -> Kept:
        tensor = frame_recording(events, path, self.options)
        fmt.write_frames(self.dataset, row, tensor)
        return Kept(fmt.checksum(tensor))

    @property
    def size(self) -> int:
        return int(self.dataset.id.get_storage_size())

    def finish(self, rows: int) -> None:
        if rows < self.dataset.shape[0]:
            self.dataset.resize(rows, axis=0)


@dataclass(frozen=True)
class _Events:
    """Events in chunks; what framing would refuse is refused here too."""

    chunks: ShardWriter
    options: FrameOptions

    def write(self, row: int, events: Events | Records, path: Path) -> Kept:
        frame_recording(events, path, self.options)
        whole = events.events() if isinstance(events, Records) else events
        first = int(whole.t[0])
        held = whole._replace(t=whole.t - first)
        self.chunks.write(row, held)
        corner = int(held.y.min()), int(held.x.min())
        return Kept(events_checksum(held), corner, first)

    @property
    def size(self) -> int:
        return self.chunks.size

    def finish(self, rows: int) -> None:
        self.chunks.finish(rows)


def writer_of(kind: Kind, file: h5py.File, count: int, options: FrameOptions) -> Writer:
    """Return the writer of a shard of up to ``count`` recordings."""
    if kind == "events":
        return _Events(ShardWriter(file), options)
    return _Frames(fmt.create_frames(file, count, options.frame_shape), options)


def columns_of(kind: Kind, kept: list[Kept]) -> dict[str, Any]:
    """Return the columns of ``Rows`` that only an event cache has."""
    if kind == "frames":
        return {}
    corners = np.array([each.corner for each in kept], np.int32).reshape(-1, 2)
    return {"corner": corners, "first_us": np.array([each.first_us for each in kept], np.int64)}
