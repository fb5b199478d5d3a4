"""Arrays of recordings (``.npy``) of DVS128 Gait: one file of many, and no unpickling.

An array ``(n, 4)`` of numbers for each recording, its columns t (microseconds), x, y and p. Where
the lengths differ, numpy pickles them: they are found in the file without running anything of it
(:mod:`snntx.preprocess.readers.arrays.unpickled`) and read one at a time. Where all are equal,
the file is one plain array ``(recordings, n, 4)``.

A recording's part is ``(index, count)``: its place from 0, and how many the labels beside the
file say that there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ....errors import BadFileError, UsageError
from ...framing.events import Events
from ..arrays.numbers import Numbers
from ..arrays.stored import arrays_of
from ..base import READERS, Reader
from ..chosen import TIMERS, times
from ..columns import coordinates, polarities


def _events(numbers: Numbers, file: BinaryIO, where: str, drops: bool) -> Events:
    """Return one recording's events.

    Raises:
        BadFileError: its array is none of events.
    """
    shape = numbers.shape
    if len(shape) != 2 or shape[1] != 4 or numbers.dtype.kind not in "iuf":
        advice = "; transpose it" if len(shape) == 2 and shape[0] == 4 else ""
        raise BadFileError(
            f"{where} is an array {shape} of {numbers.dtype}, expected (n, 4) of numbers, its "
            f"columns t, x, y, p{advice}"
        )
    if shape == (4, 4):
        raise BadFileError(
            f"{where} is 4 x 4: nobody can say whether an event is a row of it or a column; "
            "leave the recording out"
        )
    t, x, y, p = numbers.read(file, where).T
    return Events(
        coordinates(x, "x", where, drops=drops),
        coordinates(y, "y", where, drops=drops),
        times(t, "t", "us", where),
        polarities(p, "p", where),
    )


@READERS.register("gait")
class Gait(Reader):
    """Reads arrays of recordings: those of the wanted places, or the only one."""

    record_bytes = 4
    """An event has four numbers of a byte at least."""
    timers = TIMERS
    numbered = True

    def recordings(
        self, path: Path, parts: Sequence[tuple[int, ...]]
    ) -> Iterator[Events | BadFileError]:
        """Yield the recordings at some places, in order; ``()`` is the only one of a file."""
        try:
            with path.open("rb") as file:
                held = arrays_of(file, path)
                for part in parts:
                    at, count = part or (0, 1)
                    if count != len(held):
                        raise BadFileError(
                            f"{path}: {len(held)} recordings, but "
                            + (f"{count} labels" if part else "one was expected")
                            + "; the files do not belong together, or one is cut off"
                        )
                    where = f"{path}: recording {at}" if part else str(path)
                    try:
                        yield _events(held[at], file, where, self.drops)
                    except BadFileError as error:
                        yield error
        except OSError as error:
            raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error

    def read(self, path: Path) -> Events:
        """Return the only recording of a file.

        Raises:
            UsageError: it holds many.
            BadFileError: it is unreadable or damaged.
        """
        try:
            with path.open("rb") as file:
                held = arrays_of(file, path)
                if len(held) == 1:
                    return _events(held[0], file, str(path), self.drops)
        except OSError as error:
            raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
        raise UsageError(
            f"{path}: holds {len(held)} recordings, expected one; save the one that is wanted to a "
            "file of its own: numpy.save(path, array) with an array (n, 4)"
        )
