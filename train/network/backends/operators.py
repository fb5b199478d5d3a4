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
from .interface import Affine, Arrived, Layer, Normalised, Population
from .names import fused_backend
from .order import empty, is_channels_last, wide


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
        surrogate: their slope, of a kind that the kernels have a code of.
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


_LAYER = (
    "Tensor current, Tensor? weight, Tensor? bias, Tensor? mean, Tensor? variance, "
    "Tensor leak, Tensor threshold"
)
_NUMBERS = (
    "float epsilon, bool decay_input, bool soft_reset, bool detach_reset, int surrogate, "
    "float alpha, int pool"
)
_FIVE = "(Tensor, Tensor, Tensor, Tensor, Tensor)"


class _Inputs(NamedTuple):
    """``_LAYER`` of the schemas: what a layer computes with, the statistics being given or None."""

    current: Tensor
    weight: Tensor | None
    bias: Tensor | None
    mean: Tensor | None
    variance: Tensor | None
    leak: Tensor
    threshold: Tensor

    def affine(self, mean: Tensor, rstd: Tensor) -> Affine:
        """Return the normalisation with these statistics, ``(G, C)``."""
        assert self.weight is not None
        assert self.bias is not None
        kind = wide(self.current.dtype)
        scale = self.weight.to(kind) * rstd
        return Affine(scale, self.bias.to(kind) - mean.to(kind) * scale)


class _Numbers(NamedTuple):
    """``_NUMBERS`` of the schemas: what is decided once for a layer."""

    epsilon: float
    decay_input: bool
    soft_reset: bool
    detach_reset: bool
    surrogate: int
    alpha: float
    pool: int

    def population(self, leak: Tensor, threshold: Tensor) -> Population:
        """Return the neurons with this leak and threshold, 0-d."""
        return Population(leak, threshold, Dynamics(*self[1:4]), *self[4:6])

    def rstd(self, variance: Tensor, kind: torch.dtype) -> Tensor:
        """Return what the normalisation divides by, inverted."""
        return (variance.to(kind) + self.epsilon).rsqrt()


def _parts(arguments: tuple[Any, ...], flags: int) -> tuple[_Inputs, Any, _Numbers, Any]:
    """Return the inputs, the ``flags`` that follow them, the numbers, and what comes last."""
    first, then = len(_Inputs._fields), len(_Inputs._fields) + flags
    last = then + len(_Numbers._fields)
    inputs, numbers = _Inputs(*arguments[:first]), _Numbers(*arguments[then:last])
    return inputs, arguments[first:then], numbers, arguments[last:]


@torch.library.custom_op(
    "snntx::norm_neuron",
    mutates_args=(),
    schema=f"({_LAYER}, int groups, {_NUMBERS}, bool membrane, str backend) -> {_FIVE}",
)
def _norm_neuron(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, (groups,), numbers, (membrane, backend) = _parts(arguments, 1)
    module, kind = fused_backend(backend), wide(inputs.current.dtype)
    own = _nothing(inputs.current), _nothing(inputs.current)  # no two results may share memory
    affine = None
    if inputs.weight is not None:
        if inputs.mean is None or inputs.variance is None:
            mean, variance = own = module.statistics(inputs.current, groups)
        else:
            mean, variance = inputs.mean, inputs.variance
        affine = inputs.affine(mean, numbers.rstd(variance, kind))
    population = numbers.population(inputs.leak.to(kind), inputs.threshold.to(kind))
    layer = Layer(inputs.current, affine, population, numbers.pool)
    return (*module.forward(layer, membrane=membrane), *own)


@_norm_neuron.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, (groups,), numbers, (membrane, backend) = _parts(arguments, 1)
    current = inputs.current
    height, width = current.shape[-2:]
    last = backend == "numba" or is_channels_last(current)
    pooled = (height // numbers.pool, width // numbers.pool)
    values = empty(current, *pooled, current.dtype, last=last)
    codes = empty(current, *pooled, torch.uint8, last=last)
    kept = _nothing(current)
    if membrane:
        kept = empty(current, height, width, wide(current.dtype), last=last)
    own = inputs.weight is not None and (inputs.mean is None or inputs.variance is None)
    shape = (groups, current.shape[2])
    kind = wide(current.dtype)
    statistics = [current.new_empty(shape if own else 0, dtype=kind) for _ in range(2)]
    return values, codes, kept, statistics[0], statistics[1]


@torch.library.custom_op(
    "snntx::norm_neuron_backward",
    mutates_args=(),
    schema=f"(Tensor grad_values, Tensor? grad_membrane, {_LAYER}, bool batch_statistics, "
    f"bool scalars, {_NUMBERS}, str backend) -> {_FIVE}",
)
def _backward(
    grad_values: Tensor, grad_membrane: Tensor | None, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, (batch_statistics, scalars), numbers, (backend,) = _parts(arguments, 2)
    kind = wide(inputs.current.dtype)
    leak, threshold = (
        each.detach().to(kind).requires_grad_(scalars) for each in (inputs.leak, inputs.threshold)
    )
    affine, normalised = None, None
    if inputs.weight is not None and inputs.mean is not None and inputs.variance is not None:
        rstd = numbers.rstd(inputs.variance, kind)
        affine = inputs.affine(inputs.mean, rstd)
        wides = inputs.mean.to(kind), rstd, inputs.weight.to(kind)
        normalised = Normalised(*wides, batch_statistics)
    layer = Layer(inputs.current, affine, numbers.population(leak, threshold), numbers.pool)
    arrived = Arrived(grad_values, grad_membrane)
    grads = fused_backend(backend).backward(layer, arrived, normalised)
    return (*grads,)  # an operator returns a plain tuple


@_backward.register_fake
def _(
    grad_values: Tensor, grad_membrane: Tensor | None, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, _, _, (backend,) = _parts(arguments, 2)
    current, weight = inputs.current, inputs.weight
    height, width = current.shape[-2:]
    last = backend == "numba" or is_channels_last(current)
    grad = empty(current, height, width, current.dtype, last=last)
    kind, many = wide(current.dtype), 0 if weight is None else len(weight)
    channels = [current.new_empty(many, dtype=kind) for _ in range(2)]
    numbers = [current.new_empty((), dtype=kind) for _ in range(2)]
    return grad, channels[0], channels[1], numbers[0], numbers[1]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    layer, _, ctx.numbers, (ctx.membrane, ctx.backend) = _parts(inputs, 1)
    ctx.batch = layer.weight is not None and (layer.mean is None or layer.variance is None)
    if ctx.batch:
        layer = layer._replace(mean=output[3], variance=output[4])
    ctx.save_for_backward(*layer)
    ctx.set_materialize_grads(False)
    ctx.values_shape = output[0].shape


def _differentiate(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    inputs = _Inputs(*ctx.saved_tensors)
    _, weight, bias, _, _, leak, threshold = inputs
    grad_values, _, grad_membrane, *_ = grads
    if grad_values is None:
        grad_values = inputs.current.new_zeros(()).expand(ctx.values_shape)
    scalars = ctx.needs_input_grad[5] or ctx.needs_input_grad[6]
    by_current, by_weight, by_bias, by_leak, by_threshold = torch.ops.snntx.norm_neuron_backward(
        grad_values,
        grad_membrane if ctx.membrane else None,
        *inputs,
        ctx.batch,
        scalars,
        *ctx.numbers,
        ctx.backend,
    )
    return (
        by_current,
        None if weight is None else by_weight.to(weight.dtype),
        None if bias is None else by_bias.to(bias.dtype),
        None,
        None,
        by_leak.to(leak.dtype) if scalars else None,
        by_threshold.to(threshold.dtype) if scalars else None,
        *[None] * 10,
    )


_norm_neuron.register_autograd(_differentiate, setup_context=_save)


def _nothing(current: Tensor) -> Tensor:
    return current.new_empty(0, dtype=wide(current.dtype))
