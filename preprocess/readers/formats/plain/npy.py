"""One array of numpy (``.npy``): with named fields, or (n, 4) or (4, n) numbers; no pickle.

Columns are the array's fields, or ``1`` to ``4`` of an array without names, whose events are its
rows or, with ``along = "rows"``, its columns. 4 x 4 numbers are refused: they could be either.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .....errors import BadFileError
from ....framing.events import Events
from ...arrays.header import read_header
from ...arrays.numbers import require_whole
from ...base import READERS, Reader
from ...chosen import TIMERS, chosen_events


def array_of(data: bytes, path: Path | str) -> NDArray[Any]:
    """Return the array of a file's bytes, as a view of them.

    Raises:
        BadFileError: they are no array of values, or more or fewer than their header says.
    """
    header = read_header(io.BytesIO(data), path)
    if header.dtype.hasobject:
        raise BadFileError(
            f"{path}: a pickled array of objects, expected numbers; format = 'gait' reads arrays "
            "of objects that are recordings, without unpickling them"
        )
    require_whole(header.size, header.start, len(data), path)
    order: Any = "F" if header.fortran else "C"
    values = np.frombuffer(memoryview(data)[header.start :], np.uint8)
    return np.ndarray(header.shape, header.dtype, values, order=order)


class _Whole:
    """The one array of a file, which has no name."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    def names(self) -> Sequence[str]:
        return self._array.dtype.names or ()

    def array(self, name: str) -> NDArray[Any] | None:
        return None if name else self._array


@READERS.register("npy")
class Npy(Reader):
    """Reads ``.npy`` files: one recording each."""

    record_bytes = 4
    """An event has four values of a byte at least."""
    timers = TIMERS
    takes_columns = True

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        source = _Whole(array_of(data, path))
        return chosen_events(source, self.columns, path, drops=self.drops)
