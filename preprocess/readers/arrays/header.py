"""The header of a ``.npy`` file: type, shape and order of its numbers, and where they start.

In: an open file or the member of an archive, at its start. Out: :class:`~.numbers.Numbers`, of
which none is read, and nothing of their claimed size is allocated. A header is ``\\x93NUMPY``, two
bytes of version, its length (two bytes in version 1, four since) and a Python literal
``{'descr': …, 'fortran_order': …, 'shape': …}``.
"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from ....errors import BadFileError, plain
from ...disk.files import refuse_text
from .numbers import AGAIN, Numbers

MAGIC = b"\x93NUMPY"
LONGEST = 1 << 14
"""Bytes of a header; numpy's own are shorter unless an array has hundreds of named columns."""
DEEPEST = 8
"""Brackets in brackets; a header has three."""


def read_header(file: IO[bytes], path: Path | str) -> Numbers:
    """Read the header at the start of a file.

    Raises:
        BadFileError: it is none, cut off, or describes no array.
    """
    start = file.read(len(MAGIC) + 2)
    if not start:
        raise BadFileError(f"{path}: the file is empty (0 bytes); {AGAIN}")
    if not start.startswith(MAGIC):
        refuse_text(start + file.read(256), path, "an array of numpy (.npy)")
        raise BadFileError(
            f"{path}: starts with {start[: len(MAGIC)]!r}, expected {MAGIC!r}: no array of numpy "
            "(.npy)"
        )
    version, width = tuple(start[len(MAGIC) :]), 2
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise BadFileError(
            f"{path}: version {'.'.join(map(str, version))} of .npy, expected 1.0, 2.0 or 3.0; "
            f"{AGAIN}"
        )
    if version != (1, 0):
        width = 4
    length = int.from_bytes(field := file.read(width), "little")
    at = len(start) + width
    if len(field) == width and length > LONGEST:
        raise BadFileError(f"{path}: header of {length} bytes, expected at most {LONGEST}; {AGAIN}")
    text = file.read(length)
    if len(field) < width or len(text) < length:
        raise BadFileError(f"{path}: ends within its header at byte {at}: cut off; {AGAIN}")
    dtype, shape, fortran = _described(text, path, "utf-8" if version == (3, 0) else "latin-1")
    return Numbers(dtype, shape, fortran, at + length)


def _described(
    text: bytes, path: Path | str, encoding: str
) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Return type, shape and order as the literal of a header has them."""
    where = f"{path}: its header"
    try:
        literal = text.decode(encoding)
        if _depth(literal) > DEEPEST:
            raise ValueError(f"brackets more than {DEEPEST} deep")
        found = ast.literal_eval(literal.strip())
        if not isinstance(found, dict) or found.keys() != {"descr", "fortran_order", "shape"}:
            raise ValueError("no table of descr, fortran_order and shape")
        shape, fortran = found["shape"], found["fortran_order"]
        whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not whole or len(shape) > 32 or type(fortran) is not bool:
            raise ValueError(f"shape {str(shape)[:40]}, fortran_order {str(fortran)[:40]}")
        with warnings.catch_warnings(action="ignore"):  # of ways to write types that pass away
            dtype = np.lib.format.descr_to_dtype(found["descr"])
    except (ValueError, TypeError, SyntaxError, LookupError, OverflowError) as error:
        reason = plain(" ".join(str(error).split()))[:100]
        raise BadFileError(f"{where} describes no array: {reason}; {AGAIN}") from error
    except (RecursionError, MemoryError) as error:
        raise BadFileError(f"{where} describes no array; {AGAIN}") from error
    return dtype, shape, fortran


def _depth(text: str) -> int:
    """Return how deep brackets lie in one another, at most."""
    depth = deepest = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    return deepest
