"""What a ``.npy`` file of many recordings holds: where each one's numbers lie, or their labels.

In: the path of a file that holds an array of arrays, which numpy pickles, or one plain array,
whose first axis is then the recordings. Out: :class:`~.numbers.Numbers` for each, to be read one
at a time; or whole numbers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ....errors import BadFileError
from .header import read_header
from .numbers import Numbers, require_whole
from .unpickled import objects

MOST_LABELS = 1 << 20


def arrays_of(file: BinaryIO, path: Path) -> list[Numbers]:
    """Return where the arrays lie that an open file holds, in order.

    A plain array ``(recordings, n, 4)`` holds arrays of equal length, one ``(n, 4)`` itself.

    Raises:
        BadFileError: it holds something else, or is damaged.
    """
    header = read_header(file, path)
    if header.dtype.hasobject:
        found = _objects(file, path, header.shape)
        numbers = [each for each in found if isinstance(each, Numbers)]
        if len(numbers) < len(found):
            raise BadFileError(
                f"{path}: holds whole numbers, expected an array for each recording; are these the "
                "labels?"
            )
        return numbers
    if header.dtype.kind not in "iuf" or len(header.shape) not in (2, 3):
        raise BadFileError(
            f"{path}: an array of type {header.dtype} and shape {header.shape}, expected an "
            "array (n, 4) of numbers for each recording"
        )
    require_whole(header.size, header.start, os.fstat(file.fileno()).st_size, path)
    if len(header.shape) == 2:
        return [header]
    if header.fortran:
        raise BadFileError(
            f"{path}: an array {header.shape} whose first axis runs fastest; save it again with "
            "numpy.save(path, numpy.ascontiguousarray(array))"
        )
    one = header._replace(shape=header.shape[1:])
    return [one._replace(start=one.start + i * one.size) for i in range(header.shape[0])]


def labels_of(path: Path) -> list[int]:
    """Return the whole numbers of a file ``(n,)``, plain or pickled.

    Raises:
        BadFileError: it is missing, damaged or holds something else.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file, path)
            if header.dtype.hasobject:
                found = _objects(file, path, header.shape)
                return [
                    each if isinstance(each, int) else _single(each, file, path) for each in found
                ]
            if header.dtype.kind not in "iuf" or header.size > 8 * MOST_LABELS:
                raise BadFileError(
                    f"{path}: an array of type {header.dtype} and shape {header.shape}, expected "
                    f"at most {MOST_LABELS} labels (n,), whole numbers"
                )
            size = os.fstat(file.fileno()).st_size
            require_whole(header.size, header.start, size, path)
            values = header.read(file, path)
    except OSError as error:
        raise BadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if sum(side > 1 for side in values.shape) > 1 or (values != np.floor(values)).any():
        raise BadFileError(
            f"{path}: an array {values.shape} of {values.dtype}, expected whole numbers (n,)"
        )
    return [int(value) for value in values.ravel()]


def _objects(file: BinaryIO, path: Path, shape: tuple[int, ...]) -> list[Numbers | int]:
    inner, found = objects(file, path)
    if sum(side > 1 for side in shape) > 1 or inner != shape:
        raise BadFileError(
            f"{path}: an array of objects {shape} and {inner}, expected (recordings,); save it "
            "again as an array of one axis"
        )
    return found


def _single(numbers: Numbers, file: BinaryIO, path: Path) -> int:
    """Return the one whole number of an array of one."""
    values = numbers.read(file, path).ravel() if numbers.size <= 8 else np.empty(0)
    if values.size != 1 or values[0] != np.floor(values[0]):
        raise BadFileError(
            f"{path}: a label is an array {numbers.shape} of {numbers.dtype}, expected a number"
        )
    return int(values[0])
