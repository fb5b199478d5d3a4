"""Digests of raw files, and the name that a cache takes from what it was made of.

The key is a hash over the format version, every framing and static option, the card's
identity and the manifest of raw files: relative name, size and content digest. Content is
hashed with XXH3-128 from the same read that decodes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from ...errors import BadFileError

KEY_DIGITS = 16
"""Hexadecimal digits of a cache's key."""


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
