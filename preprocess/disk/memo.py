"""Digests remembered between runs, so that a second run only looks at directory entries.

In: paths with size and modification time. Out: the digest of a file that has not changed.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from .atomic import write_atomic

SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within one tick of its clock."""


class DigestMemo:
    """Content digests of files already read, remembered by path, size and time.

    A damaged or missing memo costs time, never correctness: it is read as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = self._load()

    def _load(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def get(self, path: Path) -> str | None:
        """Return the digest of a file that has not changed since it was read, else None."""
        status = path.stat()
        entry = self._known.get(str(path.absolute()))
        if not isinstance(entry, list) or entry[:-1] != [status.st_size, status.st_mtime_ns]:
            return None
        return str(entry[-1])

    def put(self, path: Path, value: str, status: os.stat_result) -> None:
        """Remember a digest; ``status`` was taken before the file was read."""
        if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
            self._known[str(path.absolute())] = [status.st_size, status.st_mtime_ns, value]

    def take(self, other: DigestMemo) -> None:
        """Remember what another memo remembers."""
        self._known |= other._known

    def save(self) -> None:
        """Write the memo, keeping what other processes have added meanwhile."""
        self._known = {**self._load(), **self._known}
        write_atomic(self._path, json.dumps(self._known))
