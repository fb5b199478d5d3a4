"""The two orders in which a current may lie in memory.

A tensor ``(T, B, C, H, W)`` is dense and either contiguous or channels-last: the channels are
then innermost, and flattened over T and B it has the strides of PyTorch's ``channels_last``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return the type of the numbers beside currents of a type, and of all arithmetic."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def is_channels_last(current: Tensor) -> bool:
    """Return whether ``(T, B, C, H, W)`` is dense with the channels innermost."""
    return current.flatten(0, 1).is_contiguous(memory_format=torch.channels_last) and not (
        current.is_contiguous()
    )


def dense(tensor: Tensor, *, last: bool) -> Tensor:
    """Return ``(T, B, C, H, W)`` in one order, copied only if it is in the other."""
    if not last:
        return tensor.contiguous()
    flat = tensor.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return flat.view(tensor.shape)


def empty(current: Tensor, height: int, columns: int, dtype: torch.dtype, *, last: bool) -> Tensor:
    """Return an empty ``(T, B, C, height, columns)`` in one order, on the current's device."""
    steps, batch, channels = current.shape[:3]
    if last:
        inner = current.new_empty((steps, batch, height, columns, channels), dtype=dtype)
        return inner.permute(0, 1, 4, 2, 3)
    return current.new_empty((steps, batch, channels, height, columns), dtype=dtype)


def written_out(current: Tensor) -> Tensor:
    """Return a current whose steps share one place in memory as a dense one, in that step's order.

    So are the currents of images that do not change over time, which are convolved once. Any
    other current is returned as it is.
    """
    if len(current) == 1 or current.stride(0):
        return current
    height, columns = current.shape[3:]
    whole = empty(current, height, columns, current.dtype, last=not current[0].is_contiguous())
    return whole.copy_(current)


def array_of(tensor: Tensor) -> Any:
    """Return a channels-last ``(T, B, C, H, W)`` flat, in the order ``(T, B, H, W, C)``.

    It shares its memory; bfloat16 comes as uint16.
    """
    flat = tensor.detach().permute(0, 1, 3, 4, 2).reshape(-1)
    if tensor.dtype == torch.bfloat16:
        return flat.view(torch.uint16).numpy()
    return flat.numpy()
