"""Removing caches and unfinished builds, and nothing else.

What goes is a folder that :mod:`~snntx.preprocess.upkeep.stored` lists, holds nothing but a cache's
own files, and is not being built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...data_cards.schema import Card
from ...errors import SnntxError, UsageError
from ..cache.format import SEALED
from ..disk.locks import BusyError, Lock
from .stored import OWN_FILE, Stored, lock_of, match, stored_in

_NOTE_FILE = re.compile(r"\.?frames-\d{5,}\.h5\.json(\..+)?")


def removable(
    root: Path, name: str, keys: Sequence[str], *, unfinished: bool, card: Card | None = None
) -> list[Stored]:
    """Return what a removal asks for, each once.

    Args:
        root: root of all caches.
        name: the card's name.
        keys: keys of caches or draft names of builds, or starts of them.
        unfinished: also every unfinished build.
        card: the card, to tell which options differ from its defaults.

    Raises:
        UsageError: a key matches nothing or several, or a folder also holds other files.
        SnntxError: one is being built.
    """
    home, found = root / name, stored_in(root, name, card)
    chosen = {each.directory: each for each in (match(home, found, key, "") for key in keys)}
    if unfinished:
        chosen |= {each.directory: each for each in found if each.state == "unfinished"}
    for each in chosen.values():
        _refuse_foreign(each)
        if each.busy:
            raise _being_built(each.directory, Lock(lock_of(root / name, each.draft)))
    return list(chosen.values())


def _folders(each: Stored) -> dict[Path, re.Pattern[str]]:
    """Return the folders that go, with the names of the files they may hold."""
    folders = {each.directory: OWN_FILE}
    if each.state == "unfinished":  # the digests of its raw files wait beside it
        folders[each.directory.with_name(f"{each.directory.name}.notes")] = _NOTE_FILE
    return {folder: names for folder, names in folders.items() if folder.is_dir()}


def _refuse_foreign(each: Stored) -> None:
    for folder, names in _folders(each).items():
        for path in sorted(folder.iterdir()):
            if not names.fullmatch(path.name) or path.is_symlink() or not path.is_file():
                raise UsageError(
                    f"{path}: is no file of a cache; move it away, or remove it yourself"
                )


def remove(each: Stored) -> None:
    """Remove a cache or unfinished build: its own files, ``SEALED`` first, then the folder.

    Raises:
        SnntxError: it is being built.
    """
    home = each.directory.parent
    with _held(lock_of(home, each.draft) if each.draft else None, each.directory):
        _refuse_foreign(each)
        (each.directory / SEALED).unlink(missing_ok=True)  # from here on it is no cache
        for folder in _folders(each):
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


@contextmanager
def _held(path: Path | None, directory: Path) -> Iterator[None]:
    if path is None:
        yield
        return
    lock = Lock(path)
    try:
        lock.acquire()
    except BusyError:
        raise _being_built(directory, lock) from None
    try:
        yield
    finally:
        lock.release()


def _being_built(directory: Path, lock: Lock) -> SnntxError:
    return SnntxError(f"{directory}: is being built by {lock.holder()}; {lock.way_out()} first")
