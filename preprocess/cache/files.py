"""Opening the HDF5 files of a cache: read-only, without locks, and nothing that lies elsewhere.

HDF5 can make a dataset out of another file: by an external or soft link, by external storage, or
as a virtual dataset. A cache holds none of these, so a file that does is no file of a cache, and
what it points to is never opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from ...errors import SnntxError

DEEPEST = 4
"""Groups within groups; a file of a cache has two."""


def open_own(path: Path, **options: Any) -> h5py.File:
    """Open a file of a cache for reading.

    Args:
        path: the file.
        options: further ones of ``h5py.File``.

    Raises:
        SnntxError: something in it lies in another file, or by another name.
        OSError: it cannot be opened, or is damaged (or what else h5py raises then).
    """
    file = h5py.File(path, "r", locking=False, **options)
    try:
        _require_own(file, path, 0)
    except BaseException:
        file.close()
        raise
    return file


def _require_own(group: h5py.Group, path: Path, depth: int) -> None:
    for name in group:
        place = f"{path}: {group.name.rstrip('/')}/{name}"
        kind = type(group.get(name, getlink=True))
        if kind is not h5py.HardLink:
            raise foreign(place, "a link")
        item = group[name]
        if isinstance(item, h5py.Group):
            if depth == DEEPEST:
                raise foreign(place, f"a group in {DEEPEST} others")
            _require_own(item, path, depth + 1)
        elif isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
            raise foreign(place, "a dataset of another file")


def foreign(place: str, found: str) -> SnntxError:
    """Return the error for something that no cache holds."""
    return SnntxError(
        f"{place} is {found}, expected data of this file; no preprocess wrote it: remove the cache "
        "and build it again"
    )
