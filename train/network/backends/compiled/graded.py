"""Compiled loops of neurons that send graded values, or rest elsewhere than at 0.

In: currents ``(T, N)`` in any order of the N neurons, which know nothing of each other. Out: what
is sent, ``(T, N)``, and the membranes after the reset. The numbers are those of
:class:`snntx.train.network.neurons.Graded`. Written like :mod:`.kernels`, and equal for any number
of threads as they are; a tile is a run of neurons.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import clear, inner, kernel
from .scalars import get, put
from .slopes import slopes


@inner  # type: ignore[untyped-decorator]
def _charge(
    current: Any,
    at: int,
    work: Any,
    m: int,
    count: int,
    leak: Any,
    decay_input: bool,
    offset: Any,
    u: int,
) -> None:
    """Write the charged membranes into ``work`` at ``u``; an undecayed input has the offset."""
    if decay_input:
        for j in range(count):
            before = get(work, m + j)
            put(work, u + j, before + (get(current, at + j) - before) * leak)
    else:
        for j in range(count):
            before = get(work, m + j)
            put(work, u + j, before - before * leak + (get(current, at + j) + offset))


@inner  # type: ignore[untyped-decorator]
def _reset(work: Any, u: int, count: int, threshold: Any, soft: bool, rest: Any, m: int) -> None:
    """Write the membranes after the reset into ``work`` at ``m``."""
    zero = np.float32(0)
    for j in range(count):
        charged = get(work, u + j)
        landing = charged - threshold if soft else rest
        put(work, m + j, landing if charged - threshold > zero else charged)


@kernel  # type: ignore[untyped-decorator]
def run_graded(
    current: Any,
    leak: Any,
    threshold: Any,
    decay_input: bool,
    soft: bool,
    rest: Any,
    offset: Any,
    sends: int,
    shape: Any,
    values: Any,
    membrane: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Run tiles of ``(T, N)`` from rest; write what is sent, and membranes where wanted.

    ``sends`` is 0 for spikes, 1 for ``max(u, 0)`` and 2 for ``max(u - θ, 0)``; ``membrane`` is
    ``(T, N)`` or empty; ``shape`` is (T, N, run); ``work`` has room for ``2 · run``.
    """
    steps, neurons, run = shape
    zero, one = np.float32(0), np.float32(1)
    for tile in range(begin, end):
        first = tile * run
        count = min(run, neurons - first)
        clear(work, 0, count)
        for t in range(steps):
            at = t * neurons + first
            added = offset if t > 0 else offset - offset
            _charge(current, at, work, 0, count, leak, decay_input, added, run)
            for j in range(count):
                charged = get(work, run + j)
                above = charged - threshold
                if sends == 0:
                    put(values, at + j, one if above > zero else zero)
                else:
                    value = charged if sends == 1 else above
                    put(values, at + j, value if value > zero else zero)
            _reset(work, run, count, threshold, soft, rest, 0)
            if membrane.size > 0:
                for j in range(count):
                    put(membrane, at + j, get(work, j))


@kernel  # type: ignore[untyped-decorator]
def through_graded(
    current: Any,
    leak: Any,
    threshold: Any,
    decay_input: bool,
    soft: bool,
    detach: bool,
    surrogate: int,
    alpha: Any,
    rest: Any,
    offset: Any,
    sends: int,
    shape: Any,
    grad_values: Any,
    grad_membrane: Any,
    grad: Any,
    sums: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Write the gradient of the currents, and each tile's of leak and threshold into ``sums``.

    ``sums`` is ``(tiles, 2)`` float64; ``grad_membrane`` is empty if there is none; ``work`` has
    room for ``(T + 3) · run``. Else as :func:`run_graded`.
    """
    steps, neurons, run = shape
    zero, one = np.float32(0), np.float32(1)
    m, gm, slope = steps * run, (steps + 1) * run, (steps + 2) * run
    for tile in range(begin, end):
        first = tile * run
        count = min(run, neurons - first)
        by_leak, by_threshold = 0.0, 0.0
        clear(work, m, count)
        for t in range(steps):
            added = offset if t > 0 else offset - offset
            at = t * neurons + first
            _charge(current, at, work, m, count, leak, decay_input, added, t * run)
            _reset(work, t * run, count, threshold, soft, rest, m)
        clear(work, gm, count)
        for back in range(steps):
            t = steps - 1 - back
            at, u = t * neurons + first, t * run
            if grad_membrane.size > 0:
                for j in range(count):
                    put(work, gm + j, get(work, gm + j) + get(grad_membrane, at + j))
            slopes(work, u, count, threshold, surrogate, alpha, work, slope)
            clear(work, m, count)
            if t > 0:
                _reset(work, u - run, count, threshold, soft, rest, m)
            for j in range(count):
                charged, later = get(work, u + j), get(work, gm + j)
                given, steep = get(grad_values, at + j), get(work, slope + j)
                above = charged - threshold
                fired = one if above > zero else zero
                sent = given * steep
                if sends == 1:
                    sent = given if charged > zero else zero * given
                elif sends == 2:
                    sent = given * fired
                reaching = zero * later
                if not detach:
                    reaching = later * ((-threshold if soft else rest - charged) * steep)
                kept = later if soft else later * (one - fired)
                by = sent + reaching + kept
                if sends != 1:
                    by_threshold -= sent
                by_threshold -= reaching
                if soft:
                    by_threshold -= later * fired
                before = get(work, m + j)
                if decay_input:
                    by_leak += by * (get(current, at + j) - before)
                else:
                    by_leak -= by * before
                put(work, gm + j, by - by * leak)
                put(grad, at + j, by * leak if decay_input else by)
        put(sums, 2 * tile, by_leak)
        put(sums, 2 * tile + 1, by_threshold)
