"""``SEALED``: which files a cache has and what is in them, written last; without it, no cache.

It is JSON of one spelling: key, the build's name, size and XXH3-128 digest of every file, and
last the digest of all that itself. Release 0.1 wrote format 1, with sizes and the digest of
``index.h5`` alone; such caches are opened and verified by what they have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import SnntxError
from ..disk.atomic import write_whole
from ..disk.digests import digest, digest_file
from .format import EVENT_VERSION, INDEX, SEALED, VERSION

OLDER = 1
"""The format of release 0.1."""
FORMATS = {
    OLDER: "snntx frame cache",
    VERSION: "snntx frame cache",
    EVENT_VERSION: "snntx event cache",
}
"""What a cache of each version is called."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DIGEST = re.compile(r"[0-9a-f]{32}")
REBUILD = "remove the cache and build it again"


class SealedFile(NamedTuple):
    """Size in bytes of a file, and its XXH3-128 digest; empty where format 1 has none."""

    size: int
    digest: str


@dataclass(frozen=True)
class Seal:
    """What ``SEALED`` says.

    Attributes:
        version: format of the cache.
        key: its name.
        draft: the build's name before any raw file was read.
        files: name → size and digest of each file.
    """

    version: int
    key: str
    draft: str
    files: Mapping[str, SealedFile]


class SealError(Exception):
    """A seal that does not serve: what was found, what was expected, and what to do."""

    def __init__(self, found: str, expected: str, remedy: str = REBUILD) -> None:
        super().__init__(f"{found}, expected {expected}; {remedy}")
        self.found, self.expected, self.remedy = found, expected, remedy


def seal(directory: Path, key: str, draft: str, version: int = VERSION) -> None:
    """Write ``SEALED`` last and make every file read-only."""
    paths = sorted(directory.glob("*.h5"))
    files = {path.name: SealedFile(path.stat().st_size, digest_file(path)) for path in paths}
    write_whole(directory / SEALED, _text(Seal(version, key, draft, files)))
    for name in (*files, SEALED):
        (directory / name).chmod(0o444)


def _text(seal: Seal) -> bytes:
    """Return a seal as it is written, in the one spelling there is."""
    content = {
        "format": FORMATS[seal.version],
        "version": seal.version,
        "key": seal.key,
        "draft": seal.draft,
        "files": {
            name: {"bytes": seal.files[name].size, "digest": seal.files[name].digest}
            for name in sorted(seal.files)
        },
    }
    own = digest(json.dumps(content, indent=1).encode())
    return f"{json.dumps({**content, 'digest': own}, indent=1)}\n".encode()


def parse_seal(text: bytes) -> Seal:
    """Return what the text of a ``SEALED`` says.

    Raises:
        SealError: it is damaged, or of a format that this release does not read.
    """
    try:
        content: Any = json.loads(text.decode("utf-8"))
        version = content["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SealError(f"damaged: {error}", "JSON with a version") from error
    if type(version) is not int or version not in FORMATS:
        found = (
            f"cache format {str(version)[:40]}, this release reads {VERSION} and {OLDER} of "
            f"frames, {EVENT_VERSION} of events"
        )
        raise SealError(found, f"format {VERSION}", "run snntx preprocess again")
    names = {"key": str, "draft": str, "files": dict}
    if any(not isinstance(content.get(name), kind) for name, kind in names.items()):
        raise SealError("damaged: incomplete", "key, draft and files")
    read = _older_files if version == OLDER else _files
    try:
        seal = Seal(version, content["key"], content["draft"], read(content))
    except (KeyError, TypeError, ValueError) as error:
        raise SealError("damaged: incomplete", "name and size of every file") from error
    if INDEX not in seal.files or not all(map(_NAME.fullmatch, seal.files)):
        raise SealError(f"damaged: files {', '.join(seal.files)}", f"those of a cache, {INDEX}")
    if version != OLDER and _text(seal) != text:
        raise SealError("damaged: does not match its checksum", "what was sealed")
    return seal


def _files(content: Any) -> dict[str, SealedFile]:
    return {
        name: SealedFile(_size(entry["bytes"]), _digest(entry["digest"]))
        for name, entry in content["files"].items()
    }


def _older_files(content: Any) -> dict[str, SealedFile]:
    files = {name: SealedFile(_size(size), "") for name, size in content["files"].items()}
    return files | {INDEX: SealedFile(files[INDEX].size, _digest(content["index"]))}


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(value)
    return value


def read_seal(directory: Path) -> Seal:
    """Return the content of ``SEALED`` after checking version and files.

    Raises:
        SnntxError: not sealed, of another version, a file is missing or cut short, or seal or
            index is damaged. (Shards are checked recording by recording as they are read.)
    """
    path = directory / SEALED
    if not path.is_file():
        raise SnntxError(
            f"{directory}: not a sealed cache (no file {SEALED}); run snntx preprocess again"
        )
    try:
        seal = parse_seal(path.read_bytes())
    except SealError as error:
        where = path if error.found.startswith("damaged") else directory
        raise SnntxError(f"{where}: {error.found}; {error.remedy}") from error
    except OSError as error:
        raise SnntxError(
            f"{path}: damaged: cannot be read: {error.strerror or error}; {REBUILD}"
        ) from error
    for name, (size, _) in seal.files.items():
        file = directory / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes"
            raise SnntxError(f"{file}: {state}, sealed with {size} bytes; {REBUILD}")
    if digest_file(directory / INDEX) != seal.files[INDEX].digest:
        raise SnntxError(f"{directory / INDEX}: does not match its checksum; {REBUILD}")
    return seal
