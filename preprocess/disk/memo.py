"""Digests remembered between runs, so that a second run only looks at directory entries.

In: paths with size, modification and change time. Out: the digest of a file that has not changed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from .atomic import write_atomic

MEMO = "digests.json"
"""Name of the memo beside the caches of a card."""
SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within one tick of its clock."""
_DIGEST = re.compile(r"[0-9a-f]{32}")
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class DigestMemo:
    """Content digests of files already read, remembered by path, size and times.

    The times are those of modification (mtime) and of change (ctime). The second is the
    system's own: a program that puts the first back to what it was changes the second. Only a
    file system that keeps no ctime, such as FAT, leaves such a change unseen. A damaged or
    missing memo costs time, never correctness: it is read as empty.

    Args:
        path: the file it is kept in.
        fresh: start empty; what is in the file is replaced as files are read again.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self._path = path
        self._known: dict[str, Any] = {} if fresh else self._load()
        self._forgotten: set[str] = set()

    def _load(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}

    def get(self, path: Path) -> str | None:
        """Return the digest of a file that has not changed since it was read, else None."""
        entry = self._known.get(str(path.absolute()))
        try:
            if not isinstance(entry, list) or entry[:-1] != _state(path.stat()):
                return None
        except OSError:  # it is gone
            return None
        value = entry[-1]
        return value if isinstance(value, str) and _DIGEST.fullmatch(value) else None

    def put(self, path: Path, value: str, status: os.stat_result) -> None:
        """Remember a digest; ``status`` was taken before the file was read."""
        name = str(path.absolute())
        if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
            self._known[name] = [*_state(status), value]
            self._forgotten.discard(name)
        else:  # what an earlier run remembers is of another state
            self.forget(path)

    def forget(self, path: Path) -> None:
        """Remember nothing of a file, so that the next run reads it again."""
        name = str(path.absolute())
        self._known.pop(name, None)
        self._forgotten.add(name)

    def take(self, other: DigestMemo) -> None:
        """Remember what another memo remembers."""
        self._known |= other._known
        self._forgotten -= other._known.keys()

    def save(self) -> bool:
        """Write the memo, keeping what other processes have added meanwhile; say whether it could.

        Raises:
            OSError: the disk is full or fails. A folder that may not be written is no error:
                its caches are read without a memo.
        """
        kept = {n: entry for n, entry in self._load().items() if n not in self._forgotten}
        self._known = {**kept, **self._known}
        try:
            write_atomic(self._path, json.dumps(self._known))
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            return False
        return True


def _state(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
