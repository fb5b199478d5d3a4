"""Raw event files by format name; a new format is one module here and one line in ``FORMATS``.

A reader module offers ``RECORD_BYTES``, the fewest bytes of an event, and either
``decode(data, path) -> Events`` for files of one recording (with
``plain_records(data) -> Records | None`` where they can be framed undecoded), or, for files
of many, ``recordings(path, parts) -> Iterator[Events]`` that streams the wanted parts in order
(with ``read(path) -> Events`` where a whole file makes sense). They give columns in file order,
or raise a :class:`~snntx.errors.BadFileError` that names the file, the place and what was
expected; ``recordings`` may yield it instead, where the parts that follow are still good.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BadFileError, UsageError, nearest
from ..disk.digests import digest, digest_file
from ..disk.files import read_file
from ..framing.events import Events

if TYPE_CHECKING:
    from ..framing.records import Records

FOLDER = f"{__package__}.formats"
FORMATS = {"aedat4": "aedat4", "atis": "atis", "mat": "mat", "tonic": "tonic"}
"""Format name → module of this package."""


def decoder(format: str) -> Callable[[bytes, Path | str], Events]:
    """Return the ``decode`` function of a format.

    Raises:
        UsageError: the format is unknown, or its files are not read one by one.
    """
    if format not in FORMATS:
        raise UsageError(
            f"unknown event format '{format}'{nearest(format, FORMATS)} "
            f"(known: {', '.join(sorted(FORMATS))})"
        )
    module = importlib.import_module(f"{FOLDER}.{FORMATS[format]}")
    if not hasattr(module, "decode"):
        raise UsageError(
            f"format '{format}' is read as a whole data set by preprocess; a single file of it "
            "cannot be read on its own"
        )
    decode: Callable[[bytes, Path | str], Events] = module.decode
    return decode


def record_bytes(format: str) -> int:
    """Return the fewest bytes that an event takes in a raw file of a format."""
    module = importlib.import_module(f"{FOLDER}.{FORMATS[format]}")
    return int(module.RECORD_BYTES)


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
    module = importlib.import_module(f"{FOLDER}.{FORMATS[format]}")
    if hasattr(module, "recordings"):
        return digest_file(path), module.recordings(path, parts)
    data = read_file(path)
    records = module.plain_records(data) if hasattr(module, "plain_records") else None
    return digest(data), [module.decode(data, path) if records is None else records]


def read_events(path: Path | str, format: str, *, sort: bool = False) -> Events:
    """Read one recording.

    Args:
        path: the raw file.
        format: a name in :data:`FORMATS`.
        sort: sort events by time where the file's times go back, instead of an error.

    Raises:
        UsageError: the format is unknown.
        BadFileError: the file is unreadable, damaged, empty, or its times go back.
    """
    if format in FORMATS:
        module = importlib.import_module(f"{FOLDER}.{FORMATS[format]}")
        if hasattr(module, "read"):
            return checked(module.read(Path(path)), path, sort=sort)
    decode = decoder(format)
    return checked(decode(read_file(path), path), path, sort=sort)
