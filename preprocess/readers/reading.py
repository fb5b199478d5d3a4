"""Raw event files by the name of their format: one recording, or the parts of a file of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BadFileError
from ..disk.digests import digest, digest_file
from ..disk.files import read_file
from ..framing.events import Events
from .base import reader_of

if TYPE_CHECKING:
    from ..framing.records import Records


def checked(events: Events, path: Path | str, *, sort: bool = False) -> Events:
    """Return events whose times never go back, or say where they do.

    Args:
        events: columns as decoded.
        path: names the file in errors.
        sort: sort by time instead (stable: ties keep their file order).

    Raises:
        BadFileError: no event at all, or a timestamp smaller than the one before it.
    """
    if events.size == 0:
        raise BadFileError(f"{path}: no events; a recording needs at least one")
    backwards = np.flatnonzero(events.t[1:] < events.t[:-1])
    if backwards.size == 0:
        return events
    if not sort:
        at = int(backwards[0]) + 1
        raise BadFileError(
            f"{path}: time goes back at event {at}, from {events.t[at - 1]} to {events.t[at]} us "
            f"({backwards.size} such places); set sort = true in the card to sort by time"
        )
    order = np.argsort(events.t, kind="stable")
    return events.take(order)


def read_recordings(
    path: Path, format: str, parts: Sequence[tuple[int, ...]]
) -> tuple[str, Iterable[Events | Records | BadFileError]]:
    """Return a raw file's digest and the recordings that lie in its ``parts``, in order.

    A file of one recording is read once for both; a file of many is streamed. An ATIS file of
    nothing but events comes as :class:`~snntx.preprocess.framing.records.Records`, to be framed
    undecoded.

    Raises:
        BadFileError: the file is unreadable or damaged.
    """
    reader = reader_of(format)
    if reader.holds_many:
        return digest_file(path), reader.recordings(path, parts)
    data = read_file(path)
    records = reader.plain_records(data)
    return digest(data), [reader.decode(data, path) if records is None else records]


def read_events(path: Path | str, format: str, *, sort: bool = False) -> Events:
    """Read one recording.

    Args:
        path: the raw file.
        format: a name that :data:`~snntx.preprocess.readers.base.READERS` knows, such as
            ``atis``, or ``package.module:Name``.
        sort: sort events by time where the file's times go back, instead of an error.

    Raises:
        UsageError: the format is unknown, or its files are not read one by one.
        BadFileError: the file is unreadable, damaged, empty, or its times go back.
    """
    return checked(reader_of(format).read(Path(path)), path, sort=sort)
