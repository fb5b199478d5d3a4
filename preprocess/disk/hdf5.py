"""HDF5 files that come whole or not at all, and the columns inside them.

A file is written beside its final name, synced and renamed. It goes to the disk as it is
composed, so that its size is not bound by memory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from . import atomic
from .interrupts import held_back


class _Careful(io.RawIOBase):
    """A file whose failing writes HDF5 does not notice; ``error`` keeps the first one.

    HDF5 crashes the process when a full disk keeps it from closing a file, so it must
    believe that it wrote.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer)).ljust(len(buffer), b"\0")
        buffer[:] = data
        return len(data)

    def write(self, data: Any) -> int:
        view = memoryview(data)
        written = 0
        try:
            while self.error is None and written < len(view):
                written += self._file.write(view[written:])
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size) if self.error is None else size or 0
        except OSError as error:
            self.error = error
            return size or 0

    def flush(self) -> None:
        """Leave flushing to the sync before the rename."""


@contextmanager
def creating(path: Path, finish: Callable[[h5py.File], None]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that comes to ``path`` whole or not at all.

    Ctrl-C and SIGTERM are held back meanwhile; see :mod:`.interrupts`.

    Args:
        path: its final name.
        finish: called with the file once everything is in it, such as to explain it.

    Raises:
        OSError: the disk is full or fails.
    """
    with held_back(), atomic.placing(path) as plain:
        careful = _Careful(plain)
        try:
            with h5py.File(careful, "w") as file:
                yield file
                finish(file)
        finally:
            if careful.error is not None:
                raise careful.error


def write_column(group: h5py.Group, name: str, values: Any, kind: str | np.dtype[Any]) -> None:
    """Write one column; ``kind`` is a NumPy dtype, such as ``<i8``, or ``text``."""
    if kind == "text":
        encoded = [str(value).encode() for value in values]
        width = max([1, *map(len, encoded)])
        dtype = h5py.string_dtype("utf-8", width)
        group.create_dataset(name, data=np.array(encoded, dtype), dtype=dtype)
    else:
        dtype = np.dtype(kind)
        group.create_dataset(name, data=np.asarray(values, dtype), dtype=dtype)


def read_text(group: h5py.Group, name: str) -> list[str]:
    """Read a text column."""
    return [value.decode() for value in group[name][()]]
