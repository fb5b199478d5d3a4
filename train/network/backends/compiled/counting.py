"""Compiled loops that count: what a synapse layer gets, and what neurons did.

Arrays come flat, in any order that is dense (:mod:`.kernels` says how they are written). Counts are
whole numbers, so they are the same for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import clear, kernel
from .scalars import get, put

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
