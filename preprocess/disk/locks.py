"""Locks between processes, on file systems with and without the system's own (``flock``).

In: the path of a lock file. Out: the lock, held, or the name of who holds it: process, host and
since when. The system's lock ends with its process. Where a file system has none (some network
and cluster file systems) a file that only one process can create stands for it; it is taken
over once its process, on this host, is gone, and one of another host never is.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from ...errors import SnntxError, plain

NO_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
MARKER_SUFFIX = ".held"
"""Ends the name of the file that stands for a lock where the system has none."""
POLL_SECONDS = 0.25
WAIT_SECONDS, WAIT_ELSEWHERE_SECONDS = 24 * 3600.0, 3600.0
"""Longest wait for a process of this host, and for one that cannot be seen from here."""


class BusyError(Exception):
    """Somebody else holds the lock; the text says who."""


class Lock:
    """One lock; the system gives it back when the process ends.

    Args:
        path: the lock file; it stays where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._soft = SoftFileLock(self.marker, thread_local=False)
        self._held: BaseFileLock | None = None

    @property
    def marker(self) -> Path:
        """The file that stands for the lock where the system has none."""
        return self.path.with_name(self.path.name + MARKER_SUFFIX)

    def acquire(self) -> None:
        """Take the lock at once or not at all.

        Raises:
            BusyError: somebody else holds it.
            OSError: the lock file cannot be written.
        """
        self._take()
        if self._held is not self._soft:
            with suppress(OSError):  # a name for others, no part of the lock
                self.path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n")

    def _take(self) -> None:
        lock: BaseFileLock = FileLock(self.path, thread_local=False, fallback_to_soft=False)
        try:
            try:
                lock.acquire(timeout=0)
            except OSError as error:
                if isinstance(error, Timeout) or error.errno not in NO_FLOCK:
                    raise
                lock = self._soft
                lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(self.holder()) from None
        self._held = lock

    def release(self) -> None:
        """Give the lock back."""
        if self._held is not None:
            if self._held is not self._soft:
                with suppress(OSError):
                    os.truncate(self.path, 0)
            self._held.release()
            self._held = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def is_held(self) -> bool:
        """Say whether somebody else holds the lock; nothing is left behind by asking."""
        if not self.path.is_file() and not self.marker.is_file():
            return False
        try:
            self._take()
        except BusyError:
            return True
        except OSError:  # in a folder that cannot be written nobody works
            return False
        self.release()
        return False

    def holder(self) -> str:
        """Return who holds the lock, such as ``process 123 on host (since 12:00 on 1 May)``."""
        for path in (self.marker, self.path):
            with suppress(OSError, ValueError):
                number, host = _record(path)
                since = time.strftime("%H:%M on %d %b %Y", time.localtime(path.stat().st_mtime))
                return f"process {number} on {host} (since {since})"
        return "another process"

    def way_out(self) -> str:
        """Return what to do about the holder, such as ``wait for its end or stop it``."""
        if self.is_here():
            return "wait for its end or stop it"
        return f"wait for its end or, if it is gone, remove {plain(self.marker)}"

    def is_here(self) -> bool:
        """Say whether its holder can be seen from this host, so that its end is seen too."""
        if not self.marker.exists():
            return True  # the system's own
        with suppress(OSError, ValueError):
            return _record(self.marker)[1] == socket.gethostname()
        return False


def _record(path: Path) -> tuple[int, str]:
    """Return process and host from a lock file; filelock may add the name of a container."""
    number, host = path.read_text(encoding="utf-8").splitlines()[:2]
    return int(number), plain(host.partition("?pidns-")[0])


@contextmanager
def waiting_for(path: Path, what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock, waiting for another process that has it.

    Args:
        path: the lock file.
        what: what the other process does, such as ``building this cache``.
        say: called once with the line that names the holder.

    Raises:
        SnntxError: the holder did not end within :data:`WAIT_SECONDS`, or
            :data:`WAIT_ELSEWHERE_SECONDS` where it cannot be seen from this host.
    """
    lock, started, said = Lock(path), time.monotonic(), False
    while True:
        try:
            lock.acquire()
            break
        except BusyError as busy:
            limit = WAIT_SECONDS if lock.is_here() else WAIT_ELSEWHERE_SECONDS
            if time.monotonic() - started >= limit:
                raise SnntxError(
                    f"{path.parent}: {busy} is {what} and did not end within {_hours(limit)}; "
                    f"{lock.way_out()}, and run the same command again"
                ) from None
            if not said:
                say(f"{busy} is {what}; waiting for it, at most {_hours(limit)}")
                said = True
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds != 3600 else "1 hour"
