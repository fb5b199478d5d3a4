"""Elements of arrays in compiled code, as Numba does not have them: bfloat16, and no checks.

``get`` and ``put`` take a one-dimensional array without gaps and a place that is not negative.
float32 and float64 come and go as they are; a uint16 array holds bfloat16, which is read as
float32 and written rounded to nearest, ties to even. They compile to a load or a store with at
most a shift beside it, so loops around them vectorise, and they cost the compiler a fraction of
what slices and array expressions do.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["get", "like", "put"]

_BITS, _FLOAT = ir.IntType(32), ir.FloatType()


@intrinsic  # type: ignore[untyped-decorator]
def get(typing: Any, array: Any, at: Any) -> Any:
    """Return ``array[at]``, float32 of a bfloat16."""
    narrow = array.dtype == types.uint16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = builder.load(_place(context, builder, signature, arguments))
        if not narrow:
            return element
        return builder.bitcast(builder.shl(builder.zext(element, _BITS), _BITS(16)), _FLOAT)

    return (types.float32 if narrow else array.dtype)(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def put(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Write a value into ``array[at]``, rounded to what it holds."""
    narrow = array.dtype == types.uint16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = _rounded(builder, arguments[2]) if narrow else arguments[2]
        builder.store(value, _place(context, builder, signature, arguments))
        return context.get_dummy_value()

    taken = types.float32 if narrow else array.dtype
    return types.void(array, types.intp, taken), generate


@intrinsic  # type: ignore[untyped-decorator]
def like(typing: Any, array: Any, value: Any) -> Any:
    """Return a number in the type that an array is computed in: float64 of its own, or float32."""
    exact = array.dtype == types.float64

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[1] if exact else builder.fptrunc(arguments[1], _FLOAT)

    return (types.float64 if exact else types.float32)(array, types.float64), generate


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]], inbounds=True)


def _rounded(builder: Any, value: Any) -> Any:
    """Round a float32 to the 16 bits of a bfloat16; a NaN keeps its upper bits and stays one."""
    bits = builder.bitcast(value, _BITS)
    upper = builder.lshr(bits, _BITS(16))
    up = builder.add(_BITS(0x7FFF), builder.and_(upper, _BITS(1)))
    moved = builder.lshr(builder.add(bits, up), _BITS(16))
    quiet = builder.or_(upper, _BITS(0x40))
    is_number = builder.fcmp_ordered("==", value, value)
    return builder.trunc(builder.select(is_number, moved, quiet), ir.IntType(16))
