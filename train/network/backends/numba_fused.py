"""The CPU backend: compiled loops over all steps of a layer (see :mod:`.interface`).

Currents whose channels are not innermost are brought into that order first, so results come
channels-last. Threads follow ``torch.get_num_threads()``; no result depends on their number.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from . import numba_backward, numba_kernels
from .interface import Arrived, Fired, Gradients, Layer, Normalised
from .order import dense, empty

_NO_ROWS = np.empty((1, 0), np.float32)
_NO_STEPS = np.empty((0, 0, 0), np.float32)


def _array(tensor: Tensor) -> Any:
    """Return a channels-last ``(T, B, C, H, W)`` as an array ``(T, B * H * W, C)``.

    It shares its memory; bfloat16 comes as uint16.
    """
    steps, _, channels = tensor.shape[:3]
    flat = tensor.detach().permute(0, 1, 3, 4, 2).reshape(steps, -1, channels)
    if tensor.dtype == torch.bfloat16:
        return flat.view(torch.uint16).numpy()
    return flat.numpy()


def _rows(tensor: Tensor | None) -> Any:
    """Return ``(G, C)`` float32; empty for None."""
    if tensor is None:
        return _NO_ROWS
    return np.ascontiguousarray(tensor.detach().float().numpy())


def _threads() -> None:
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))


def statistics(current: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(G, C)`` float32; summed in float64."""
    _threads()
    data = _array(dense(current, last=True))
    steps, pixels, channels = data.shape
    origin = np.ascontiguousarray(_rows(current[:, 0, :, 0, 0]))
    total = np.empty((numba_kernels.STRIPES, steps, channels))
    square = np.empty_like(total)
    numba_kernels.sums(data, origin, total, square)
    near = origin.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # a network that has diverged
        first, second = total.sum(0) / pixels, square.sum(0) / pixels
        mean = near + first
        variance = second - first * first
        if groups == 1:
            whole = mean.mean(0)
            variance = (variance + (mean - whole) ** 2).mean(0)[None]
            mean = whole[None]
    as_float = [torch.from_numpy(each.astype(np.float32)) for each in (mean, variance.clip(0))]
    return as_float[0], as_float[1]


def forward(layer: Layer, *, membrane: bool) -> Fired:
    """Run the whole sequence from rest (see :class:`.interface.FusedBackend`)."""
    _threads()
    affine, population, pool = layer[1:]
    current = dense(layer.current, last=True)
    _, batch, _, height, width = current.shape
    pooled = (height // pool, width // pool)
    values = empty(current, *pooled, current.dtype, last=True)
    codes = empty(current, *pooled, torch.uint8, last=True)
    kept = empty(current, height, width, torch.float32, last=True) if membrane else None
    numba_kernels.forward(
        _array(current),
        _rows(affine and affine.scale),
        _rows(affine and affine.shift),
        np.float32(population.leak.item()),
        np.float32(population.threshold.item()),
        population.dynamics.decay_input,
        population.dynamics.soft_reset,
        (batch, height, width),
        pool,
        _array(values),
        _array(codes),
        _NO_STEPS if kept is None else _array(kept),
    )
    return Fired(values, codes, current.new_empty(0) if kept is None else kept)


def backward(layer: Layer, arrived: Arrived, normalised: Normalised | None) -> Gradients:
    """Return the gradients (see :class:`.interface.FusedBackend`)."""
    _threads()
    affine, population, pool = layer[1:]
    current = dense(layer.current, last=True)
    steps, batch, channels, height, width = current.shape
    data = _array(current)
    grad = empty(current, height, width, current.dtype, last=True)
    one = np.empty((numba_kernels.STRIPES, steps, channels))
    two = np.empty_like(one)
    by_leak, by_threshold = np.empty(numba_kernels.STRIPES), np.empty(numba_kernels.STRIPES)
    dynamics = population.dynamics
    scalars = population.leak.requires_grad or population.threshold.requires_grad
    numba_backward.through_time(
        data,
        _rows(affine and affine.scale),
        _rows(affine and affine.shift),
        _rows(normalised and normalised.mean),
        _rows(normalised and normalised.rstd),
        np.float32(population.leak.item()),
        np.float32(population.threshold.item()),
        dynamics.decay_input,
        dynamics.soft_reset,
        dynamics.detach_reset,
        population.surrogate,
        np.float32(population.alpha),
        (batch, height, width),
        pool,
        _array(dense(arrived.values.to(current.dtype), last=True)),
        _NO_STEPS
        if arrived.membrane is None
        else _array(dense(arrived.membrane.float(), last=True)),
        scalars,
        _array(grad),
        one,
        two,
        by_leak,
        by_threshold,
    )
    leak = torch.tensor(by_leak.sum(), dtype=torch.float32)
    threshold = torch.tensor(by_threshold.sum(), dtype=torch.float32)
    if normalised is None or affine is None:
        return Gradients(grad, torch.empty(0), torch.empty(0), leak, threshold)
    first, second = one.sum(0), two.sum(0)  # (T, C)
    if normalised.mean.shape[0] == 1:
        first, second = first.sum(0, keepdims=True), second.sum(0, keepdims=True)
    scale = affine.scale.numpy().astype(np.float64)
    by_grad, by_current, constant = scale, np.zeros_like(scale), np.zeros_like(scale)
    if normalised.batch:
        count = steps * batch * height * width / len(first)
        mean, rstd = (each.numpy().astype(np.float64) for each in normalised[:2])
        by_current = -scale * rstd * second / count
        constant = -scale * first / count - mean * by_current
    factors = [each.astype(np.float32) for each in (by_grad, by_current, constant)]
    numba_backward.through_norm(data, *factors, _array(grad))
    sums = [torch.from_numpy(each.sum(0).astype(np.float32)) for each in (second, first)]
    return Gradients(grad, sums[0], sums[1], leak, threshold)
