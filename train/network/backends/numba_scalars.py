"""Numbers that NumPy and Numba do not know: bfloat16 as the 16 bits that hold it.

``to_float`` and ``from_float`` take an element of a float32 array, or of a uint16 array that
holds bfloat16, and compile to nothing or to a shift; loops around them vectorise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["from_float", "to_float"]


@intrinsic  # type: ignore[untyped-decorator]
def _float_of_bits(typing: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic  # type: ignore[untyped-decorator]
def _bits_of_float(typing: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


def to_float(element: Any) -> Any:
    """Return an element as float32."""
    raise NotImplementedError("compiled code only")


@overload(to_float, inline="always")  # type: ignore[untyped-decorator]
def _to_float(element: Any) -> Any:
    def widened(element: Any) -> Any:
        return _float_of_bits(np.uint32(element) << np.uint32(16))

    def same(element: Any) -> Any:
        return element

    return {types.uint16: widened, types.float32: same}.get(element)


def from_float(value: Any, like: Any) -> Any:
    """Return a float32 as an element of the kind of ``like``, rounded to nearest, ties to even."""
    raise NotImplementedError("compiled code only")


@overload(from_float, inline="always")  # type: ignore[untyped-decorator]
def _from_float(value: Any, like: Any) -> Any:
    def rounded(value: Any, like: Any) -> Any:
        bits = _bits_of_float(np.float32(value))
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        moved = np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))
        # a NaN keeps its upper bits and stays one
        quiet = np.uint16((bits >> np.uint32(16)) | np.uint32(0x40))
        return moved if value == value else quiet

    def same(value: Any, like: Any) -> Any:
        return value

    return {types.uint16: rounded, types.float32: same}.get(like)
