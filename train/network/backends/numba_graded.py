"""Graded neurons on the CPU, by compiled loops (:mod:`.compiled.graded`).

In: currents ``(T, B, ...)`` in float32, bfloat16 or float64. Out: what is sent, same shape and
type. For the backward pass the currents alone are kept, and membranes are computed again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..neurons import Neuron
from .compiled import graded as kernels
from .compiled.kernels import TILE
from .compiled.threads import NUMPY, spread
from .order import wide

SENDS = {"spikes": 0, "membrane": 1, "excess": 2}


def run_graded(
    currents: Tensor, leak: Tensor, threshold: Tensor, neuron: Neuron, *, membrane: bool
) -> tuple[Tensor, Tensor | None]:
    """Run the whole sequence ``(T, B, ...)`` from rest.

    Args:
        currents: on the CPU.
        leak: 0-d.
        threshold: 0-d, above which the neurons fire.
        neuron: how they charge, reset and send.
        membrane: return the membranes after the reset too.

    Returns:
        What is sent, and the membranes or None.
    """
    sent, kept = _Graded.apply(  # type: ignore[no-untyped-call]
        currents, leak, threshold, neuron, membrane
    )
    return sent, kept if membrane else None


class _Graded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        currents: Tensor,
        leak: Tensor,
        threshold: Tensor,
        neuron: Neuron,
        membrane: bool,
    ) -> tuple[Tensor, Tensor]:
        data, kind = _packed(currents), wide(currents.dtype)
        values = torch.empty_like(data)
        kept = torch.empty_like(data, dtype=kind) if membrane else data.new_empty(0, dtype=kind)
        shape, tiles = _tiles(data)
        spread(
            kernels.run_graded,
            tiles,
            _flat(data),
            *_numbers(leak, threshold, kind),
            *neuron.dynamics[:2],
            *_levels(neuron, kind),
            shape,
            _flat(values),
            _flat(kept),
            room=2 * shape[2],
            kind=NUMPY[kind],
        )
        ctx.save_for_backward(data, leak, threshold)
        ctx.neuron, ctx.membrane = neuron, membrane
        ctx.set_materialize_grads(False)
        return values, kept

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        data, leak, threshold = ctx.saved_tensors
        neuron, kind = ctx.neuron, wide(data.dtype)
        number = NUMPY[kind]
        by_values, by_membrane = grads
        arrived = torch.zeros_like(data) if by_values is None else _like(data, by_values)
        grad = torch.empty_like(data)
        shape, tiles = _tiles(data)
        sums = np.zeros(2 * tiles)
        kept = np.empty(0, number)
        if ctx.membrane and by_membrane is not None:
            kept = _flat(_like(data, by_membrane.to(kind)))
        surrogate = neuron.surrogate
        spread(
            kernels.through_graded,
            tiles,
            _flat(data),
            *_numbers(leak, threshold, kind),
            *neuron.dynamics,
            surrogate.code,
            number(surrogate.alpha),
            *_levels(neuron, kind),
            shape,
            _flat(arrived),
            kept,
            _flat(grad),
            sums,
            room=(shape[0] + 3) * shape[2],
            kind=number,
        )
        by_leak, by_threshold = sums.reshape(-1, 2).sum(0)
        return (
            grad,
            leak.new_tensor(by_leak) if ctx.needs_input_grad[1] else None,
            threshold.new_tensor(by_threshold) if ctx.needs_input_grad[2] else None,
            None,
            None,
        )


def _packed(tensor: Tensor) -> Tensor:
    """Return ``(T, B, ...)`` without gaps, its steps one behind the other; copied if it is not."""
    flat = tensor.flatten(0, 1)
    last = flat.ndim == 4 and flat.is_contiguous(memory_format=torch.channels_last)
    return tensor if last and tensor.stride(0) else tensor.contiguous()


def _like(data: Tensor, tensor: Tensor) -> Tensor:
    """Return a tensor in the order in which data lie in memory, and in its own type."""
    if tensor.stride() == data.stride():
        return tensor
    return torch.empty_like(data, dtype=tensor.dtype).copy_(tensor)


def _flat(tensor: Tensor) -> Any:
    """Return a tensor's memory in one row; bfloat16 comes as uint16."""
    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
    return (flat.view(torch.uint16) if tensor.dtype == torch.bfloat16 else flat).numpy()


def _tiles(data: Tensor) -> tuple[tuple[int, int, int], int]:
    """Return (T, N, run) and the number of runs."""
    neurons = data[0].numel()
    run = max(1, min(neurons, TILE))
    return (len(data), neurons, run), -(-neurons // run)


def _numbers(leak: Tensor, threshold: Tensor, kind: torch.dtype) -> tuple[Any, Any]:
    return NUMPY[kind](leak.item()), NUMPY[kind](threshold.item())


def _levels(neuron: Neuron, kind: torch.dtype) -> tuple[Any, Any, int]:
    number = NUMPY[kind]
    return number(neuron.rest), number(neuron.offset), SENDS[neuron.sends]
