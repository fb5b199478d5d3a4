"""Files that come whole or not at all: written beside their final name, synced, renamed.

In: a path and its content. Out: the old file, or the whole new one; nothing else is left behind.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PART_SUFFIX = ".part"
"""Ends the name of a file that is being written."""
READABLE = 0o644
"""Mode of what others on the machine may read; a temporary file's own would shut them out."""


def write_atomic(path: Path, text: str) -> None:
    """Write a small text file so that it is either the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, READABLE)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write and sync a file beside its final name, then rename it."""
    with placing(path) as file:
        view = memoryview(content)
        while len(view):
            view = view[file.write(view) :]
