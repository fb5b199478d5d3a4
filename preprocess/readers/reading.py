"""Raw event files by the name of their format: one recording, or the parts of a file of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import BadFileError
from ..disk.digests import digest, digest_file
from ..disk.files import read_file
from ..framing.events import Events
from ..framing.options import FrameOptions
from ..framing.records import Records
from .base import Usable, reader_of
from .order import checked
from .outside import within
from .versions import told_apart

__all__ = ["Usable", "checked", "read_events", "read_recordings", "usable"]


def usable(
    events: Events | Records,
    path: Path | str,
    spec: Usable,
    options: FrameOptions,
) -> Events | Records:
    """Return a recording that may be framed: in order of time and inside the sensor.

    Args:
        events: as :func:`read_recordings` gives them.
        path: names the file in errors.
        spec: format and what may be mended.
        options: where the sensor is.

    Raises:
        BadFileError: no event at all, none inside the sensor, or times that go back.
    """
    if isinstance(events, Events):
        timers = reader_of(spec.format).timers
        with _telling(path, spec.format):
            events = checked(events, path, sort=spec.sort, wraps=spec.wraps, timers=timers)
    held = within(events, options, drop=spec.drops)
    if held.size == 0:
        raise BadFileError(
            f"{path}: no event inside the sensor; is sensor = [height, width] of the card right?"
        )
    return held


def read_recordings(
    path: Path, format: str, parts: Sequence[tuple[int, ...]], *, drops: bool = False
) -> tuple[str, Iterable[Events | Records | BadFileError]]:
    """Return a raw file's digest and the recordings that lie in its ``parts``, in order.

    A file of one recording is read once for both; a file of many is streamed. An ATIS file of
    nothing but events comes as :class:`~snntx.preprocess.framing.records.Records`, to be framed
    undecoded.

    Args:
        path: the raw file.
        format: as in :func:`read_events`.
        parts: as the reader understands them; ``()`` is the whole file.
        drops: events outside the sensor will be left out by :func:`usable`.

    Raises:
        BadFileError: the file is unreadable or damaged.
    """
    reader = reader_of(format, drops=drops)
    if reader.holds_many:
        return digest_file(path), _each_told(reader.recordings(path, parts), path, format)
    data = read_file(path)
    with _telling(path, format):
        records = reader.plain_records(data)
        return digest(data), [reader.decode(data, path) if records is None else records]


def read_events(
    path: Path | str,
    format: str,
    *,
    sort: bool = False,
    wraps: bool = False,
    drops: bool = False,
) -> Events:
    """Read one recording.

    Args:
        path: the raw file.
        format: a name that :data:`~snntx.preprocess.readers.base.READERS` knows, such as
            ``atis``, or ``package.module:Name``.
        sort: sort events by time where the file's times go back, instead of an error.
        wraps: go on where the format's timer starts over, instead of an error.
        drops: give -1 for a coordinate that no sensor has, such as 3.5, instead of an error; to be
            left out by whoever knows the sensor.

    Raises:
        UsageError: the format is unknown, or its files are not read one by one.
        BadFileError: the file is unreadable, damaged, empty, or its times go back.
    """
    reader = reader_of(format, drops=drops)
    with _telling(path, format):
        return checked(reader.read(Path(path)), path, sort=sort, wraps=wraps, timers=reader.timers)


@contextmanager
def _telling(path: Path | str, format: str) -> Iterator[None]:
    """Say of a file that is of another kind which one that is, instead of to get it again."""
    try:
        yield
    except BadFileError as error:
        better = told_apart(error, path, format)
        if better is error:  # an error that is its own cause has no end
            raise
        raise better from error


def _each_told(
    recordings: Iterable[Events | Records | BadFileError], path: Path, format: str
) -> Iterator[Events | Records | BadFileError]:
    with _telling(path, format):
        yield from recordings
