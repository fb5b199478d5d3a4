"""One shard: up to 512 recordings read, framed, compressed and put in place at once.

A shard is the unit of work and of resuming. It depends on its task alone, so the same task
gives the same bytes in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import BadFileError, SnntxError
from . import cache_format as fmt
from .events import Events
from .framing import frames_from_events
from .manifest import digest
from .options import FrameOptions
from .readers import checked, decoder, read_file


@dataclass(frozen=True)
class ShardTask:
    """What one shard holds.

    Attributes:
        path: where the finished shard goes.
        files: raw files, in order of identity.
        identities: identity of each recording.
        labels: class index of each recording.
        format: event format of the files.
        sort: sort a recording whose times go back.
        options: framing options.
    """

    path: Path
    files: tuple[Path, ...]
    identities: tuple[str, ...]
    labels: tuple[int, ...]
    format: str
    sort: bool
    options: FrameOptions


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
    decode = decoder(task.format)
    events_count, durations, extents, sums, digests = [], [], [], [], []
    with fmt.creating(task.path) as file:
        frames = fmt.create_frames(file, len(task.files), task.options.frame_shape)
        for row, path in enumerate(task.files):
            data = read_file(path)
            events = checked(decode(data, path), path, sort=task.sort)
            tensor = frame_recording(events, path, task.options)
            frames[row] = tensor
            digests.append(digest(data))
            events_count.append(events.size)
            durations.append(events.duration_us)
            extents.append((int(np.ptp(events.y)) + 1, int(np.ptp(events.x)) + 1))
            sums.append(fmt.checksum(tensor))
            done(row + 1)
        rows = fmt.Rows(
            identity=task.identities,
            label=np.array(task.labels, np.int64),
            events=np.array(events_count, np.int64),
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
        digests: digest of each raw file, None where it may have changed since it was read.
    """
    if not task.path.is_file():
        return None
    try:
        with h5py.File(task.path, "r") as file:
            rows = fmt.Rows.read(file)
    except (OSError, KeyError, ValueError, RuntimeError):  # whatever HDF5 says of a damaged file
        return None
    whole = list(rows.identity) == list(task.identities) and list(rows.digest) == list(digests)
    return rows if whole else None
