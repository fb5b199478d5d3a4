"""Download what a card names: with its checksum, or nothing.

A file is written to ``FILE.part``, so an interrupted download goes on from there (HTTP
Range); once its size and checksum are right it is renamed, and an archive is unpacked. A
file that is already whole is left alone.

The standard library's urllib does the transfer: of the libraries that come with the package
none downloads, pooch (the usual choice) cannot resume, and what is left to write here is the
Range header and the loop over it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...data_cards.schema import Download
from ...errors import SnntxError, UsageError
from ..disk.atomic import write_atomic
from ..disk.folders import cause_of
from ..disk.locks import BusyError, Lock
from .transfer import Progress, download
from .unpacking import still_packed, unpack


@dataclass(frozen=True)
class Fetched:
    """One file of a card.

    Attributes:
        file: where it lies.
        bytes: its size, 0 where it was removed after unpacking.
        state: ``downloaded``, or ``present`` where it was there already.
        unpacked: names of the entries that came out of it.
        note: what the card says of it.
    """

    file: Path
    bytes: int
    state: str
    unpacked: tuple[str, ...]
    note: str


def fetch(
    downloads: Sequence[Download],
    folder: Path,
    *,
    timeout_s: float = 60,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda name, done, total: None,
) -> list[Fetched]:
    """Download files into a folder, verify and unpack them.

    Args:
        downloads: what to get, in order.
        folder: where to; made if missing.
        timeout_s: longest silence of a server.
        say: called with lines for people.
        progress: called as bytes arrive.

    Raises:
        UsageError: the folder cannot be written.
        SnntxError: the server, the network or the disk fails, or a checksum is wrong.
        BadFileError: an archive is damaged or holds what it must not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--to {folder}: cannot be written: {error.strerror}") from error
    results = []
    for entry in downloads:
        with _disk_errors(folder), _claimed(folder, entry):
            results.append(_fetch_one(entry, folder, timeout_s, say, progress))
    return results


def _fetch_one(
    entry: Download,
    folder: Path,
    timeout_s: float,
    say: Callable[[str], None],
    progress: Progress,
) -> Fetched:
    path, marker = folder / entry.file, folder / f".{entry.file}.done"
    names = _unpacked_before(marker, entry) if entry.unpack else None
    state = "present"
    if not path.is_file() and names is not None:  # unpacked, then removed to save space
        return Fetched(path, 0, state, tuple(names), entry.note)
    if not path.is_file():
        part = folder / f"{entry.file}.part"
        download(entry, part, timeout_s, say, progress)
        _verify(part, entry)
        part.replace(path)
        state = "downloaded"
    elif _digest(path, entry) != _wanted(entry):
        raise SnntxError(
            f"{path}: is there, but is not the file the card names ({_checksums(path, entry)}); "
            "move it away and run the same command again"
        )
    if entry.unpack and names is None:
        say(f"unpacking {path}")
        names = unpack(path, folder)
        write_atomic(marker, json.dumps({"checksum": _wanted(entry), "entries": names}))
        if packed := still_packed(folder, names):
            say(f"{path}: {packed}")
    return Fetched(path, path.stat().st_size, state, tuple(names or ()), entry.note)


def _unpacked_before(marker: Path, entry: Download) -> list[str] | None:
    """Return what came out of an archive earlier, None unless all of it is still there."""
    try:
        done = json.loads(marker.read_text(encoding="utf-8"))
        names = [str(name) for name in done["entries"]]
        whole = done["checksum"] == _wanted(entry)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return names if whole and all((marker.parent / name).exists() for name in names) else None


@contextmanager
def _claimed(folder: Path, entry: Download) -> Iterator[None]:
    """Hold the lock of one file.

    Raises:
        SnntxError: another fetch has it.
    """
    lock = Lock(folder / f".{entry.file}.lock")
    try:
        lock.acquire()
    except BusyError as busy:
        raise SnntxError(
            f"{folder / entry.file}: another snntx fetch is at work on it, {busy}; "
            f"{lock.way_out()} and run the same command again"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or failing disk into one line; what arrived stays for the next run."""
    try:
        yield
    except OSError as error:
        raise SnntxError(
            f"{folder}: {cause_of(error)}; mend that and run the same command again to go on"
        ) from error


def _wanted(entry: Download) -> str:
    return (entry.sha256 or entry.md5).lower()


def _digest(path: Path, entry: Download) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256" if entry.sha256 else "md5").hexdigest()


def _checksums(path: Path, entry: Download) -> str:
    kind = "sha256" if entry.sha256 else "md5"
    return f"{kind} {_digest(path, entry)}, expected {_wanted(entry)}"


def _verify(part: Path, entry: Download) -> None:
    """Remove a download that is not the file the card names."""
    if _digest(part, entry) == _wanted(entry):
        return
    found = _checksums(part, entry)
    part.unlink()
    raise SnntxError(
        f"{entry.url}: the download has {found}; it was removed: try again, and if that does not "
        "help, the file on the server is another one"
    )
