"""The folder a cache is built in: made, locked, and with room enough."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ...errors import SnntxError, UsageError
from ..cache import format as fmt
from ..framing.options import FrameOptions
from ..raw.recordings import by_file
from ..readers.reading import record_bytes
from ..statics.images import plane_type
from .plan import Plan

EVENT_BYTES = 16
"""At most this many bytes of frames per event: four float32 corners, before compression."""


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


@contextmanager
def locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a build's lock, waiting for another builder of the same cache."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another process is building this cache; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_errors(home: Path) -> Iterator[None]:
    """Turn a full or failing disk into one line; what was finished stays for the next run."""
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC or "No space left" in str(error)
        if not full and error.errno is None:
            raise
        cause = "the disk is full" if full else " ".join(str(error).split())
        raise SnntxError(
            f"{home}: {cause}; free space or mend it and run the same command again: "
            "finished shards are kept"
        ) from error


def check_space(home: Path, plan: Plan, options: FrameOptions) -> None:
    """Refuse to start a build that could fill the disk."""
    frame_bytes = int(np.prod(options.frame_shape)) * fmt.FRAMES.itemsize
    height, width = options.frame_shape[2:]
    record = record_bytes(plan.settings["events"]["format"])
    needed = sum(
        min(len(held) * frame_bytes, EVENT_BYTES * path.stat().st_size // record)
        for path, held in by_file(plan.recordings)
    )
    needed += (
        len(plan.statics) * len(plan.planes) * height * width * plane_type(plan.planes).itemsize
    )
    free = shutil.disk_usage(home).free
    if free < needed:
        raise SnntxError(
            f"{home}: {free / 1e6:.0f} MB free, but this cache may need up to "
            f"{needed / 1e6:.0f} MB; free space or choose another --cache"
        )


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
