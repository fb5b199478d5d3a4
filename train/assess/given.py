"""The recordings that a user means by files and folders, and files of another format among them.

In: paths, and the format that a run reads. Out: the files, or one line that says which format a
file is of, told by its first bytes, whatever its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...errors import BadFileError, UsageError
from ...preprocess.readers.base import READERS
from ...preprocess.readers.versions import TOLD, what_is


def recordings_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files that paths stand for: themselves, and of a folder every file below it.

    Files of a folder come in the order of their names; hidden ones are left out, and a file that
    is meant twice comes twice.

    Raises:
        UsageError: a folder holds no file, or cannot be listed.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(_below(path))
        if not inside:
            raise UsageError(f"{path}: no file in this folder; give recordings, or their folder")
        found += inside
    return found


def _below(folder: Path) -> Iterable[Path]:
    def refuse(error: OSError) -> None:
        raise UsageError(
            f"{error.filename}: cannot be listed: {error.strerror}; make it readable, or give files"
        ) from error

    for where, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(where, name) for name in files if not name.startswith("."))


def refuse_other(path: Path, format: str) -> None:
    """Refuse a file that is of another format than a run reads, by its first bytes.

    Args:
        path: the file; one that cannot be read is left to the reader, who says why.
        format: of the run's card. Formats of one's own and tonic's may read any file.

    Raises:
        BadFileError: the file is of another format; which one, and what reads it.
    """
    name = format.partition("?")[0]
    if name not in TOLD or name not in READERS.shipped():
        return
    kind = what_is(path)
    if kind is None or name in kind.formats:
        return
    way = kind.advice
    if kind.formats:
        known = " or ".join(kind.formats)
        way = f"give recordings of that format, or a run of a card with format = {known}"
    raise BadFileError(f"{path}: {kind.what}, but the run reads files of format {name}; {way}")
