"""A whole file in memory, or its state, or one clear line why not."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import BadFileError


def read_file(path: Path | str) -> bytes:
    """Return a file's bytes, or one clear line why it cannot be read.

    Raises:
        BadFileError: the file is missing, unreadable or empty.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data:
        raise BadFileError(f"{path}: the file is empty (0 bytes); copy or download it again")
    return data


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
