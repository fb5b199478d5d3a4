"""Unpack a downloaded archive whole or not at all, after a look at everything it holds.

An archive is untrusted even where its checksum is known: names must stay below the folder,
links and devices are refused, and the sum of the sizes is limited, so that a small file
cannot fill a disk. Members are written to a hidden folder beside their place and renamed
only once the last one is there; archives inside an archive (the data sets' authors nest
them) are unpacked the same way, beside each other.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ...data_cards.vocabulary import is_archive
from ...errors import BadFileError, SnntxError

MAX_RATIO = 100
"""An archive may grow to this many times its size: event files shrink three- to tenfold."""
MIN_LIMIT = 64 << 20
"""But every archive may grow to this many bytes."""
MAX_MEMBERS = 5_000_000
PIECE = 1 << 20
_JUNK = ("__MACOSX",)
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class _Member:
    """One entry: its name, its size in bytes (None for a folder) and how to open it."""

    name: str
    size: int | None
    open: Callable[[], IO[bytes]]


@dataclass
class _Budget:
    """Bytes and members that may still come out of an archive."""

    bytes: int
    members: int = MAX_MEMBERS


def unpack(archive: Path, folder: Path, *, limit_bytes: int | None = None) -> list[str]:
    """Unpack an archive into ``folder``, and the archives inside it beside their content.

    Interrupted, it leaves nothing but a hidden folder that the next call removes or, where
    only renames were missing, finishes.

    Args:
        archive: a file that ``is_archive`` of :mod:`snntx.data_cards.vocabulary` takes.
        folder: where its top-level entries go.
        limit_bytes: most bytes it may hold; absent, :data:`MAX_RATIO` times its size.

    Returns:
        The names of the top-level entries, sorted.

    Raises:
        BadFileError: the archive is damaged, or holds what it must not.
        SnntxError: an entry is already in ``folder``, or the disk is too small.
    """
    ready = folder / f".{archive.name}.unpacked"
    listing = folder / f".{archive.name}.unpacked" / ".entries"
    if not listing.is_file():
        building = folder / f".{archive.name}.unpacking"
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(ready, ignore_errors=True)
        limit = limit_bytes or max(MIN_LIMIT, MAX_RATIO * archive.stat().st_size)
        try:
            building.mkdir(parents=True)
            _extract_all(archive, building, _Budget(limit))
            names = sorted(entry.name for entry in building.iterdir())
            (building / ".entries").write_text("\n".join(names), encoding="utf-8")
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        building.rename(ready)
    return _put_in_place(ready, listing, folder, archive)


def _put_in_place(ready: Path, listing: Path, folder: Path, archive: Path) -> list[str]:
    """Move the entries to their places; those an interrupted call has moved are there."""
    names = listing.read_text(encoding="utf-8").splitlines()
    left = [name for name in names if os.path.lexists(ready / name)]
    taken = [name for name in left if os.path.lexists(folder / name)]
    if taken:
        raise SnntxError(
            f"{archive}: {folder / taken[0]} is already there; move it away and run the same "
            "command again"
        )
    for name in left:
        (ready / name).rename(folder / name)
    shutil.rmtree(ready)
    return names


def _extract_all(archive: Path, folder: Path, budget: _Budget) -> None:
    """Extract an archive and, one level down, the archives in it."""
    _extract(archive, folder, budget)
    inner = [path for path in folder.rglob("*") if is_archive(path.name) and path.is_file()]
    for path in sorted(inner):
        _extract(path, path.parent, budget)
        path.unlink()


def _extract(archive: Path, folder: Path, budget: _Budget) -> None:
    """Check every member of an archive, then write them all below ``folder``."""
    try:
        with _opened(archive) as members:
            needed = _check(members(), archive, folder, budget)
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise SnntxError(
                    f"{folder}: {free / 1e6:.0f} MB free, but {archive.name} unpacks to "
                    f"{needed / 1e6:.0f} MB; free space or choose another --to"
                )
            for member in members():
                target = _target(folder, member.name, archive)
                if target is None:
                    continue
                if member.size is None:
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _write(member, target, archive)
    except (*_DAMAGE, FileExistsError, NotADirectoryError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise BadFileError(f"{archive}: is not a whole archive: {cause}") from error


def _check(members: Iterator[_Member], archive: Path, folder: Path, budget: _Budget) -> int:
    """Look at every member before any is written; returns the bytes they take."""
    needed = 0
    for member in members:
        _target(folder, member.name, archive)
        budget.members -= 1
        needed += member.size or 0
        if needed > budget.bytes or budget.members < 0:
            raise BadFileError(
                f"{archive}: unpacks to more than {budget.bytes:,} bytes or too many files; it "
                "is no data set, or damaged"
            )
    budget.bytes -= needed
    return needed


def _write(member: _Member, target: Path, archive: Path) -> None:
    written = 0
    with member.open() as source, target.open("xb") as file:
        while piece := source.read(PIECE):
            written += len(piece)
            if written > (member.size or 0):
                raise BadFileError(f"{archive}: {member.name} is larger than the archive says")
            file.write(piece)
    if written != member.size:
        raise BadFileError(f"{archive}: {member.name} is cut off; download the archive again")


def _target(folder: Path, name: str, archive: Path) -> Path | None:
    """Return where a member goes, None for what is not data.

    Raises:
        BadFileError: the name leads out of the folder.
    """
    parts = PurePosixPath(name).parts
    outside = name.startswith("/") or ".." in parts or "\0" in name
    if outside or "\\" in name or (parts and ":" in parts[0]):
        raise BadFileError(
            f"{archive}: holds {name[:120]!r}, which leads out of the folder; not unpacked"
        )
    if not parts or parts[0] in _JUNK:
        return None
    return folder.joinpath(*parts)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Callable[[], Iterator[_Member]]]:
    """Yield a function that lists the members of an archive, in any number of passes."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            yield lambda: _zip_members(opened, archive)
    else:
        yield lambda: _tar_members(archive)


def _zip_members(opened: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _link(archive, info.filename)
        if info.flag_bits & 1:
            raise BadFileError(f"{archive}: is encrypted; unpack it by hand")

        def read(info: zipfile.ZipInfo = info) -> IO[bytes]:
            return opened.open(info)

        yield _Member(info.filename, None if info.is_dir() else info.file_size, read)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as opened:
        for info in opened:
            if not (info.isreg() or info.isdir()):
                raise _link(archive, info.name)

            def read(info: tarfile.TarInfo = info) -> IO[bytes]:
                source = opened.extractfile(info)
                assert source is not None  # a regular file, as checked above
                return source

            yield _Member(info.name, None if info.isdir() else info.size, read)


def _link(archive: Path, name: str) -> BadFileError:
    return BadFileError(f"{archive}: holds {name[:120]!r}, a link or device; not unpacked")
