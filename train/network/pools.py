"""Windows of pixels taken together: averaged, or their maximum.

In: sequences ``(T, B, C, H, W)``. Out: ``(T, B, C, H // p, W // p)``; odd borders are dropped.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .synapses import Activity


def average_pool(sequence: Tensor, size: int = 2) -> Tensor:
    """Average each step over ``size`` x ``size`` windows; odd borders are dropped.

    ``(T, B, C, H, W)`` to ``(T, B, C, H // size, W // size)``.
    """
    if size == 1:
        return sequence
    pooled = functional.avg_pool2d(sequence.flatten(0, 1), size)
    return pooled.view(*sequence.shape[:2], *pooled.shape[1:])


def pooled_activity(activity: Activity, size: int, kind: str) -> Activity:
    """Return an activity over windows of ``size`` x ``size``; ``kind`` is ``average`` or ``max``.

    The gradient of a maximum that is reached several times goes to the first, row by row.
    """
    values, codes, unit = activity
    if kind == "max":
        pooled, counts = _MaxPool.apply(values, codes, size)  # type: ignore[no-untyped-call]
        return Activity(pooled, counts, unit)
    pooled = average_pool(values, size)
    if codes is None or size > 1:
        return Activity(pooled)
    return Activity(pooled, codes, unit)


class _MaxPool(torch.autograd.Function):
    """The maximum over windows, which remembers one byte for each: where it was reached."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, codes: Tensor | None, size: int
    ) -> tuple[Tensor, Tensor | None]:
        best, place, most = _corner(values, size, 0), None, None
        if codes is not None:
            most = _corner(codes, size, 0).clone()
        place = torch.zeros_like(best, dtype=torch.uint8)
        for number in range(1, size * size):
            other = _corner(values, size, number)
            more = other > best
            best = torch.where(more, other, best)
            place.masked_fill_(more, number)
            if codes is not None and most is not None:
                torch.maximum(most, _corner(codes, size, number), out=most)
        ctx.save_for_backward(place)
        ctx.size, ctx.laid = size, (values.shape, values.stride())
        return best, most

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (place,) = ctx.saved_tensors
        arriving, size = grad_outputs[0], ctx.size
        grad = arriving.new_empty_strided(*ctx.laid).zero_()
        for number in range(size * size):
            _corner(grad, size, number).copy_(arriving * (place == number))
        return grad, None, None


def _corner(maps: Tensor, size: int, number: int) -> Tensor:
    """Return one pixel of each window, numbered row by row, as a view."""
    height, width = (side // size for side in maps.shape[-2:])
    row, column = divmod(number, size)
    return maps[..., row : height * size : size, column : width * size : size]
