"""The CPU backend: compiled loops over all steps of a layer (see :mod:`.interface`).

float64 is computed in float64 throughout. Currents whose channels are not innermost are brought
into that order first, so results come channels-last. No result depends on the number of threads
(:mod:`.compiled.threads`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compiled import counting, gradients, kernels
from .compiled.threads import NUMPY, spread
from .interface import Arrived, Fired, Gradients, Layer, Normalised
from .order import array_of, dense, empty, wide


def _rows(tensor: Tensor | None, kind: torch.dtype) -> Any:
    """Return ``(G, C)`` in a type; empty for None."""
    if tensor is None:
        return np.empty((1, 0), NUMPY[kind])
    return np.ascontiguousarray(tensor.detach().to(kind).numpy())


def _flat(tensor: Tensor | None, kind: torch.dtype) -> Any:
    """Return ``(G, C)`` in one row; empty for None."""
    return _rows(tensor, kind).reshape(-1)


def _run(columns: int, channels: int) -> int:
    """Return how many of a row's columns make a tile."""
    return max(1, min(columns, kernels.TILE // channels))


def statistics(current: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(G, C)``; summed in float64."""
    data, kind = dense(current, last=True), wide(current.dtype)
    steps, batch, channels, height, width = data.shape
    pixels = batch * height * width
    origin = _rows(current[:, 0, :, 0, 0], kind)
    total = np.zeros((kernels.STRIPES, steps, channels))
    square = np.zeros_like(total)
    arrays = array_of(data), origin.reshape(-1), total.reshape(-1), square.reshape(-1)
    spread(
        kernels.sums,
        steps * kernels.STRIPES,
        *arrays,
        (steps, pixels, channels),
        room=2 * channels,
        kind=NUMPY[kind],
    )
    near = origin.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # a network that has diverged
        first, second = total.sum(0) / pixels, square.sum(0) / pixels
        mean = near + first
        variance = second - first * first
        if groups == 1:
            whole = mean.mean(0)
            variance = (variance + (mean - whole) ** 2).mean(0)[None]
            mean = whole[None]
    rounded = [torch.from_numpy(each.astype(NUMPY[kind])) for each in (mean, variance.clip(0))]
    return rounded[0], rounded[1]


class Counts(NamedTuple):
    """What the neurons of a layer did in one call.

    Attributes:
        fired: steps in which each fired, ``(B, M)`` int32, pixels first and channels innermost.
        by_step: how many fired at each step, ``(T,)``.
        moved: how many membranes each step changed, ``(T,)``; at the first all.
    """

    fired: NDArray[np.int32]
    by_step: NDArray[np.int64]
    moved: NDArray[np.int64]


_told: list[Callable[[Counts], None]] = []


@contextmanager
def telling(call: Callable[[Counts], None]) -> Iterator[None]:
    """Call a function with the counts of every call that keeps no membranes, inside the context."""
    _told.append(call)
    try:
        yield
    finally:
        _told.remove(call)


def forward(layer: Layer, *, membrane: bool) -> Fired:
    """Run the whole sequence from rest (see :class:`.interface.FusedBackend`)."""
    affine, population, pool = layer[1:]
    current, kind = dense(layer.current, last=True), wide(layer.current.dtype)
    number = NUMPY[kind]
    steps, batch, channels, height, width = current.shape
    pooled = (height // pool, width // pool)
    values = empty(current, *pooled, current.dtype, last=True)
    codes = empty(current, *pooled, torch.uint8, last=True)
    kept = empty(current, height, width, kind, last=True) if membrane else None
    scale = _rows(affine and affine.scale, kind)
    counts = bool(_told) and not membrane
    border = pool - 1 if membrane or counts else 0
    rows, columns = (height + border) // pool, (width + border) // pool
    run = _run(columns, pool * channels)
    tiles = batch * rows * -(-columns // run)
    given = (
        array_of(current),
        scale.reshape(-1),
        _flat(affine and affine.shift, kind),
        number(population.leak.item()),
        number(population.threshold.item()),
        population.dynamics.decay_input,
        population.dynamics.soft_reset,
        (steps, batch, height, width, channels, pool, len(scale), run),
        array_of(values),
        array_of(codes),
    )
    room = ((pool + 2) * pool + 1) * run * channels
    if counts:
        fired = np.zeros(batch * height * width * channels, np.int32)
        sums = np.zeros((2, tiles * steps), np.int64)
        spread(counting.counted_forward, tiles, *given, fired, *sums, room=room, kind=number)
        by_step, moved = sums.reshape(2, tiles, steps).sum(1)
        for call in _told:
            call(Counts(fired.reshape(batch, -1), by_step, moved))
    else:
        membranes = np.empty(0, number) if kept is None else array_of(kept)
        spread(kernels.forward, tiles, *given, membranes, room=room, kind=number)
    return Fired(values, codes, current.new_empty(0) if kept is None else kept)


def backward(layer: Layer, arrived: Arrived, normalised: Normalised | None) -> Gradients:
    """Return the gradients (see :class:`.interface.FusedBackend`)."""
    affine, population, pool = layer[1:]
    current, kind = dense(layer.current, last=True), wide(layer.current.dtype)
    number = NUMPY[kind]
    steps, batch, channels, height, width = current.shape
    data = array_of(current)
    grad = empty(current, height, width, current.dtype, last=True)
    stripes, each = kernels.STRIPES, steps * channels
    sums = np.zeros((stripes, 2 * each + 2))
    dynamics = population.dynamics
    scalars = population.leak.requires_grad or population.threshold.requires_grad
    scales = _rows(affine and affine.scale, kind)
    run = _run(width, channels)
    spread(
        gradients.through_time,
        stripes,
        data,
        scales.reshape(-1),
        _flat(affine and affine.shift, kind),
        _flat(normalised and normalised.mean, kind),
        _flat(normalised and normalised.rstd, kind),
        number(population.leak.item()),
        number(population.threshold.item()),
        dynamics.decay_input,
        dynamics.soft_reset,
        dynamics.detach_reset,
        population.surrogate,
        number(population.alpha),
        (steps, batch, height, width, channels, pool, len(scales), run),
        array_of(dense(arrived.values.to(current.dtype), last=True)),
        np.empty(0, number)
        if arrived.membrane is None
        else array_of(dense(arrived.membrane.to(kind), last=True)),
        scalars,
        array_of(grad),
        sums.reshape(-1),
        room=(steps + 6) * (run * channels + 16) + 2 * each,
        kind=number,
    )
    leak, threshold = (
        torch.tensor(sums[:, 2 * each + i].copy().sum(), dtype=kind) for i in range(2)
    )
    if normalised is None or affine is None:
        return Gradients(grad, torch.empty(0), torch.empty(0), leak, threshold)
    one, two = (
        sums[:, i * each : (i + 1) * each].reshape(stripes, steps, channels) for i in range(2)
    )
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
    factors = [each.astype(number).reshape(-1) for each in (by_grad, by_current, constant)]
    spread(
        gradients.through_norm,
        steps * stripes,
        data,
        *factors,
        (steps, batch * height * width, channels, len(first)),
        array_of(grad),
        room=channels,
        kind=number,
    )
    by_weight, by_bias = (torch.from_numpy(each.sum(0).astype(number)) for each in (second, first))
    return Gradients(grad, by_weight, by_bias, leak, threshold)
