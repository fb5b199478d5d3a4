"""Compiled loops that count: what a synapse layer gets, and what neurons did.

Arrays come flat, in any order that is dense (:mod:`.kernels` says how they are written). Counts are
whole numbers, so they are the same for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import _count, _send, charge, clear, inner, kernel, normalise, reset
from .scalars import get, like, put

TILE = 2048
"""Neurons that are counted together: their counts stay in the first-level cache."""


@kernel  # type: ignore[untyped-decorator]
def arriving(
    values: Any, fan: Any, shared: int, shape: Any, caused: Any, other: Any, work: Any, begin: int,
    end: int,
) -> None:  # fmt: skip
    """Sum the fan-out of what is not 0 in rows ``(R, M)``, and count what is not 0, 1 or -1.

    ``fan`` is ``(M,)`` int64; a place that ``shared`` neighbours have in common is given once.
    ``shape`` is (R, M); ``caused`` and ``other`` are ``(R,)`` int64. The parts count over R.
    """
    _, places = shape
    zero, one = np.float32(0), np.float32(1)
    for row in range(begin, end):
        at, total, strange = row * places, 0, 0
        if shared == 1:
            for j in range(places):
                value = get(values, at + j)
                total += get(fan, j) if value != zero else 0
                strange += 1 if (value != zero) & (value != one) & (value != -one) else 0
        else:
            for place in range(places // shared):
                active = 0
                for j in range(shared):
                    value = get(values, at + j)
                    active += 1 if value != zero else 0
                    strange += 1 if (value != zero) & (value != one) & (value != -one) else 0
                total += active * get(fan, place)
                at += shared
        put(caused, row, total)
        put(other, row, strange)


@kernel  # type: ignore[untyped-decorator]
def firing(
    sent: Any, membrane: Any, shape: Any, fired: Any, by_step: Any, moved: Any, work: Any,
    begin: int, end: int,
) -> None:  # fmt: skip
    """Count what neurons ``(T, B, M)`` sent that is not 0, and membranes that a step changed.

    ``membrane`` has the shape of ``sent``; what is there after the first step counts as changed.
    ``shape`` is (T, B, M), B being less than 2^24; ``fired`` is ``(M,)`` int64, and added to;
    ``by_step`` and ``moved`` are ``(tiles, T)`` int64; ``work`` has room for ``2 · TILE``. The
    parts count over tiles of neurons.
    """
    steps, batch, neurons = shape
    zero, one = np.float32(0), np.float32(1)
    for tile in range(begin, end):
        first = tile * TILE
        count = min(neurons, first + TILE) - first
        for t in range(steps):
            clear(work, 0, 2 * TILE)
            for b in range(batch):
                at = (t * batch + b) * neurons + first
                before = at - batch * neurons
                for j in range(count):
                    put(work, j, get(work, j) + (one if get(sent, at + j) != zero else zero))
                if t > 0:
                    for j in range(count):
                        other = get(membrane, at + j) != get(membrane, before + j)
                        to = TILE + j
                        put(work, to, get(work, to) + (one if other else zero))
            active, changed = np.int64(0), np.int64(batch * count if t == 0 else 0)
            for j in range(count):
                spikes = np.int64(get(work, j))
                put(fired, first + j, get(fired, first + j) + spikes)
                active = active + spikes
                changed = changed + np.int64(get(work, TILE + j))
            put(by_step, tile * steps + t, active)
            put(moved, tile * steps + t, changed)


@inner  # type: ignore[untyped-decorator]
def _tell(
    u: Any, at: int, m: Any, before: int, count: int, threshold: Any, soft: bool, first: bool,
    fired: Any, to: int,
) -> Any:  # fmt: skip
    """Count which of some charged membranes fire, and how many the step changes."""
    zero, one = np.float32(0), np.float32(1)
    active, changed = 0, 0
    for j in range(count):
        charged = get(u, at + j)
        fires = charged - threshold > zero
        put(fired, to + j, np.int32(get(fired, to + j) + (1 if fires else 0)))
        active += 1 if fires else 0
    if first:
        return active, count
    if soft:
        for j in range(count):
            charged = get(u, at + j)
            s = one if charged - threshold > zero else zero
            changed += 1 if charged - s * threshold != get(m, before + j) else 0
    else:
        for j in range(count):
            charged = get(u, at + j)
            after = zero if charged - threshold > zero else charged
            changed += 1 if after != get(m, before + j) else 0
    return active, changed


@kernel  # type: ignore[untyped-decorator]
def counted_forward(
    current: Any, scale: Any, shift: Any, leak: Any, threshold: Any, decay_input: bool, soft: bool,
    shape: Any, values: Any, codes: Any, fired: Any, by_step: Any, moved: Any, work: Any,
    begin: int, end: int,
) -> None:  # fmt: skip
    """Run tiles as :func:`.kernels.forward` does, and count what their neurons do.

    ``fired`` is ``(B, P, C)`` int32 for P pixels of a sample, the steps in which each neuron fires,
    and comes as zeros; ``by_step`` and ``moved`` are ``(tiles, T)`` int64, as in :func:`firing`.
    """
    steps, batch, height, width, channels, pool, groups, run = shape
    rows, columns = (height + pool - 1) // pool, (width + pool - 1) // pool
    out_rows, out_columns = height // pool, width // pool
    runs = (columns + run - 1) // run
    unit = like(work, 1.0) / like(work, float(pool * pool))
    row = run * pool * channels  # of work
    y, u, sums = pool * row, (pool + 1) * row, (pool + 2) * row
    for job in range(begin, end):
        b, rest = job // (rows * runs), job % (rows * runs)
        wy, first = rest // runs, (rest % runs) * run
        last = min(columns, first + run)
        left, right = first * pool, min(width, last * pool)
        n = right - left
        count = n * channels
        sent = max(0, min(last, out_columns) - first) if wy < out_rows else 0
        clear(work, 0, pool * row)
        for t in range(steps):
            group = t * channels if groups > 1 else 0
            clear(work, sums, run * channels)
            active, changed = 0, 0
            for qy in range(min(pool, height - wy * pool)):
                place = (b * height + wy * pool + qy) * width + left
                p = (t * batch * height * width + place) * channels
                m = qy * row
                normalise(current, p, scale, shift, group, n, channels, work, y)
                charge(work, y, work, m, count, leak, decay_input, work, u)
                _count(work, u, n, channels, threshold, pool, work, sums)
                told = _tell(
                    work, u, work, m, count, threshold, soft, t == 0, fired, place * channels
                )
                active, changed = active + told[0], changed + told[1]
                reset(work, u, count, threshold, soft, work, m)
            put(by_step, job * steps + t, active)
            put(moved, job * steps + t, changed)
            if sent > 0:
                to = ((t * batch + b) * out_rows + wy) * out_columns + first
                _send(work, sums, sent * channels, unit, values, codes, to * channels)
