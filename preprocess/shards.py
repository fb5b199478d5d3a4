"""One shard: up to 512 recordings read, framed, compressed and put in place at once.

A shard is the unit of work and of resuming. It depends on its task alone, so the same task
gives the same bytes in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import BadFileError, SnntxError
from . import cache_format as fmt
from .events import Events
from .framing import frames_from_events
from .options import FrameOptions
from .readers import checked, read_recordings


class Member(NamedTuple):
    """One recording of a raw file: identity, class index, and its part of the file."""

    identity: str
    label: int
    part: tuple[int, ...]


class RawFile(NamedTuple):
    """One raw file and its recordings, in order of identity."""

    path: Path
    members: tuple[Member, ...]


@dataclass(frozen=True)
class ShardTask:
    """What one shard holds.

    Attributes:
        path: where the finished shard goes.
        files: raw files with their recordings.
        format: event format of the files.
        sort: sort a recording whose times go back.
        options: framing options.
    """

    path: Path
    files: tuple[RawFile, ...]
    format: str
    sort: bool
    options: FrameOptions

    @property
    def identities(self) -> list[str]:
        """Identity of every recording."""
        return [member.identity for file in self.files for member in file.members]

    @property
    def recordings(self) -> int:
        """Number of recordings."""
        return sum(len(file.members) for file in self.files)


def frame_recording(events: Events, path: Path, options: FrameOptions) -> NDArray[np.float32]:
    """Frame one recording; errors name its file.

    Raises:
        BadFileError: an event lies outside the sensor, or times or polarities are wrong.
    """
    if options.limit is not None and events.size:
        rows, columns = int(events.y.max()) + 1, int(events.x.max()) + 1
        if rows > options.limit[0] or columns > options.limit[1]:
            raise BadFileError(
                f"{path}: events span {rows} rows and {columns} columns, but the sensor has "
                f"{options.limit[0]} rows and {options.limit[1]} columns; the file is damaged"
            )
    try:
        return frames_from_events(
            *events,
            steps=options.steps,
            size=options.size,
            sensor=options.sensor,
            tail=options.tail,
            zero_origin=options.zero_origin,
        )
    except SnntxError as error:
        raise BadFileError(f"{path}: {error}") from error


def build_shard(task: ShardTask, done: Callable[[int], None] = lambda n: None) -> fmt.Rows:
    """Write one shard and return its rows.

    Args:
        task: what it holds.
        done: called with the number of recordings finished.

    Raises:
        BadFileError: a recording cannot be used.
        OSError: the shard cannot be written.
    """
    identities: list[str] = []
    digests: list[str] = []
    labels, counts, durations, extents, sums = [], [], [], [], []
    with fmt.creating(task.path) as file:
        frames = fmt.create_frames(file, task.recordings, task.options.frame_shape)
        for raw in task.files:
            read, recordings = read_recordings(raw.path, task.format, [m.part for m in raw.members])
            for member, events in zip(raw.members, recordings, strict=True):
                events = checked(events, raw.path, sort=task.sort)
                tensor = frame_recording(events, raw.path, task.options)
                frames[len(identities)] = tensor
                identities.append(member.identity)
                labels.append(member.label)
                counts.append(events.size)
                durations.append(events.duration_us)
                extents.append((int(np.ptp(events.y)) + 1, int(np.ptp(events.x)) + 1))
                sums.append(fmt.checksum(tensor))
                digests.append(read)
                done(len(identities))
        rows = fmt.Rows(
            identity=identities,
            label=np.array(labels, np.int64),
            events=np.array(counts, np.int64),
            duration_us=np.array(durations, np.int64),
            extent=np.array(extents, np.int32),
            checksum=np.array(sums, np.uint64),
            digest=digests,
        )
        rows.write(file)
    return rows


def read_shard(task: ShardTask, digests: Sequence[str | None]) -> fmt.Rows | None:
    """Return the rows of a shard left by an interrupted build, or None to build it again.

    Args:
        task: what the shard should hold.
        digests: digest of each recording's file, None where it may have changed since.
    """
    if not task.path.is_file():
        return None
    try:
        with h5py.File(task.path, "r") as file:
            rows = fmt.Rows.read(file)
    except (OSError, KeyError, ValueError, RuntimeError):  # whatever HDF5 says of a damaged file
        return None
    whole = list(rows.identity) == task.identities and list(rows.digest) == list(digests)
    return rows if whole else None
