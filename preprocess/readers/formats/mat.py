"""MATLAB 5 files (``.mat``) of CEP-DVS: one recording as the arrays ``x, y, ts, p``.

Each array is ``(n, 1)`` or ``(1, n)`` of any real numeric type: pixels from 0, microseconds,
polarity -1 or 0 (off) and 1 (on). Times may start below 0, as a signed counter's do. Further
arrays, such as a sensor's size or a note, are passed over with a remark, and never built.

Files come from strangers and are read here tag by tag: SciPy's reader ends the process on
some damaged files. Every size is checked against the bytes that are there; a compressed
array is inflated to the size that its own header states, within :data:`MAX_BYTES` for all
arrays together; nothing but four numeric columns is ever built, no cell, struct, object or
function.

A file is a 128-byte header, then elements of an 8-byte tag (type, length) and a body. An
array is an element of four others, each padded to 8 bytes: flags (class in the low byte),
dimensions, name, values. An element of up to 4 bytes may share one 8-byte word with its tag.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import BadFileError, plain
from ...disk.files import refuse_text
from ...disk.remarks import remark
from ...framing.events import Events
from ..base import READERS, Reader
from ..columns import coordinates, polarities, whole

ARRAYS = ("x", "y", "ts", "p")
MAX_BYTES = 1 << 29
"""Most that the arrays of one file may take inflated: 16 million events of four doubles."""

SECONDS = 10_000
"""Times with fractions that span less than this are taken for seconds: under three hours."""
EXTRA = "with arrays beside x, y, ts and p in their file: passed over"

_HEADER_BYTES = 128
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ORDERS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
_VERSION_7_3 = (b"\x00\x02IM", b"\x02\x00MI")
_INT32, _UINT32, _MATRIX, _COMPRESSED = 5, 6, 14, 15
_NAME_TYPES = (1, 2, 16)
_VALUES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"} | {
    13: "u8"
}
_NUMERIC_CLASSES = range(6, 16)
_OTHER_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse"} | {
    16: "function",
    17: "opaque object",
}
_COMPLEX = 0x0800
_AGAIN = "copy or download it again"


class _Array(NamedTuple):
    """One array as its header has it; ``values`` is a view, empty where it is none of the four."""

    name: str
    kind: str
    shape: tuple[int, ...]
    values: NDArray[Any]


def decode(data: bytes, path: Path | str, *, drops: bool = False) -> Events:
    """Decode the bytes of a MATLAB 5 file; ``path`` names it in errors.

    With ``drops``, a coordinate that no sensor has is
    :data:`~snntx.preprocess.framing.events.NOWHERE`.

    Raises:
        BadFileError: not such a file, damaged, too large, or its arrays are no events.
    """
    columns = _columns(list(_arrays(data, path)), path)
    x = coordinates(columns["x"], "x", path, drops=drops)
    y = coordinates(columns["y"], "y", path, drops=drops)
    _refuse_seconds(columns["ts"], path)
    t = whole(columns["ts"], "ts", path, -(1 << 61), 1 << 62)
    return Events(x, y, t, polarities(columns["p"], "p", path))


def _arrays(data: bytes, path: Path | str) -> Iterator[_Array]:
    """Yield the top-level arrays of a file."""
    if _HDF5 in (data[:8], data[512:520]) or data[124:128] in _VERSION_7_3:
        raise BadFileError(
            f"{path}: a MATLAB 7.3 (HDF5) file, expected MATLAB 5; save it again with "
            "save(..., '-v7')"
        )
    order = _ORDERS.get(data[124:_HEADER_BYTES])
    if order is None:
        refuse_text(data, path, "a MATLAB 5 file")
        raise BadFileError(
            f"{path}: bytes 124 to 127 are '{data[124:_HEADER_BYTES].hex()}', expected '0001494d' "
            "or '01004d49': not a MATLAB 5 file, or cut off; save it again with save(..., '-v7')"
        )
    at, held = _HEADER_BYTES, 0
    while at < len(data):
        where = f"{path}: array at byte {at}"
        if at + 8 > len(data):
            raise BadFileError(f"{where}: cut off after {len(data) - at} bytes; {_AGAIN}")
        kind, size = struct.unpack_from(f"{order}2I", data, at)
        if kind not in (_MATRIX, _COMPRESSED):
            raise BadFileError(
                f"{where}: element type {kind}, expected {_MATRIX} (an array) or {_COMPRESSED} (a "
                f"compressed one); {_AGAIN}"
            )
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            raise BadFileError(f"{where}: cut off, {len(body)} of {size} bytes; {_AGAIN}")
        if kind == _COMPRESSED:
            body = _inflate(body, order, MAX_BYTES - held, where)
        held += len(body)
        if held > MAX_BYTES:
            raise _too_large(where, held)
        yield _array(body, order, where)
        at += 8 + size


def _inflate(body: bytes, order: str, room: int, where: str) -> bytes:
    """Inflate one array to exactly the size its own tag states, if there is room for it."""
    stream = zlib.decompressobj()
    try:
        kind, size = struct.unpack(f"{order}2I", stream.decompress(body, 8))
        if kind != _MATRIX:
            raise BadFileError(f"{where}: element type {kind} compressed, expected {_MATRIX}")
        if size > room:
            raise _too_large(where, MAX_BYTES - room + size)
        content = stream.decompress(stream.unconsumed_tail, size + 1)
    except (zlib.error, struct.error) as error:
        raise BadFileError(f"{where}: cannot be inflated: {error}; {_AGAIN}") from error
    if len(content) != size or not stream.eof:
        found = f"more than {size}" if len(content) > size else f"{len(content)}"
        raise BadFileError(f"{where}: inflates to {found} bytes, states {size}; {_AGAIN}")
    return content


def _too_large(where: str, size: int) -> BadFileError:
    return BadFileError(
        f"{where}: the arrays take {size} bytes or more, the limit is {MAX_BYTES}; "
        "split the recording"
    )


def _array(body: bytes, order: str, where: str) -> _Array:
    """Read one array: flags, dimensions, name and values."""
    kind, flags, at = _element(body, 0, order, "flags", where)
    if kind != _UINT32 or len(flags) != 8:
        raise BadFileError(
            f"{where}: flags of type {kind} and {len(flags)} bytes, expected {_UINT32} and 8; "
            f"{_AGAIN}"
        )
    word = struct.unpack_from(f"{order}I", flags)[0]
    code = word & 0xFF
    if code == 17:  # an object of a class has no dimensions or name where others have them
        return _Array("", _OTHER_CLASSES[code], (), np.empty(0))
    kind, dimensions, at = _element(body, at, order, "dimensions", where)
    if kind != _INT32 or len(dimensions) % 4 or not 8 <= len(dimensions) <= 128:
        raise BadFileError(
            f"{where}: dimensions of type {kind} and {len(dimensions)} bytes, expected {_INT32} "
            f"and 8; {_AGAIN}"
        )
    shape = tuple(np.frombuffer(dimensions, f"{order}i4").tolist())
    kind, text, at = _element(body, at, order, "name", where)
    name = text.decode("latin-1")
    if kind not in _NAME_TYPES or len(text) > 255:
        raise BadFileError(f"{where}: name of type {kind} and {len(text)} bytes; {_AGAIN}")
    if code not in _NUMERIC_CLASSES:
        return _Array(name, _OTHER_CLASSES.get(code, f"unknown ({code})"), shape, np.empty(0))
    if word & _COMPLEX:
        return _Array(name, "complex", shape, np.empty(0))
    kind, content, at = _element(body, at, order, "values", where)
    if kind not in _VALUES:
        raise BadFileError(f"{where}: values of type {kind}, expected numbers; {_AGAIN}")
    dtype = np.dtype(order + _VALUES[kind])
    count = 1
    for length in shape:
        count *= length
    if min(shape) < 0 or count * dtype.itemsize != len(content) or at < len(body):
        raise BadFileError(
            f"{where}: {' x '.join(map(str, shape))} values of {dtype.itemsize} bytes in "
            f"{len(content)} bytes, {max(0, len(body) - at)} left over; {_AGAIN}"
        )
    values = np.frombuffer(content, dtype) if name in ARRAYS else np.empty(0)
    return _Array(name, "numbers", shape, values)


def _element(body: bytes, at: int, order: str, what: str, where: str) -> tuple[int, bytes, int]:
    """Return type and content of the element at ``at``, and where the next one begins."""
    if at + 8 > len(body):
        raise BadFileError(f"{where}: ends before its {what}; {_AGAIN}")
    kind, size = struct.unpack_from(f"{order}2I", body, at)
    if kind >> 16:  # tag and content in one word
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        whole = size <= 4
    else:
        start, end = at + 8, at + 8 + -(-size // 8) * 8
        whole = start + size <= len(body)
    if not whole:
        raise BadFileError(
            f"{where}: {what} of {size} bytes, but {len(body) - start} are left; {_AGAIN}"
        )
    return kind, body[start : start + size], end


def _columns(arrays: list[_Array], path: Path | str) -> dict[str, NDArray[Any]]:
    """Return the values of the four arrays, once they are numbers of one length."""
    expected = f"expected {', '.join(ARRAYS)}"
    names = [a.name for a in arrays]
    shown = ", ".join(_shown(a) for a in arrays[:8]) + (", …" if len(arrays) > 8 else "")
    missing = [name for name in ARRAYS if name not in names]
    if missing:
        raise BadFileError(
            f"{path}: no array {', '.join(missing)} (found {shown or 'nothing'}); {expected}"
        )
    for array in arrays:
        if array.name not in ARRAYS:
            remark("arrays", EXTRA)
        elif array.kind != "numbers":
            raise BadFileError(f"{path}: array {_shown(array)}, expected real numbers")
        elif names.count(array.name) > 1:
            raise BadFileError(f"{path}: {names.count(array.name)} arrays {array.name}, {expected}")
    columns = [a for a in arrays if a.name in ARRAYS]
    for array in columns:
        if 0 not in array.shape and (len(array.shape) != 2 or 1 not in array.shape):
            shape = " x ".join(map(str, array.shape))
            raise BadFileError(f"{path}: array {array.name} is {shape}, expected n x 1 or 1 x n")
    if len({a.values.size for a in columns}) > 1:
        found = ", ".join(f"{a.name} {a.values.size}" for a in columns)
        raise BadFileError(f"{path}: arrays differ in length ({found}); expected one length")
    return {a.name: a.values for a in columns}


def _shown(array: _Array) -> str:
    name = plain(array.name) or "''"
    return name if array.kind == "numbers" else f"{name} of class {array.kind}"


def _refuse_seconds(values: NDArray[Any], path: Path | str) -> None:
    """Refuse times that are no whole numbers, and say so where they look like seconds."""
    if values.dtype.kind != "f" or not values.size or not np.isfinite(values).all():
        return
    fractions = np.flatnonzero(np.floor(values) != values)
    if fractions.size:
        at = int(fractions[0])
        span = float(values.max() - values.min())
        unit = (
            "seconds or milliseconds; multiply them by 1e6 or 1e3,"
            if span < SECONDS
            else "fractions of one;"
        )
        raise BadFileError(
            f"{path}: ts[{at}] is {values[at]} ({fractions.size} such values, {span:g} from first "
            f"to last), expected whole microseconds: these look like {unit} round them, and save "
            "the file again"
        )


@READERS.register("mat")
class Mat(Reader):
    """Reads MATLAB 5 files: one recording each."""

    record_bytes = 1
    """Compressed columns of regular events take few bytes an event, never much less than one."""
    timers = (1 << 31, 1 << 32)
    """Of the 32-bit counters that such times are copied from, with or without a sign."""

    def decode(self, data: bytes, path: Path | str) -> Events:
        """Decode the bytes of a file."""
        return decode(data, path, drops=self.drops)
