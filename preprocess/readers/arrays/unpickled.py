"""The elements of an array of objects in a pickle, without unpickling.

In: an open file at the start of a pickle as ``numpy.save`` writes it for an array of objects.
Out: the elements, in order: where each array's numbers lie in the file, or whole numbers. The
codes of a pickle are told apart by :mod:`pickletools` of the standard library, and understood by
:mod:`.machine`. A length is believed only where so many bytes are there.
"""

from __future__ import annotations

import os
import pickletools
from pathlib import Path
from typing import BinaryIO

from ....errors import plain
from .machine import LONGEST, Machine, refuse
from .numbers import AGAIN, MOST_BYTES, Numbers


def objects(file: BinaryIO, path: Path | str) -> tuple[tuple[int, ...], list[Numbers | int]]:
    """Return shape and elements of the array of objects that a pickle holds.

    Args:
        file: at the start of the pickle; it ends with it.
        path: names it in errors.

    Raises:
        BadFileError: it holds anything else, is cut off, or names what is no constructor of
            numpy's arrays.
    """
    size = os.fstat(file.fileno()).st_size
    machine = Machine(path)
    try:
        for code, argument, at in pickletools.genops(_Bounded(file, size, path)):  # type: ignore[arg-type]
            machine.step(code.name, argument, at or 0, file.tell())
    except (ValueError, IndexError, UnicodeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:80]
        refuse(path, file.tell(), f"{plain(reason)}: damaged; {AGAIN}")
    return machine.result()


class _Bounded:
    """A file that :mod:`pickletools` may read: what a pickle claims is there, or refused."""

    def __init__(self, file: BinaryIO, size: int, path: Path | str) -> None:
        self._file, self._size, self._path = file, size, path
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        at = self._file.tell()
        if count > self._size - at:
            refuse(
                self._path, at, f"{count} bytes, but {self._size - at} are left: cut off; {AGAIN}"
            )
        if count > MOST_BYTES:
            refuse(self._path, at, f"{count} bytes in one piece, the limit is {MOST_BYTES}")
        return self._file.read(count)

    def readline(self) -> bytes:
        at = self._file.tell()
        line = self._file.readline(LONGEST + 1)
        if len(line) > LONGEST:
            refuse(self._path, at, f"a line of more than {LONGEST} bytes")
        return line
