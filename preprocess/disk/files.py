"""A whole file in memory, or one clear line why not."""

from __future__ import annotations

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
