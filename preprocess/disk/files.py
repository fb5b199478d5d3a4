"""A whole file in memory, or its state, or one clear line why not."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ...errors import BadFileError

HOLE_BYTES = 64
"""From so many on, a file of zeros alone is no file of anything, but a hole."""


def read_file(path: Path | str) -> bytes:
    """Return a file's bytes, or one clear line why it cannot be read.

    Raises:
        BadFileError: the file is missing, unreadable, empty, or a hole that a copy left.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise BadFileError(f"{path}: the file is empty (0 bytes); copy or download it again")
    if len(data) >= HOLE_BYTES and data[0] == 0 and data.count(0) == len(data):
        raise BadFileError(
            f"{path}: all {len(data):,} bytes are 0, as a copy that was broken off leaves them; "
            "copy or download it again"
        )
    return data


def first_file(paths: Iterable[Path]) -> Path | None:
    """Return the first of some files that is there, or else one of their names in other spelling.

    Systems differ in capitals, and in how they compose letters with accents.
    """
    wanted = list(paths)
    held: dict[Path, dict[str, Path]] = {}
    for path in wanted:
        if path.is_file():
            return path
    for path in wanted:
        if path.parent not in held:
            held[path.parent] = _by_folded_name(path.parent)
        found = held[path.parent].get(folded(path.name))
        if found is not None:
            return found
    return None


def _by_folded_name(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by their folded names; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = sorted((e.name for e in entries if e.is_file()), reverse=True)
    except OSError:
        return {}
    return {folded(name): folder / name for name in names}


def folded(name: str) -> str:
    """Return a name without capitals and with its letters composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


TEXT_BYTES = 256
"""So many bytes of nothing but text are no recording's of a binary format."""
_TEXT = bytes(range(32, 127)) + b"\t\n\r"
_STARTS = (b"<!doctype", b"<html", b"<?xml", b"version https://git-lfs")


def is_text(data: bytes) -> bool:
    """Whether bytes that should be binary are text, such as a page of the web or a pointer.

    Bytes above 127 count as text where a page has begun, since pages come in any language.
    """
    start = _begun(data)
    if start.lower().startswith(_STARTS):
        return True
    return len(data) >= TEXT_BYTES and not start.translate(None, _TEXT)


def refuse_page(data: bytes, path: Path | str, expected: str) -> None:
    """Refuse a page of the web, or a pointer to a file, where a table of text was expected.

    Raises:
        BadFileError: it is one.
    """
    if _begun(data).lower().startswith(_STARTS):
        raise _other_text(data, path, expected)


def _begun(data: bytes) -> bytes:
    """Return the start of a text, without a mark or blanks before it."""
    return data[:TEXT_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()


def _other_text(data: bytes, path: Path | str, expected: str) -> BadFileError:
    start = " ".join(data[:TEXT_BYTES].decode("utf-8", "replace").split())[:40]
    return BadFileError(
        f"{path}: is text that starts with '{start}', expected {expected}; a download that "
        "went wrong? download the file again"
    )


def refuse_text(data: bytes, path: Path | str, expected: str) -> None:
    """Refuse text where a binary file was expected, naming what it starts with.

    Raises:
        BadFileError: it is text.
    """
    if is_text(data):
        raise _other_text(data, path, expected)


def state_of(path: Path) -> os.stat_result:
    """Return size and times of a file that was listed, or one clear line that it is gone.

    Raises:
        BadFileError: it has vanished since, or cannot be reached.
    """
    try:
        return path.stat()
    except OSError as error:
        raise BadFileError(
            f"{path}: cannot be read: {error.strerror or error}; copy it again, or pass over it "
            "with --bad-files skip"
        ) from error


def size_of(path: Path) -> int:
    """Return a file's bytes, 0 where it is gone: who reads it names it then."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
