"""Where the numbers of an array lie in a file: their type, shape and first byte.

In: what a header or a pickle says. Out: the numbers, once they are wanted.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError

AGAIN = "copy or download it again"
MOST_BYTES = 1 << 29
"""Most bytes of one array: 16 million events of four 64-bit numbers."""


class Numbers(NamedTuple):
    """An array whose numbers lie in the file.

    Attributes:
        dtype: of real numbers; as a header tells it, any other too, ``object`` where a pickle
            follows.
        shape: of the array; its numbers fill ``start`` to the last of them exactly.
        fortran: the first axis runs fastest.
        start: the byte of the file that they start at.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes in the file, which may claim more than any machine has."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, file: BinaryIO, path: Path | str) -> NDArray[Any]:
        """Read the numbers.

        Raises:
            BadFileError: the file has become shorter.
        """
        file.seek(self.start)
        data = file.read(self.size)
        if len(data) < self.size:
            raise BadFileError(f"{path}: became shorter while it was read; {AGAIN}")
        order: Any = "F" if self.fortran else "C"
        return np.frombuffer(data, self.dtype).reshape(self.shape, order=order)


def require_whole(size: int, start: int, held: int, path: Path | str) -> None:
    """Refuse a file whose values do not fill it to its end.

    Raises:
        BadFileError: it is shorter than its header says, or longer.
    """
    if start + size != held:
        what = "cut off" if start + size > held else "with bytes left over"
        raise BadFileError(
            f"{path}: {held - start} bytes after the header, which says {size}: {what}; {AGAIN}"
        )
