"""What a cache was made from, and the key that names it.

The key is a hash over the format version, every framing and static option, the card's
identity and the manifest of raw files: relative name, size and content digest. Content is
hashed with XXH3-128 from the same read that decodes it; the digest is remembered by path,
size and modification time, so that a second run only looks at directory entries.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from ...errors import BadFileError

KEY_DIGITS = 16
SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within one tick of its clock."""


def digest(data: bytes) -> str:
    """Return the XXH3-128 digest of a file's content in hexadecimal."""
    return xxhash.xxh3_128_hexdigest(data)


def digest_file(path: Path) -> str:
    """Return the digest of a file too large to hold, reading it piece by piece.

    Raises:
        BadFileError: the file cannot be read.
    """
    state = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                state.update(piece)
    except OSError as error:
        raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return state.hexdigest()


def digest_or_none(path: Path) -> str | None:
    """Return the digest of a file, or None where it cannot be read."""
    try:
        return digest_file(path)
    except BadFileError:
        return None


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return a name for a JSON-like value: the start of its SHA-256."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


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
