"""Connections between layers, fed by spikes that are remembered as one byte each.

A convolution's backward pass needs its input. Where that is spikes, or spikes averaged over a
window, their counts (uint8) are kept instead of the values, and the values made again.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Activity(NamedTuple):
    """What a layer sends on, ``(T, B, ...)``.

    ``values`` carry the gradient. ``codes`` (uint8, same shape), where there are any, hold the
    same numbers: values = codes · ``unit``.
    """

    values: Tensor
    codes: Tensor | None = None
    unit: float = 1.0

    def flatten(self) -> Activity:
        """Return it as ``(T, B, N)``."""
        codes = None if self.codes is None else self.codes.flatten(2)
        return Activity(self.values.flatten(2), codes, self.unit)


class _CodedConvolution(torch.autograd.Function):
    """A 2-d convolution without bias that keeps its input's codes."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, codes: Tensor, weight: Tensor, unit: float, *geometry: int
    ) -> Tensor:
        stride, padding = geometry
        output = functional.conv2d(values, weight, None, stride, padding)
        ctx.save_for_backward(codes, weight)
        ctx.unit, ctx.geometry, ctx.dtypes = unit, geometry, (values.dtype, output.dtype)
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        codes, weight = ctx.saved_tensors
        values_dtype, dtype = ctx.dtypes
        stride, padding = ctx.geometry
        by_values, by_weight, _ = torch.ops.aten.convolution_backward(
            grad_outputs[0].to(dtype),
            decode(codes, ctx.unit, dtype),
            weight.to(dtype),
            None,
            [stride, stride],
            [padding, padding],
            [1, 1],
            False,
            [0, 0],
            1,
            [ctx.needs_input_grad[0], ctx.needs_input_grad[2], False],
        )
        return (
            None if by_values is None else by_values.to(values_dtype),
            None,
            None if by_weight is None else by_weight.to(weight.dtype),
            None,
            None,
            None,
        )


class _CodedLinear(torch.autograd.Function):
    """A linear map that keeps its input's codes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, codes: Tensor, weight: Tensor, unit: float) -> Tensor:
        output = functional.linear(values, weight)
        ctx.save_for_backward(codes, weight)
        ctx.unit, ctx.dtypes = unit, (values.dtype, output.dtype)
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        codes, weight = ctx.saved_tensors
        values_dtype, dtype = ctx.dtypes
        grad = grad_outputs[0].to(dtype)
        by_values, by_weight = None, None
        if ctx.needs_input_grad[0]:
            by_values = (grad @ weight.to(dtype)).to(values_dtype)
        if ctx.needs_input_grad[2]:
            by_weight = (grad.mT @ decode(codes, ctx.unit, dtype)).to(weight.dtype)
        return by_values, None, by_weight, None


def decode(codes: Tensor, unit: float, dtype: torch.dtype) -> Tensor:
    """Return the values of codes."""
    values = codes.to(dtype)
    return values if unit == 1 else values.mul_(unit)


def convolve(activity: Activity, conv: nn.Conv2d) -> Tensor:
    """Return the currents ``(T, B, C, H, W)`` of a convolution, all steps at once.

    With ``codes`` it has to be square in stride and padding, without groups or dilation.
    """
    values, codes, unit = activity
    flat, picked = values.flatten(0, 1), _is_unsafe(conv)
    if picked:
        stride = conv.stride[0]
        flat = flat[..., ::stride, ::stride]
        codes = None if codes is None else codes[..., ::stride, ::stride]
    if codes is None or not torch.is_grad_enabled():
        out: Tensor = functional.conv2d(flat, conv.weight, conv.bias) if picked else conv(flat)
    else:
        geometry = conv.stride[0], cast(tuple[int, ...], conv.padding)[0]
        geometry = (1, 0) if picked else geometry
        out = _CodedConvolution.apply(  # type: ignore[no-untyped-call]
            flat, codes.flatten(0, 1), conv.weight, unit, *geometry
        )
        if conv.bias is not None:
            out = out + conv.bias.view(-1, 1, 1)
    return out.view(*values.shape[:2], *out.shape[1:])


def _is_unsafe(conv: nn.Conv2d) -> bool:
    """Say whether a convolution's backward pass may write beyond its memory on the CPU.

    oneDNN (3.12, in torch 2.13) does so for several threads where a 1 x 1 convolution with stride
    has channels innermost whose number 16 does not divide. Its input's pixels are picked first.
    """
    alone = conv.kernel_size == (1, 1) and conv.padding == (0, 0) and conv.groups == 1
    return alone and conv.stride[0] == conv.stride[1] > 1 and conv.in_channels % 16 != 0


def connect(activity: Activity, linear: nn.Linear) -> Tensor:
    """Return the currents ``(T, B, N)`` of a linear map, all steps at once."""
    values, codes, unit = activity
    flat = values.flatten(0, 1)
    if codes is None or not torch.is_grad_enabled():
        out: Tensor = linear(flat)
    else:
        out = _CodedLinear.apply(  # type: ignore[no-untyped-call]
            flat, codes.flatten(0, 1), linear.weight, unit
        )
        if linear.bias is not None:
            out = out + linear.bias
    return out.view(*values.shape[:2], *out.shape[1:])


def convolve_once(frames: Tensor, constant: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return the currents of frames of which some do not change over time.

    A constant sample is convolved once instead of T times, and its current used at each step.

    Args:
        frames: ``(T, B, C, H, W)``.
        constant: ``(B,)`` bool on the CPU; true where all T frames are the same.
        conv: the convolution.
    """
    steps, batch = frames.shape[:2]
    still, moving = constant.nonzero().flatten(), (~constant).nonzero().flatten()
    if not len(still):
        return convolve(Activity(frames), conv)
    once: Tensor = conv(frames[0, still.to(frames.device)])
    if len(still) == batch:
        return once.expand(steps, *once.shape)
    parts = frames[:, moving.to(frames.device)]
    all_steps: Tensor = conv(parts.flatten(0, 1))
    # row of every (step, sample) among the constant samples' rows and, behind them, the others'
    rows = torch.empty(steps, batch, dtype=torch.long)
    rows[:, still] = torch.arange(len(still))
    moved = torch.arange(steps * len(moving)).view(steps, -1)
    rows[:, moving] = len(still) + moved
    whole = torch.cat([once, all_steps]).index_select(0, rows.flatten().to(frames.device))
    return whole.view(steps, batch, *once.shape[1:])
