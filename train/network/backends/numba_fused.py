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
from .interface import Affine, Fired, Gradients, Normalised, Population

_NO_ROWS = np.empty((1, 0), np.float32)
_NO_STEPS = np.empty((0, 0, 0), np.float32)


def _channels_last(current: Tensor) -> Tensor:
    """Return ``(T, B, C, H, W)`` dense with the channels innermost, a copy only if it is not."""
    flat = current.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return flat.view(current.shape)


def _like(current: Tensor, height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Return an empty channels-last ``(T, B, C, height, width)``."""
    steps, batch, channels = current.shape[:3]
    empty = torch.empty((steps, batch, height, width, channels), dtype=dtype)
    return empty.permute(0, 1, 4, 2, 3)


def _array(tensor: Tensor) -> Any:
    """Return a channels-last ``(T, B, C, H, W)`` as an array ``(T, B * H * W, C)``.

    It shares its memory; bfloat16 comes as uint16.
    """
    steps, _, channels = tensor.shape[:3]
    flat = tensor.detach().permute(0, 1, 3, 4, 2).reshape(steps, -1, channels)
    if tensor.dtype == torch.bfloat16:
        return flat.view(torch.uint16).numpy()
    return flat.numpy()


def _rows(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().float().numpy())


def _threads() -> None:
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))


def statistics(current: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(G, C)`` float32; summed in float64."""
    _threads()
    data = _array(_channels_last(current))
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


def forward(
    current: Tensor,
    affine: Affine | None,
    population: Population,
    *,
    pool: int,
    membrane: bool,
) -> Fired:
    """Run the whole sequence from rest (see :class:`.interface.FusedBackend`)."""
    _threads()
    current = _channels_last(current)
    _, batch, _, height, width = current.shape
    values = _like(current, height // pool, width // pool, current.dtype)
    codes = _like(current, height // pool, width // pool, torch.uint8)
    kept = _like(current, height, width, torch.float32) if membrane else None
    numba_kernels.forward(
        _array(current),
        _NO_ROWS if affine is None else _rows(affine.scale),
        _NO_ROWS if affine is None else _rows(affine.shift),
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


def backward(
    grad_values: Tensor,
    grad_membrane: Tensor | None,
    current: Tensor,
    affine: Affine | None,
    normalised: Normalised | None,
    population: Population,
    *,
    pool: int,
) -> Gradients:
    """Return the gradients (see :class:`.interface.FusedBackend`)."""
    _threads()
    current = _channels_last(current)
    steps, batch, channels, height, width = current.shape
    data = _array(current)
    grad = _like(current, height, width, current.dtype)
    one = np.empty((numba_kernels.STRIPES, steps, channels))
    two = np.empty_like(one)
    by_leak, by_threshold = np.empty(numba_kernels.STRIPES), np.empty(numba_kernels.STRIPES)
    dynamics = population.dynamics
    scalars = population.leak.requires_grad or population.threshold.requires_grad
    numba_backward.through_time(
        data,
        _NO_ROWS if affine is None else _rows(affine.scale),
        _NO_ROWS if affine is None else _rows(affine.shift),
        _NO_ROWS if normalised is None else _rows(normalised.mean),
        _NO_ROWS if normalised is None else _rows(normalised.rstd),
        np.float32(population.leak.item()),
        np.float32(population.threshold.item()),
        dynamics.decay_input,
        dynamics.soft_reset,
        dynamics.detach_reset,
        population.surrogate,
        np.float32(population.alpha),
        (batch, height, width),
        pool,
        _array(_channels_last(grad_values.to(current.dtype))),
        _NO_STEPS if grad_membrane is None else _array(_channels_last(grad_membrane.float())),
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
