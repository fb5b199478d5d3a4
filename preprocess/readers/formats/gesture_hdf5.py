"""HDF5 files of one gesture each, as some keep DVS128 Gesture: ``times``, ``addrs``, ``labels``.

``times`` are microseconds from 0, whole numbers ``(n,)``; ``addrs`` is ``(n, 3)`` with columns x,
y and p; ``labels`` is one whole number, the class counted from 0. What may be read of a file says
:mod:`snntx.preprocess.readers.datasets`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError
from ...disk.files import read_file
from ...framing.events import Events
from ..base import READERS, Reader
from ..columns import coordinates, whole
from ..datasets import Datasets, reading

DATASETS = ("times", "addrs", "labels")


def decode(data: bytes, path: Path | str, *, drops: bool = False) -> Events:
    """Decode the bytes of a file; ``path`` names it in errors, ``drops`` as in a reader.

    Raises:
        BadFileError: no HDF5, damaged, too large, or its datasets are no events.
    """
    with reading(data, path) as file:
        times, addresses = (_array(file, name, path) for name in DATASETS[:2])
    if times.ndim != 1 or addresses.shape != (times.size, 3):
        raise BadFileError(
            f"{path}: times is {_shape(times)} and addrs {_shape(addresses)}, expected n and "
            "n x 3 (x, y, p)"
        )
    t = whole(times, "times", path, 0, 1 << 62)
    x = coordinates(addresses[:, 0], "addrs x", path, drops=drops)
    y = coordinates(addresses[:, 1], "addrs y", path, drops=drops)
    return Events(x, y, t, whole(addresses[:, 2], "addrs p", path, 0, 1).astype(np.int8))


def _array(file: Datasets, name: str, path: Path | str) -> NDArray[Any]:
    """Return one of the datasets."""
    values = file.array(name)
    if values is None:
        found = ", ".join(file.names()[:8]) or "nothing"
        raise BadFileError(
            f"{path}: no dataset {name} (found {found}), expected {', '.join(DATASETS)}"
        )
    if values.dtype.kind not in "iuf":
        raise BadFileError(f"{path}: {name} is of type {values.dtype}, expected numbers")
    return values


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
        with reading(read_file(path), path) as file:
            label = _array(file, "labels", path)
        if label.size != 1:
            raise BadFileError(f"{path}: labels is {_shape(label)}, expected a single number")
        return int(whole(np.atleast_1d(label).reshape(-1), "labels", path, 0, 1 << 20)[0])
