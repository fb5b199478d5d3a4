"""What an archive holds, member by member, whatever a hostile one claims.

In: a ``.zip`` or a ``.tar``, plain or compressed. Out: its members with names that are text,
separated by ``/``, and sizes in bytes. The archive's own tables are read in pieces of bounded
size, so that a header of gigabytes costs neither memory nor time.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ...errors import BadFileError

MAX_HEADER_BYTES = 8 << 20
"""Most bytes of a tar between two files: names, attributes, maps of holes."""
MAX_TABLE_BYTES = 256 << 20
"""Most bytes of a zip's table, some two million entries."""
_MAGIC: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)
"""Whatever the standard library says of a damaged archive."""


@dataclass(frozen=True)
class Member:
    """One entry: its name, its size in bytes (None for a folder) and how to open it."""

    name: str
    size: int | None
    open: Callable[[], IO[bytes]]


class _Bounded(io.RawIOBase):
    """A file that is read in pieces of bounded size, so that no claim of a size costs memory.

    Args:
        file: open for reading.
        most: most bytes of one read.
    """

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most
        self.left = most
        """Bytes that may still be read before :meth:`refill`."""

    def refill(self) -> None:
        """Allow the same again: one member is done."""
        self.left = self._most

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes within the bounds; -1 means all that are left."""
        if not -1 <= size <= self._most:
            raise ValueError(f"a header claims {size:,} bytes, expected at most {self._most:,}")
        data = self._file.read(self._most + 1 if size == -1 else size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"a header is larger than {self._most:,} bytes")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move; a compressed file is read on to the place, a piece at a time."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True


@contextlib.contextmanager
def opened(archive: Path) -> Iterator[Callable[[], Iterator[Member]]]:
    """Yield a function that lists the members of an archive, in any number of passes.

    Raises:
        BadFileError: it holds what is no file or folder, or is encrypted.
        Exception: one of :data:`DAMAGE`.
    """
    with archive.open("rb") as plain:
        if archive.name.lower().endswith(".zip"):
            table = _Bounded(plain, MAX_TABLE_BYTES)
            with zipfile.ZipFile(cast("IO[bytes]", table)) as file:
                yield lambda: _zip_members(file, table, archive)
        else:
            yield lambda: _tar_members(plain, archive)


def _zip_members(file: zipfile.ZipFile, table: _Bounded, archive: Path) -> Iterator[Member]:
    for info in file.infolist():
        table.refill()
        name = info.filename.replace("\\", "/")  # written on Windows
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _link(archive, name)
        if info.flag_bits & 1:
            raise BadFileError(f"{archive}: is encrypted; unpack it by hand")

        def read(info: zipfile.ZipInfo = info) -> IO[bytes]:
            return cast("IO[bytes]", _Refilling(file.open(info), table))

        yield Member(name, None if name.endswith("/") else info.file_size, read)


def _tar_members(plain: IO[bytes], archive: Path) -> Iterator[Member]:
    plain.seek(0)
    start = plain.read(6)
    plain.seek(0)
    source = next((o(plain) for magic, o in _MAGIC.items() if start.startswith(magic)), plain)
    bounded = _Bounded(cast("IO[bytes]", source), MAX_HEADER_BYTES)
    with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r:") as file:
        while True:
            bounded.refill()
            info = file.next()
            if info is None:
                return
            file.members.clear()  # type: ignore[attr-defined]  # which it would keep for ever
            name = _text(info.name).replace("\\", "/")
            if not (info.isreg() or info.isdir()):
                raise _link(archive, name)

            def read(info: tarfile.TarInfo = info) -> IO[bytes]:
                member = file.extractfile(info)
                assert member is not None  # a regular file, as checked above
                return cast("IO[bytes]", _Refilling(member, bounded))

            yield Member(name, None if info.isdir() else info.size, read)


class _Refilling(io.RawIOBase):
    """A member's content: its reads are no header's."""

    def __init__(self, file: IO[bytes], bounded: _Bounded) -> None:
        self._file, self._bounded = file, bounded

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        self._bounded.refill()
        return self._file.read(size)

    def close(self) -> None:
        """Close the member."""
        self._file.close()
        super().close()


def _text(name: str) -> str:
    """Return a name whose bytes are no UTF-8 in the other encoding that tars are written in."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name


def _link(archive: Path, name: str) -> BadFileError:
    return BadFileError(f"{archive}: holds {name[:120]!r}, a link or device; not unpacked")
