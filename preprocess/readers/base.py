"""What a reader of a raw format is, and the door it comes in by.

A new format is one module of ``formats`` with one class, or a class of another package: an entry
point of the group ``snntx.readers``, or ``package.module:Name`` as a card's format. It derives
from :class:`Reader` and gives columns in file order, or raises a
:class:`~snntx.errors.BadFileError` that names the file, the place and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ...data_cards.tables import Columns
from ...declared.doors import Door
from ...errors import BadFileError, UsageError, nearest
from ..disk.files import read_file

if TYPE_CHECKING:
    from ..framing.events import Events
    from ..framing.records import Records


class Usable(NamedTuple):
    """What a card says of its raw files; what may be mended in them is off by default.

    Attributes:
        format: of the files.
        sort: sort a recording whose times go back.
        wraps: undo the turns of the format's timer.
        outside: ``drop`` leaves out events outside the sensor, ``stop`` refuses the recording.
    """

    format: str
    sort: bool = False
    wraps: bool = False
    outside: str = "stop"

    @property
    def drops(self) -> bool:
        """Whether events outside the sensor are left out."""
        return self.outside == "drop"


class Reader:
    """One raw format.

    A subclass has ``record_bytes`` and either :meth:`decode`, for files of one recording, or
    :meth:`recordings`, for files of many (with :meth:`read` where a whole file makes sense).

    Attributes:
        record_bytes: the fewest bytes that an event takes in a file; at least 1.
        slices: a file's parts may be the rows of a table beside it (``[events.slices]`` of a
            card): ``(start, end, row)``, times in microseconds and the row's number.
        timers: ranges in microseconds of the timers that such files' times come from, where they
            are so short that they start over; a card may then have that undone.
        version: what decodes, where that may change: it is part of a cache's key.
        drops: whether events outside the sensor are to be left out. A reader then has
            :data:`~snntx.preprocess.framing.events.NOWHERE` for a coordinate that it would refuse,
            and leaves the event where it is; it is counted and left out later.
        data_set: which one the files are of, where a format has many; empty where nobody said.
        takes_columns: a card may say which columns of a file are which (``[events.columns]``).
        columns: what it says.
        numbered: a file holds recordings without names, and a file beside it their classes
            (``[events.numbered]`` of a card): parts are ``(index, count)``.
    """

    record_bytes: ClassVar[int]
    slices: ClassVar[bool] = False
    timers: ClassVar[tuple[int, ...]] = ()
    version: ClassVar[str] = ""
    drops: bool = False
    data_set: str = ""
    takes_columns: ClassVar[bool] = False
    columns: Columns = Columns()
    numbered: ClassVar[bool] = False

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file of one recording; ``path`` names it in errors.

        Raises:
            BadFileError: the bytes are none of this format, or damaged.
            UsageError: a file of this format is not read on its own.
        """
        raise UsageError(
            f"{path}: such files are read as a whole data set by preprocess; a single one cannot "
            "be read on its own"
        )

    def plain_records(self, data: bytes) -> Records | None:
        """Return a file's records where they can be framed undecoded, None to have it decoded."""
        return None

    def recordings(
        self, path: Path, parts: Sequence[tuple[int, ...]]
    ) -> Iterable[Events | BadFileError]:
        """Stream the wanted parts of a file of many recordings, in order.

        An error may be yielded in place of a part, where those that follow are still good.

        Raises:
            BadFileError: the file is unreadable or damaged.
            UsageError: a file of this format holds one recording.
        """
        raise UsageError(f"{path}: a file of this format holds one recording, no parts")

    def read(self, path: Path) -> Events:
        """Return all events of a file, in file order.

        Raises:
            BadFileError: the file is unreadable, empty or damaged.
            UsageError: a file of this format is not read on its own.
        """
        return self.decode(read_file(path), path)

    def class_number(self, path: Path) -> int:
        """Return the class that a file says its recording is of, as a number from 0.

        Raises:
            BadFileError: the file is unreadable, or its class is.
            UsageError: a file of this format does not tell its class.
        """
        raise UsageError(f"{path}: a file of this format does not tell its class")

    @property
    def tells_class(self) -> bool:
        """Whether a file of this format says of which class its recording is."""
        return type(self).class_number is not Reader.class_number

    @property
    def holds_many(self) -> bool:
        """Whether a file of this format holds many recordings."""
        return type(self).recordings is not Reader.recordings


def _problem(part: Any) -> str | None:
    """Return why an object is no reader, None where it is one."""
    if not (isinstance(part, type) and issubclass(part, Reader)):
        return "is no subclass of snntx.preprocess.readers.base.Reader"
    size = getattr(part, "record_bytes", None)
    if not isinstance(size, int) or size < 1:
        return f"record_bytes is {size!r}, expected a whole number of at least 1"
    if part.decode is Reader.decode and part.recordings is Reader.recordings:
        return "has neither decode nor recordings, expected one of them"
    return None


class _ReaderDoor(Door[type[Reader]]):
    """The door of readers, which takes no format for another one of nearly the same name."""

    def unknown(self, name: str, where: str = "") -> UsageError:
        """Return the error for a name that is not known: what is, and how to add one."""
        known = self.names()
        alike = [each for each in known if _numbers(each) == _numbers(name)]
        hint = nearest(name, alike, cutoff=0.75)
        return UsageError(
            f"{where}unknown event format '{name}'{hint} (known: {', '.join(known)}; your own: "
            "package.module:Name, see docs/extending.md)"
        )


def _numbers(name: str) -> list[str]:
    """Return the numbers in a format's name: AEDAT 2, 3 and 4 have little in common."""
    return re.findall(r"\d+", name)


_FORMATS = "snntx.preprocess.readers.formats"
READERS = _ReaderDoor(
    "event format", "snntx.readers", shipped=(_FORMATS, f"{_FORMATS}.plain"), fits=_problem
)


def reader_of(format: str, *, drops: bool = False) -> Reader:
    """Return the reader of a format; ``drops`` as in :class:`Reader`.

    ``tonic:NAME`` reads single files of tonic's data set of that name, and what follows a ``?``
    is the card's ``[events.columns]`` as :attr:`~snntx.data_cards.tables.Columns.text` has it.

    Raises:
        UsageError: there is none of that name, or it cannot be imported.
    """
    format, _, columns = format.partition("?")
    name, _, data_set = format.partition(":")
    reader = READERS.get(name if name == "tonic" else format)()
    reader.drops = drops
    if columns:
        reader.columns = Columns.of(columns)
    if name == "tonic":
        reader.data_set = data_set
    return reader


def place_of(format: str) -> str:
    """Return a format's name that other processes understand too.

    What is registered in this process alone becomes ``package.module:Name``.
    """
    name, mark, columns = format.partition("?")
    if name in READERS.shipped() or ":" in name:
        return format
    part = READERS.get(name)
    return f"{part.__module__}:{part.__qualname__}{mark}{columns}"


def version_of(format: str) -> str:
    """Return what decodes a format, for the key of a cache; empty for a shipped one."""
    return "" if format in READERS.shipped() else READERS.get(format).version
