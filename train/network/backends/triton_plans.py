"""What the CUDA backend launches for a layer: arguments and constants of each kernel.

Each function allocates what its kernel writes and returns it beside the launch, without
running anything, so that kernels can be compiled for tensors that exist nowhere (``meta``).
A pointer that a variant does not use is given the current.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..surrogates import BackEIGate, Gate, QGate, Rectangular, Sigmoid
from .interface import Affine, Arrived, Fired, Layer, Normalised, Population
from .order import empty, is_channels_last
from .triton_backward import backward_kernel
from .triton_kernels import forward_kernel, statistics_kernel
from .triton_launch import LONGEST_SPAN, Launch, alignment, power_of_two, tiles


class Parts(NamedTuple):
    """Sums and squared distances to the mean of each part, ``(T, parts, C)``, and its size."""

    total: Tensor
    spread: Tensor
    numbers: Tensor


class Sums(NamedTuple):
    """What a backward pass adds up; empty where it was not asked to.

    Of dy and of dy times the standardised current, ``(T, parts, C)``; for leak and threshold,
    one number per program.
    """

    one: Tensor
    two: Tensor
    leak: Tensor
    threshold: Tensor


class Share(NamedTuple):
    """What batch statistics take off a gradient: current · factor + constant, ``(G, C)``."""

    constant: Tensor
    factor: Tensor


class Task(NamedTuple):
    """What a backward pass is given (see :class:`.interface.FusedBackend`).

    What arrives is dense in the current's order.
    """

    layer: Layer
    arrived: Arrived
    normalised: Normalised | None


def plan_statistics(current: Tensor) -> tuple[Launch, Parts]:
    """Return the launch over ``(T, B, C, H, W)`` and what it writes."""
    cut = tiles(current, "statistics")
    total = _float(current, len(current), cut.parts, cut.channels)
    spread = torch.empty_like(total)
    size, whole, number = (
        (cut.block_a, cut.lines, cut.down) if cut.last else (cut.block_v, cut.width, cut.across)
    )
    first = torch.arange(number, device=current.device, dtype=torch.float64) * size
    count = (whole - first).clamp(max=size).repeat_interleave(cut.parts // max(number, 1))
    arguments = {"current": current, "total": total, "spread": spread, **cut.sizes}
    programs = len(current) * cut.across * cut.down
    launch = Launch(statistics_kernel, programs, arguments, cut.constants)
    return launch, Parts(total, spread, count)


def plan_forward(layer: Layer, membrane: bool) -> tuple[Launch, Fired]:
    """Return the launch over ``(T, B, C, H, W)`` and what it writes."""
    current, affine, population, pool = layer
    last = is_channels_last(current)
    cut = tiles(current, "forward")
    out = (current.shape[3] // pool, current.shape[4] // pool)
    kept = None
    if membrane:
        kept = empty(current, cut.height, cut.columns, torch.float32, last=last)
    fired = Fired(
        empty(current, *out, current.dtype, last=last),
        empty(current, *out, torch.uint8, last=last),
        current.new_empty(0) if kept is None else kept,
    )
    elements = cut.block_a * cut.block_v
    if pool == 1 and not cut.last:  # a plane is one line
        cut = cut._replace(height=1, columns=cut.width)
    # with membranes wanted the odd border is walked too, and sends nothing on
    beyond = pool - 1 if membrane else 0
    rows, columns = ((side + beyond) // pool for side in (cut.height, cut.columns))
    inner = pool if not cut.last and pool & (pool - 1) == 0 else 1
    block_v = cut.block_v
    if pool > 1 and not cut.last:
        block_v = min(power_of_two(columns), elements // inner)
    block_a = elements // (block_v * inner)
    lines, spread = (
        (cut.planes * rows * columns, cut.channels) if cut.last else (cut.planes * rows, columns)
    )
    arguments = {
        "current": current,
        "scale": current if affine is None else affine.scale.contiguous(),
        "shift": current if affine is None else affine.shift.contiguous(),
        "leak": population.leak,
        "threshold": population.threshold,
        "values": fired.values,
        "codes": fired.codes,
        "membrane": current if kept is None else kept,
        "steps": len(current),
        **cut.sizes,
        "grid_rows": rows,
        "grid_columns": columns,
    }
    constants = {
        "LAST": cut.last,
        "NORM": _norm(affine),
        "DECAY": population.dynamics.decay_input,
        "SOFT": population.dynamics.soft_reset,
        "KEEP": membrane,
        "POOL": pool,
        "INNER": inner,
        "ALIGN": alignment(cut.channels if cut.last else cut.columns, cut.size),
        "OUT_ALIGN": alignment(cut.channels if cut.last else cut.columns // pool, cut.size),
        "BLOCK_A": block_a,
        "BLOCK_V": block_v,
    }
    programs = -(-lines // block_a) * -(-spread // block_v)
    return Launch(forward_kernel, programs, arguments, constants), fired


def plan_backward(
    task: Task, grad: Tensor | None, *, sums: bool, scalars: bool, share: Share | None = None
) -> tuple[Launch, Sums]:
    """Return a launch that writes into ``grad``, if given, and what it adds up.

    ``sums`` asks for the sums over channels, ``scalars`` for those of leak and threshold
    where these require a gradient; ``share`` is taken off what goes to ``grad``.
    """
    (current, affine, population, pool), arrived, normalised = task
    cut = tiles(current, "backward")
    steps, programs = len(current), cut.down * cut.across
    spans = -(-steps // LONGEST_SPAN[cut.size])
    none = _float(current, 0)
    wanted = [scalars and each.requires_grad for each in (population.leak, population.threshold)]
    table = _float(current, steps, cut.parts, cut.channels) if sums else none
    added = Sums(
        table,
        torch.empty_like(table),
        *(_float(current, programs) if each else none for each in wanted),
    )
    code, first, second = _slope(population)
    used = {
        "scale": None if affine is None else affine.scale,
        "shift": None if affine is None else affine.shift,
        "mean": None if normalised is None else normalised.mean,
        "rstd": None if normalised is None else normalised.rstd,
        "constant": None if share is None else share.constant,
        "factor": None if share is None else share.factor,
        "leak": population.leak,
        "threshold": population.threshold,
        "grad_values": arrived.values,
        "grad_membrane": arrived.membrane,
        "starts": _float(current, spans - 1, current.numel() // steps) if spans > 2 else None,
        "grad": grad,
        "sum_one": added.one if sums else None,
        "sum_two": added.two if sums else None,
        "by_leak": added.leak if wanted[0] else None,
        "by_threshold": added.threshold if wanted[1] else None,
    }
    order = ("grad_values", "grad_membrane", "grad")  # dense, though not always contiguous
    arguments = {
        "current": current,
        **{
            name: current if each is None else each if name in order else each.contiguous()
            for name, each in used.items()
        },
        "first": first,
        "second": second,
        "steps": steps,
        **cut.sizes,
    }
    constants = {
        **cut.constants,
        "NORM": _norm(affine),
        "DECAY": population.dynamics.decay_input,
        "SOFT": population.dynamics.soft_reset,
        "DETACH": population.dynamics.detach_reset,
        "SURROGATE": code,
        "POOL": pool,
        "MEMBRANE": arrived.membrane is not None,
        "SUMS": sums,
        "WRITE": 0 if grad is None else 1 if share is None else 2,
        "LEAK": wanted[0],
        "THRESHOLD": wanted[1],
        "SPAN": -(-steps // spans),
        "SPANS": spans,
    }
    return Launch(backward_kernel, programs, arguments, constants), added


def _float(current: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=current.device)


def _norm(affine: Affine | None) -> int:
    """Return the kernels' ``NORM``."""
    return 0 if affine is None else 1 if len(affine.scale) == 1 else 2


def _slope(population: Population) -> tuple[int, float, float]:
    """Return the kernel's code of a surrogate and the numbers that its slope takes."""
    alpha = population.alpha
    numbers = {
        QGate.code: (alpha, alpha * alpha),
        Gate.code: (1 / alpha, 1.0),
        BackEIGate.code: (0.5, 1.0),
        Rectangular.code: (alpha / 2, 1 / alpha),
        Sigmoid.code: (alpha, 0.0),
    }
    return population.surrogate, *numbers.get(
        population.surrogate, (math.pi / 2 * alpha, alpha / 2)
    )
