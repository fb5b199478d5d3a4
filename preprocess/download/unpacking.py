"""Unpack a downloaded archive whole or not at all, after a look at everything it holds.

An archive is untrusted even where its checksum is known: names must stay below the folder,
links and devices are refused, and the sum of the sizes is limited, so that a small file
cannot fill a disk. Members are written to a hidden folder beside their place and renamed
only once the last one is there; archives inside an archive (the data sets' authors nest
them) are unpacked the same way, beside each other.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...data_cards.vocabulary import is_archive
from ...errors import BadFileError, SnntxError, plain
from ..disk.atomic import write_atomic
from .archives import DAMAGE, Member, opened

MAX_RATIO = 100
"""An archive may grow to this many times its size: event files shrink three- to tenfold."""
MIN_LIMIT = 64 << 20
"""But every archive may grow to this many bytes."""
MAX_MEMBERS = 5_000_000
PIECE = 1 << 20
EXAMPLES = 3
"""Names in a line on what stays packed."""
_JUNK = ("__MACOSX",)
_OTHERS = (".rar", ".7z", ".zipx", ".zst", ".lz", ".lz4", ".lzma", ".z", ".ace", ".cab")
"""Suffixes of archives that nothing here unpacks."""
_OWN = re.compile(r"\..+\.(done|lock|lock\.held|unpacked|unpacking)")
"""Names of this folder's own notes, which no archive may bring along."""
_LISTING, _CONTENT = "entries.json", "content"


@dataclass
class _Budget:
    """Bytes and members that may still come out of an archive."""

    bytes: int
    members: int


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
    listing = ready / _LISTING
    if not listing.is_file():
        building = folder / f".{archive.name}.unpacking"
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(ready, ignore_errors=True)
        limit = limit_bytes or max(MIN_LIMIT, MAX_RATIO * archive.stat().st_size)
        content = building / _CONTENT  # apart from the list of what is in it
        try:
            content.mkdir(parents=True)
            _extract_all(archive, content, _Budget(limit, MAX_MEMBERS))
            names = sorted(entry.name for entry in content.iterdir())
            write_atomic(building / _LISTING, json.dumps(names))
        except BadFileError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise BadFileError(
                f"{error}; nothing of it is unpacked: what you trust of it can be unpacked by hand "
                f"into {plain(folder)}, where snntx preprocess reads it"
            ) from error
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        building.rename(ready)
    return _put_in_place(ready, listing, folder, archive)


def still_packed(folder: Path, names: Iterable[str]) -> str:
    """Return what to do about archives that came out of one and stay as they are; empty for none.

    Those are of a kind that is not unpacked here, known by their suffix, or lie too deep.

    Args:
        folder: that was unpacked into.
        names: of the top-level entries that came out.
    """
    tops = (folder / name for name in names)
    files = (path for top in tops for path in (sorted(top.rglob("*")) if top.is_dir() else [top]))
    left = [
        path.relative_to(folder).as_posix()
        for path in files
        if (is_archive(path.name) or path.suffix.lower() in _OTHERS) and path.is_file()
    ]
    if not left:
        return ""
    counts = Counter(Path(name).suffix for name in left)
    kinds = ", ".join(f"{suffix} ({count})" for suffix, count in sorted(counts.items()))
    more = f" and {len(left) - EXAMPLES:,} more" if len(left) > EXAMPLES else ""
    return (
        f"{len(left):,} archives inside left packed, {kinds}, such as "
        f"{', '.join(left[:EXAMPLES])}{more}; unpack them by hand"
    )


def _put_in_place(ready: Path, listing: Path, folder: Path, archive: Path) -> list[str]:
    """Move the entries to their places; those an interrupted call has moved are there."""
    names: list[str] = json.loads(listing.read_text(encoding="utf-8"))
    content = ready / _CONTENT
    left = [name for name in names if os.path.lexists(content / name)]
    taken = [name for name in left if os.path.lexists(folder / name)]
    if taken:
        raise SnntxError(
            f"{archive}: {plain(folder / taken[0])} is already there; move it away and run the "
            "same command again"
        )
    for name in left:
        (content / name).rename(folder / name)
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
        with opened(archive) as members:
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
    except (*DAMAGE, FileExistsError, NotADirectoryError) as error:
        cause = plain(" ".join(str(error).split()) or type(error).__name__)
        raise BadFileError(f"{archive}: is not a whole archive: {cause}") from error


def _check(members: Iterator[Member], archive: Path, folder: Path, budget: _Budget) -> int:
    """Look at every member before any is written; returns the bytes they take."""
    needed = 0
    for member in members:
        _target(folder, member.name, archive)
        budget.members -= 1
        if (member.size or 0) < 0:
            raise BadFileError(
                f"{archive}: {member.name[:120]!r} has a size below 0; it is damaged"
            )
        needed += member.size or 0
        if needed > budget.bytes or budget.members < 0:
            raise BadFileError(
                f"{archive}: unpacks to more than {budget.bytes:,} bytes or too many files; it "
                "is no data set, or damaged"
            )
    budget.bytes -= needed
    return needed


def _write(member: Member, target: Path, archive: Path) -> None:
    written = 0
    with member.open() as source, target.open("xb") as file:
        while piece := source.read(PIECE):
            written += len(piece)
            if written > (member.size or 0):
                raise BadFileError(
                    f"{archive}: {member.name[:120]!r} is larger than the archive says"
                )
            file.write(piece)
    if written != member.size:
        raise BadFileError(f"{archive}: {member.name[:120]!r} is cut off")


def _target(folder: Path, name: str, archive: Path) -> Path | None:
    """Return where a member goes, None for what is not data.

    Raises:
        BadFileError: the name leads out of the folder, is none, or is one of the folder's notes.
    """
    parts = PurePosixPath(name).parts
    outside = name.startswith("/") or ".." in parts or "\0" in name
    if outside or (parts and ":" in parts[0]):
        raise BadFileError(f"{archive}: holds {name[:120]!r}, which leads out of the folder")
    if not parts:
        if not name:
            raise BadFileError(f"{archive}: holds an entry without a name; it is damaged")
        return None  # the folder itself
    if parts[0] in _JUNK:
        return None
    if _OWN.fullmatch(parts[0]):
        raise BadFileError(
            f"{archive}: holds {name[:120]!r}, a name that downloads keep their own notes under"
        )
    return folder.joinpath(*parts)
