"""Folders that a build works in: made, locked, and synced, with one line for a failing disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import SnntxError, UsageError, plain
from .locks import waiting_for


def make_folder(home: Path) -> None:
    """Make the folder of a card's caches.

    Raises:
        UsageError: it cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UsageError(
            f"--cache {home.parent}: cannot be written: {error.strerror}; choose another folder"
        ) from error


def is_read_only(home: Path) -> bool:
    """Say whether a folder is there but cannot be written, so that nobody builds in it."""
    return home.is_dir() and not os.access(home, os.W_OK)


@contextmanager
def locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a build's lock, waiting for another builder of the same cache."""
    with waiting_for(path, "building this cache", say):
        yield


def cause_of(error: BaseException) -> str:
    """Return what a failing disk says in one line; a full one says that it is full."""
    chain: BaseException | None = error
    while chain is not None:  # a library may report its own confusion over the first error
        number = chain.errno if isinstance(chain, OSError) else None
        if number == errno.ENOSPC or "No space left" in str(chain):
            return "the disk is full"
        if number == errno.EDQUOT:
            return "the quota of this user on the disk is used up"
        chain = chain.__context__
    return plain(" ".join(str(error).split()) or type(error).__name__)


@contextmanager
def disk_errors(home: Path) -> Iterator[None]:
    """Turn a full or failing disk into one line; what was finished stays for the next run."""
    try:
        yield
    except OSError as error:
        if error.errno is None and "No space left" not in str(error):
            raise
        raise SnntxError(
            f"{home}: {cause_of(error)}; free space or mend it and run the same command again: "
            "finished shards are kept"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
