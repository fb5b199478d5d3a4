"""Normalisation and neurons of one layer as one PyTorch operator, ``snntx::norm_neuron``.

Forward: statistics of the current where asked for, then one pass over all steps. Saved for
backward: the current and what is per channel; membranes are computed again. The operator is
registered with a fake implementation, so ``torch.compile`` and export see through it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..neurons import Dynamics
from ..surrogates import Surrogate
from .interface import Affine, Normalised, Population
from .names import fused_backend, is_channels_last


class NormNeuron(NamedTuple):
    """What the operator returns: see ``norm_neuron``."""

    values: Tensor
    codes: Tensor
    membrane: Tensor
    mean: Tensor
    variance: Tensor


def norm_neuron(
    current: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    leak: Tensor,
    threshold: Tensor,
    *,
    groups: int,
    epsilon: float,
    dynamics: Dynamics,
    surrogate: Surrogate,
    pool: int,
    membrane: bool,
    backend: str,
) -> NormNeuron:
    """Normalise a current and run its neurons over all steps, in one operator.

    Args:
        current: ``(T, B, C, H, W)``.
        weight: of the normalisation, ``(C,)``; None for no normalisation.
        bias: likewise.
        mean: given statistics ``(1, C)``; None takes the batch's own.
        variance: likewise, biased.
        leak: 0-d.
        threshold: 0-d.
        groups: steps that have statistics of their own: T, or 1 for all together.
        epsilon: added to the variance.
        dynamics: how the neurons charge and reset.
        surrogate: their slope.
        pool: side of the windows over which spikes are averaged.
        membrane: return the membranes too.
        backend: ``numba`` or ``triton``.

    Returns:
        ``values`` and ``codes`` ``(T, B, C, H // p, W // p)`` with values = codes / p²;
        ``membrane`` ``(T, B, C, H, W)`` float32 or empty; ``mean`` and biased ``variance``
        ``(G, C)`` of the batch, or empty.
    """
    return NormNeuron(
        *torch.ops.snntx.norm_neuron(
            current,
            weight,
            bias,
            mean,
            variance,
            leak,
            threshold,
            groups,
            epsilon,
            *dynamics,
            surrogate.code,
            surrogate.alpha,
            pool,
            membrane,
            backend,
        )
    )


@torch.library.custom_op("snntx::norm_neuron", mutates_args=())
def _norm_neuron(
    current: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    leak: Tensor,
    threshold: Tensor,
    groups: int,
    epsilon: float,
    decay_input: bool,
    soft_reset: bool,
    detach_reset: bool,
    surrogate: int,
    alpha: float,
    pool: int,
    membrane: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    module = fused_backend(backend)
    population = Population(
        leak.float(),
        threshold.float(),
        Dynamics(decay_input, soft_reset, detach_reset),
        surrogate,
        alpha,
    )
    own = _nothing(current), _nothing(current)  # no two results may share memory
    affine = None
    if weight is not None and bias is not None:
        if mean is None or variance is None:
            own = module.statistics(current, groups)
        used = own if mean is None or variance is None else (mean, variance)
        affine = _affine(weight, bias, used[0], _rstd(used[1], epsilon))
    fired = module.forward(current, affine, population, pool=pool, membrane=membrane)
    return (*fired, *own)


@_norm_neuron.register_fake
def _(
    current: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    leak: Tensor,
    threshold: Tensor,
    groups: int,
    epsilon: float,
    decay_input: bool,
    soft_reset: bool,
    detach_reset: bool,
    surrogate: int,
    alpha: float,
    pool: int,
    membrane: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    height, width = current.shape[-2:]
    values = _ordered(current, height // pool, width // pool, current.dtype, backend)
    codes = _ordered(current, height // pool, width // pool, torch.uint8, backend)
    kept = _nothing(current)
    if membrane:
        kept = _ordered(current, height, width, torch.float32, backend)
    own = weight is not None and (mean is None or variance is None)
    shape = (groups, current.shape[2])
    statistics = [current.new_empty(shape if own else 0, dtype=torch.float32) for _ in range(2)]
    return values, codes, kept, statistics[0], statistics[1]


@torch.library.custom_op("snntx::norm_neuron_backward", mutates_args=())
def _backward(
    grad_values: Tensor,
    grad_membrane: Tensor | None,
    current: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    leak: Tensor,
    threshold: Tensor,
    batch_statistics: bool,
    scalars: bool,
    epsilon: float,
    decay_input: bool,
    soft_reset: bool,
    detach_reset: bool,
    surrogate: int,
    alpha: float,
    pool: int,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    population = Population(
        leak.detach().float().requires_grad_(scalars),
        threshold.detach().float().requires_grad_(scalars),
        Dynamics(decay_input, soft_reset, detach_reset),
        surrogate,
        alpha,
    )
    affine, normalised = None, None
    if weight is not None and bias is not None and mean is not None and variance is not None:
        rstd = _rstd(variance, epsilon)
        affine = _affine(weight, bias, mean, rstd)
        normalised = Normalised(mean.float(), rstd, weight.float(), batch_statistics)
    grads = fused_backend(backend).backward(
        grad_values, grad_membrane, current, affine, normalised, population, pool=pool
    )
    return (*grads,)  # an operator returns a plain tuple


@_backward.register_fake
def _(
    grad_values: Tensor,
    grad_membrane: Tensor | None,
    current: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    leak: Tensor,
    threshold: Tensor,
    batch_statistics: bool,
    scalars: bool,
    epsilon: float,
    decay_input: bool,
    soft_reset: bool,
    detach_reset: bool,
    surrogate: int,
    alpha: float,
    pool: int,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    height, width = current.shape[-2:]
    grad = _ordered(current, height, width, current.dtype, backend)
    channels = [
        current.new_empty(0 if weight is None else len(weight), dtype=torch.float32)
        for _ in range(2)
    ]
    numbers = [current.new_empty((), dtype=torch.float32) for _ in range(2)]
    return grad, channels[0], channels[1], numbers[0], numbers[1]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    current, weight, bias, mean, variance, leak, threshold = inputs[:7]
    ctx.batch = weight is not None and (mean is None or variance is None)
    used = output[3:] if ctx.batch else (mean, variance)
    ctx.save_for_backward(current, weight, bias, *used, leak, threshold)
    _, ctx.epsilon, *ctx.neuron, ctx.pool, ctx.membrane, ctx.backend = inputs[7:]
    ctx.set_materialize_grads(False)
    ctx.shape, ctx.values_shape = current.shape, output[0].shape


def _differentiate(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    current, weight, bias, mean, variance, leak, threshold = ctx.saved_tensors
    grad_values, _, grad_membrane, *_ = grads
    if grad_values is None:
        grad_values = current.new_zeros(()).expand(ctx.values_shape)
    scalars = ctx.needs_input_grad[5] or ctx.needs_input_grad[6]
    by_current, by_weight, by_bias, by_leak, by_threshold = torch.ops.snntx.norm_neuron_backward(
        grad_values,
        grad_membrane if ctx.membrane else None,
        current,
        weight,
        bias,
        mean,
        variance,
        leak,
        threshold,
        ctx.batch,
        scalars,
        ctx.epsilon,
        *ctx.neuron,
        ctx.pool,
        ctx.backend,
    )
    normed = weight is not None
    return (
        by_current,
        by_weight.to(weight.dtype) if normed else None,
        by_bias.to(bias.dtype) if normed else None,
        None,
        None,
        by_leak.to(leak.dtype) if scalars else None,
        by_threshold.to(threshold.dtype) if scalars else None,
        *[None] * 10,
    )


_norm_neuron.register_autograd(_differentiate, setup_context=_save)


def _nothing(current: Tensor) -> Tensor:
    return current.new_empty(0, dtype=torch.float32)


def _rstd(variance: Tensor, epsilon: float) -> Tensor:
    return (variance.float() + epsilon).rsqrt()


def _affine(weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor) -> Affine:
    scale = weight.float() * rstd
    return Affine(scale, bias.float() - mean.float() * scale)


def _ordered(current: Tensor, height: int, width: int, dtype: torch.dtype, backend: str) -> Tensor:
    """Return an empty ``(T, B, C, height, width)`` in the order that the backend gives."""
    steps, batch, channels = current.shape[:3]
    if backend == "numba" or is_channels_last(current):
        shape = (steps, batch, height, width, channels)
        return current.new_empty(shape, dtype=dtype).permute(0, 1, 4, 2, 3)
    return current.new_empty((steps, batch, channels, height, width), dtype=dtype)
