"""The CUDA backend: Triton kernels over all steps of a layer (see :mod:`.interface`).

A current is read in its own order, contiguous or channels-last, and copied only where its steps
share one place in memory. Importing this module needs Triton. Under
``TRITON_INTERPRET=1`` it computes tensors on the CPU, slowly.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .interface import Arrived, Fired, Gradients, Layer, Normalised
from .order import dense, written_out
from .triton_launch import run
from .triton_plans import Share, Task, plan_backward, plan_forward, plan_statistics


def statistics(current: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(G, C)`` float32.

    A tile's sums are float32, the second one around the tile's own mean; they are put
    together in float64.
    """
    current = written_out(current)
    launch, parts = plan_statistics(current)
    run(launch, current.device)
    count = parts.numbers[:, None]
    total, over = parts.total.double(), (0, 1) if groups == 1 else (1,)
    whole = count.sum() * (len(current) if groups == 1 else 1)
    mean = total.sum(over, keepdim=True) / whole
    between = count * (total / count - mean).square()
    variance = (parts.spread + between).sum(over) / whole
    shape = (groups, current.shape[2])
    return mean.reshape(shape).float(), variance.reshape(shape).float()


def forward(layer: Layer, *, membrane: bool) -> Fired:
    """Run the whole sequence from rest (see :class:`.interface.FusedBackend`)."""
    layer = layer._replace(current=written_out(layer.current))
    launch, fired = plan_forward(layer, membrane)
    run(launch, layer.current.device)
    return fired


def backward(layer: Layer, arrived: Arrived, normalised: Normalised | None) -> Gradients:
    """Return the gradients (see :class:`.interface.FusedBackend`)."""
    layer = layer._replace(current=written_out(layer.current))
    current, affine = layer.current, layer.affine
    last = not current.is_contiguous()
    membrane = arrived.membrane
    if membrane is not None:
        membrane = dense(membrane.float(), last=last)
    arrived = Arrived(dense(arrived.values, last=last), membrane)
    task = Task(layer, arrived, normalised)
    grad = torch.empty_like(current)
    if affine is None or normalised is None:
        launch, sums = plan_backward(task, grad, sums=False, scalars=True)
        run(launch, current.device)
        weight, bias = (current.new_empty(0, dtype=torch.float32) for _ in range(2))
    else:
        first = None if normalised.batch else grad
        launch, sums = plan_backward(task, first, sums=True, scalars=True)
        run(launch, current.device)
        over = (0, 1) if len(normalised.mean) == 1 else (1,)
        one, two = (
            each.sum(over, dtype=torch.float64).reshape(normalised.mean.shape)
            for each in (sums.one, sums.two)
        )
        weight, bias = two.sum(0).float(), one.sum(0).float()
        if normalised.batch:
            per = affine.scale * (one.numel() / current.numel())
            factor = per * normalised.rstd * two
            share = Share((per * one - normalised.mean * factor).float(), factor.float())
            launch, _ = plan_backward(task, grad, sums=False, scalars=False, share=share)
            run(launch, current.device)
    leak, threshold = (
        each.sum(dtype=torch.float64).float() for each in (sums.leak, sums.threshold)
    )
    return Gradients(grad, weight, bias, leak, threshold)
