"""HDF5 files of one gesture each, as some keep DVS128 Gesture: ``times``, ``addrs``, ``labels``.

``times`` are microseconds from 0, whole numbers ``(n,)``; ``addrs`` is ``(n, 3)`` with columns x,
y and p; ``labels`` is one whole number, the class counted from 0.

Files come from strangers: nothing outside the file is ever read (external links, external and
virtual datasets are refused), and what its datasets claim to hold is checked before any of it is
read.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError
from ...disk.files import read_file, refuse_text
from ...framing.events import Events
from ..base import READERS, Reader
from ..columns import coordinates, whole
from ..versions import AGAIN

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 29
"""Most that one dataset may take: 64 million times of 8 bytes."""
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError)


def decode(data: bytes, path: Path | str, *, drops: bool = False) -> Events:
    """Decode the bytes of a file; ``path`` names it in errors, ``drops`` as in a reader.

    Raises:
        BadFileError: no HDF5, damaged, too large, or its datasets are no events.
    """
    times, addresses = _read(data, path, "times", "addrs")
    if times.ndim != 1 or addresses.shape != (times.size, 3):
        raise BadFileError(
            f"{path}: times is {_shape(times)} and addrs {_shape(addresses)}, expected n and "
            "n x 3 (x, y, p)"
        )
    t = whole(times, "times", path, 0, 1 << 62)
    x = coordinates(addresses[:, 0], "addrs x", path, drops=drops)
    y = coordinates(addresses[:, 1], "addrs y", path, drops=drops)
    return Events(x, y, t, whole(addresses[:, 2], "addrs p", path, 0, 1).astype(np.int8))


def _read(data: bytes, path: Path | str, *names: str) -> list[NDArray[Any]]:
    """Return some datasets of a file, of real numbers, in the order of their names."""
    import h5py

    if not data.startswith(SIGNATURE):
        refuse_text(data, path, "an HDF5 file")
        raise BadFileError(f"{path}: starts with {data[:8]!r}, expected {SIGNATURE!r}: no HDF5")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return [_checked(file, name, path)[()] for name in names]
    except BadFileError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise BadFileError(f"{path}: a damaged HDF5 file: {reason}; {AGAIN}") from error


def _checked(file: h5py.File, name: str, path: Path | str) -> h5py.Dataset:
    """Return a dataset that may be read."""
    import h5py

    if name not in file:
        found = ", ".join(list(file)[:8]) or "nothing"
        raise BadFileError(
            f"{path}: no dataset {name} (found {found}), expected times, addrs and labels"
        )
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise BadFileError(f"{path}: {name} is a link to elsewhere, expected a dataset")
    held = file[name]
    if not isinstance(held, h5py.Dataset) or held.shape is None or held.dtype.kind not in "iuf":
        raise BadFileError(f"{path}: {name} is no dataset of real numbers")
    if held.external or held.is_virtual:
        raise BadFileError(f"{path}: {name} lies in another file, expected all in this one")
    size = math.prod(held.shape) * held.dtype.itemsize
    if size > MAX_BYTES:
        raise BadFileError(
            f"{path}: {name} claims {size} bytes, the limit is {MAX_BYTES}; split the recording"
        )
    return held


def _shape(values: NDArray[Any]) -> str:
    return " x ".join(map(str, values.shape)) or "a single number"


@READERS.register("gesture-hdf5")
class GestureHdf5(Reader):
    """Reads HDF5 files of a gesture: one recording each, which tells its class."""

    record_bytes = 1
    """Compressed columns take few bytes an event."""

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        return decode(data, path, drops=self.drops)

    def class_number(self, path: Path) -> int:
        """Return the class of a file's recording, from 0.

        Raises:
            BadFileError: the file is unreadable, or its label no single whole number from 0.
        """
        (label,) = _read(read_file(path), path, "labels")
        if label.size != 1:
            raise BadFileError(f"{path}: labels is {_shape(label)}, expected a single number")
        return int(whole(np.atleast_1d(label).reshape(-1), "labels", path, 0, 1 << 20)[0])
