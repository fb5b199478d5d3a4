"""MATLAB 5 files (``.mat``) of CEP-DVS: one recording as the arrays ``x, y, ts, p``.

Each array is ``(n, 1)`` or ``(1, n)`` of any real numeric type: pixels from 0, microseconds,
polarity -1 or 0 (off) and 1 (on). Files come from strangers, so SciPy sees one only after
:func:`_flat` has walked its elements and inflated each to no more than the size that it
states itself, and loads nothing but those four arrays, once their header says that they are
numeric columns of one length. Cells, structs, objects and functions are never built.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from ...errors import BadFileError
from ..events import Events

RECORD_BYTES = 1
"""Compressed columns of regular events go below a byte each; on disk this is the fewest we plan."""
ARRAYS = ("x", "y", "ts", "p")
MAX_BYTES = 1 << 29
"""Most that the arrays of one file may take, inflated; 16 million events of four doubles."""

_HEADER_BYTES = 128
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC = {
    **{f"{sign}int{bits}": bits // 8 for bits in (8, 16, 32, 64) for sign in ("", "u")},
    **{"single": 4, "double": 8, "logical": 1},
}
_AGAIN = "copy or download it again"


def decode(data: bytes, path: Path | str) -> Events:
    """Decode the bytes of a MATLAB 5 file; ``path`` names it in errors.

    Raises:
        BadFileError: not such a file, damaged, too large, or its arrays are no events.
    """
    flat = _flat(data, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # SciPy warns of a damaged array and goes on
            count = _count(whosmat(io.BytesIO(flat)), path)
            arrays = loadmat(io.BytesIO(flat), variable_names=ARRAYS, mat_dtype=False)
    except BadFileError:
        raise
    except Exception as error:  # whatever SciPy makes of damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadFileError(f"{path}: damaged MATLAB file: {reason}; {_AGAIN}") from error
    for name in ARRAYS:
        found = arrays.get(name)
        if not isinstance(found, np.ndarray) or found.size != count or found.dtype.kind not in "iufb":
            raise BadFileError(f"{path}: array {name} is not as its header says; {_AGAIN}")
    x = _whole(arrays, "x", path, 0, np.iinfo(np.int16).max)
    y = _whole(arrays, "y", path, 0, np.iinfo(np.int16).max)
    t = _whole(arrays, "ts", path, 0, 1 << 62)
    p = _whole(arrays, "p", path, -1, 1)
    if p.size and p.min() < 0 and (p == 0).any():
        at = int(np.flatnonzero(p == 0)[0])
        raise BadFileError(
            f"{path}: p[{at}] is 0, but others are -1; expected -1 and 1, or 0 and 1, in one file"
        )
    return Events(x.astype(np.int16), y.astype(np.int16), t, (p > 0).astype(np.int8))


def _flat(data: bytes, path: Path | str) -> bytes:
    """Return the file with every top-level element uncompressed and within bounds."""
    if _HDF5 in (data[:8], data[512:520]) or data[124:128] in (b"\x00\x02IM", b"\x02\x00MI"):
        raise BadFileError(
            f"{path}: a MATLAB 7.3 (HDF5) file, expected MATLAB 5; save it again with "
            "save(..., '-v7')"
        )
    orders = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
    order = orders.get(data[124:_HEADER_BYTES])
    if order is None:
        raise BadFileError(
            f"{path}: bytes 124 to 127 are '{data[124:_HEADER_BYTES].hex()}', expected a MATLAB 5 "
            "header (0001494d or 01004d49); not a MATLAB 5 file, or damaged"
        )
    pieces, held, at = [data[:_HEADER_BYTES]], 0, _HEADER_BYTES
    while at < len(data):
        if at + 8 > len(data):
            raise BadFileError(
                f"{path}: cut off in the element at byte {at}: {len(data) - at} bytes of its "
                f"8-byte tag; {_AGAIN}"
            )
        kind, size = struct.unpack_from(f"{order}2I", data, at)
        if kind not in (_MATRIX, _COMPRESSED):
            raise BadFileError(
                f"{path}: element of type {kind} at byte {at}, expected an array ({_MATRIX}) or a "
                f"compressed one ({_COMPRESSED}); {_AGAIN}"
            )
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            raise BadFileError(
                f"{path}: cut off in the element at byte {at}: {len(body)} of {size} bytes; {_AGAIN}"
            )
        piece = (
            data[at : at + 8 + size]
            if kind == _MATRIX
            else _inflate(body, order, MAX_BYTES - held, f"{path}: compressed array at byte {at}")
        )
        held += len(piece)
        if held > MAX_BYTES:
            raise _too_large(f"{path}: array at byte {at}", held)
        pieces.append(piece)
        at += 8 + size
    return b"".join(pieces)


def _inflate(body: bytes, order: str, room: int, where: str) -> bytes:
    """Inflate one element to exactly the size its own tag states, if there is room for it."""
    stream = zlib.decompressobj()
    try:
        tag = stream.decompress(body, 8)
        kind, size = struct.unpack(f"{order}2I", tag)
        if kind != _MATRIX:
            raise BadFileError(f"{where}: holds an element of type {kind}, expected {_MATRIX}")
        if size > room:
            raise _too_large(where, MAX_BYTES - room + size)
        content = stream.decompress(stream.unconsumed_tail, max(size, 1))
        more = stream.decompress(stream.unconsumed_tail, 1) or len(content) > size
    except (zlib.error, struct.error) as error:
        raise BadFileError(f"{where}: cannot be inflated: {error}; {_AGAIN}") from error
    if len(content) != size or more or not stream.eof:
        relation = "more than" if more else f"{len(content)} of"
        raise BadFileError(f"{where}: inflates to {relation} the {size} bytes it states; {_AGAIN}")
    return tag + content


def _too_large(where: str, size: int) -> BadFileError:
    return BadFileError(
        f"{where}: the arrays take {size} bytes or more, over the limit of {MAX_BYTES}; "
        "split the recording"
    )


def _count(listed: list[tuple[str, tuple[int, ...], str]], path: Path | str) -> int:
    """Return the number of events that the arrays' headers agree on."""
    names = [name for name, _, _ in listed]
    missing = [name for name in ARRAYS if name not in names]
    if missing:
        raise BadFileError(
            f"{path}: no array {', '.join(missing)}; found {_listed(names)}, expected "
            f"{', '.join(ARRAYS)}"
        )
    others = [name for name in names if name not in ARRAYS]
    if others or len(names) > len(ARRAYS):
        what = _listed(others) if others else "an array twice"
        raise BadFileError(
            f"{path}: holds {what} besides {', '.join(ARRAYS)}; expected these four arrays alone"
        )
    lengths = {}
    for name, shape, kind in listed:
        if kind not in _NUMERIC:
            raise BadFileError(
                f"{path}: array {name} is of class {kind}, expected numbers (such as double)"
            )
        empty = 0 in shape and len(shape) == 2
        if not empty and (len(shape) != 2 or 1 not in shape):
            raise BadFileError(
                f"{path}: array {name} is {' x '.join(map(str, shape))}, expected n x 1 or 1 x n"
            )
        lengths[name] = 0 if empty else max(shape)
        if lengths[name] * _NUMERIC[kind] > MAX_BYTES:
            raise _too_large(f"{path}: array {name}", lengths[name] * _NUMERIC[kind])
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {lengths[name]}" for name in ARRAYS)
        raise BadFileError(f"{path}: arrays differ in length ({found}); expected one length")
    return lengths["x"]


def _listed(names: list[str]) -> str:
    shown = [name if name.isprintable() else repr(name) for name in names]
    return ", ".join(shown[:8]) + (", …" if len(shown) > 8 else "") if shown else "nothing"


def _whole(
    arrays: Mapping[str, NDArray[Any]], name: str, path: Path | str, low: int, high: int
) -> NDArray[np.int64]:
    """Return one column as int64, every value a whole number in ``[low, high]``."""
    values = arrays[name].reshape(-1)
    bad = (values < low) | (values > high)
    if values.dtype.kind == "f":
        bad |= ~(np.floor(values) == values)  # fractions, and NaN
    elif values.dtype.kind == "b":
        bad = np.zeros(values.size, np.bool_)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise BadFileError(
            f"{path}: {name}[{at}] is {values[at]} ({int(bad.sum())} such values), expected whole "
            f"numbers from {low} to {high}"
        )
    return values.astype(np.int64)
