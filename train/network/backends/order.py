"""The two orders in which a current may lie in memory.

A tensor ``(T, B, C, H, W)`` is dense and either contiguous or channels-last: the channels are
then innermost, and flattened over T and B it has the strides of PyTorch's ``channels_last``.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
