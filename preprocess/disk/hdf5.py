"""HDF5 files that come whole or not at all, and the columns inside them.

A file is written beside its final name, synced and renamed. It goes to the disk as it is
composed, so that its size is not bound by memory.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from ..cache.meanings import explain
from ..cache.splits import PARTS

PART_SUFFIX = ".part"
_PART = h5py.enum_dtype({name: value for value, name in enumerate(PARTS)}, basetype="u1")


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
def placing(path: Path) -> Iterator[IO[bytes]]:
    """Yield an unbuffered file that is synced and renamed to ``path`` at the end.

    Its own name is unique: a builder that lost its parent may still be writing the same file.

    Raises:
        OSError: the disk is full or fails; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART_SUFFIX}")
    try:
        with temporary.open("w+b", buffering=0) as file:
            yield file
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def creating(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that comes to ``path`` whole or not at all.

    Raises:
        OSError: the disk is full or fails.
    """
    with placing(path) as plain:
        careful = _Careful(plain)
        try:
            with h5py.File(careful, "w") as file:
                yield file
                explain(file)
        finally:
            if careful.error is not None:
                raise careful.error


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write and sync a file beside its final name, then rename it."""
    with placing(path) as file:
        view = memoryview(content)
        while len(view):
            view = view[file.write(view) :]


def write_column(group: h5py.Group, name: str, values: Any, kind: str) -> None:
    """Write one column; ``kind`` is a NumPy dtype string, ``text`` or ``part``."""
    if kind == "text":
        encoded = [str(value).encode() for value in values]
        width = max([1, *map(len, encoded)])
        dtype = h5py.string_dtype("utf-8", width)
        group.create_dataset(name, data=np.array(encoded, dtype), dtype=dtype)
    elif kind == "part":
        group.create_dataset(name, data=np.asarray(values, np.uint8), dtype=_PART)
    else:
        group.create_dataset(name, data=np.asarray(values, np.dtype(kind)))


def read_text(group: h5py.Group, name: str) -> list[str]:
    """Read a text column."""
    return [value.decode() for value in group[name][()]]
