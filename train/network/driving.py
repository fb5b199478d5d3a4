"""What drives a layer's neurons: its currents normalised, pooled and attended to.

In: currents ``(T, B, C, H, W)``. Out: ``(T, B, C, H // p, W // p)``. The backward pass keeps the
currents, what is per channel and, with an attention, the maps that it gets: a pool would keep its
input too, and the neurons what the attention returned. That is made again from the maps.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from .attention.asa import ASA
from .norm import StepNorm, normalised
from .pools import average_pool
from .recompute import made_again, recomputing


def driven(
    currents: Tensor, norm: StepNorm | None, pool: int, attention: ASA | None
) -> tuple[Tensor, AbstractContextManager[Any]]:
    """Return the currents after a norm, an average pool of ``pool`` x ``pool`` and an attention.

    And a context for what they drive: inside of it what a compiled attention returned is not kept
    for the backward pass.
    """
    maps = normalised_and_pooled(norm, currents, pool)
    if attention is None:
        return maps, nullcontext()
    attended, again = attention.attending(maps)
    return attended, nullcontext() if again is None else made_again(attended, again)


def normalised_and_pooled(norm: StepNorm | None, currents: Tensor, pool: int) -> Tensor:
    """Return the normalised currents, averaged over windows of ``pool`` x ``pool``."""
    if norm is None:
        return average_pool(currents, pool)
    if pool == 1 or norm.kind != "merged":
        return average_pool(normalised(norm, currents), pool)
    if norm.training and not recomputing():
        norm.num_batches_tracked.add_(1)
    statistics = norm.running_mean, norm.running_var
    if norm.training and recomputing():
        statistics = statistics[0].clone(), statistics[1].clone()
    numbers = norm.training, norm.momentum, norm.eps, pool
    out: Tensor = _PooledNorm.apply(  # type: ignore[no-untyped-call]
        currents, norm.weight, norm.bias, *statistics, *numbers
    )
    return out


class _PooledNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        currents: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        training: bool,
        momentum: float,
        eps: float,
        pool: int,
    ) -> Tensor:
        flat = currents.flatten(0, 1)
        responses, own, rstd = torch.ops.aten.native_batch_norm(
            flat, weight, bias, mean, variance, training, momentum, eps
        )
        used = (None, None) if training else (mean, variance)
        ctx.save_for_backward(flat, weight, *used, own, rstd)
        ctx.numbers, ctx.batch = (training, eps, pool), currents.shape[:2]
        return average_pool(responses.view(currents.shape), pool)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight, mean, variance, own, rstd = ctx.saved_tensors
        training, eps, pool = ctx.numbers
        grad = torch.ops.aten.avg_pool2d_backward(
            grad_outputs[0].flatten(0, 1),
            flat,
            [pool, pool],
            [pool, pool],
            [0, 0],
            False,
            True,
            None,
        )
        asked = list(ctx.needs_input_grad[:3])
        by_flat, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            grad, flat, weight, mean, variance, own, rstd, training, eps, asked
        )
        by_currents = by_flat.view(*ctx.batch, *flat.shape[1:]) if asked[0] else None
        return by_currents, by_weight, by_bias, *[None] * 6
