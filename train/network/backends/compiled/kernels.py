"""Compiled loops of the CPU backend, on currents ``(T, P, C)`` with the channels innermost.

P runs over samples and pixels, ``B * H * W``. Work is cut into tiles: runs of neighbouring
windows of one row of one sample, whose membranes stay in the first-level cache while all T
steps go by. Inner loops run over the channels of one pixel and touch few arrays each, so that
they vectorise. Nothing is contracted or reordered: every result is bit for bit the same for
any number of threads. Beside currents in float64 every number is float64, and float32 otherwise.

Compiling costs more than many a first run computes, so the kernels are written to be compiled
quickly: arrays come flat, elements by ``get`` and ``put``, no array is made, cut or filled as a
whole, and each call does the tiles ``begin`` to ``end`` on one thread without Python's lock
(:mod:`.threads` spreads them).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .....preprocess.disk.compiling import njit
from .scalars import get, like, put

TILE = 1024
"""Neurons of a tile's row, about: what fits into the first-level cache several times."""
STRIPES = 16
"""Parts in which sums are taken, whatever the number of threads."""
ROWS = 32
"""Rows that are summed in float32 before float64 takes over."""

kernel = njit(cache=True, nogil=True, error_model="numpy")
"""Decorates what Python calls."""
inner = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")
"""Decorates what only kernels call; kept with them."""


@inner  # type: ignore[untyped-decorator]
def clear(array: Any, at: int, count: int) -> None:
    """Write zeros."""
    for j in range(count):
        put(array, at + j, np.float32(0))


@inner  # type: ignore[untyped-decorator]
def normalise(
    rows: Any,
    at: int,
    scale: Any,
    shift: Any,
    group: int,
    pixels: int,
    channels: int,
    y: Any,
    to: int,
) -> None:
    """Write rows ``(pixels, C)`` times scale plus shift into ``y``; as they are without a norm."""
    if scale.size > 0:
        for _ in range(pixels):
            for j in range(channels):
                scaled = get(rows, at + j) * get(scale, group + j)
                put(y, to + j, scaled + get(shift, group + j))
            at += channels
            to += channels
    else:
        for j in range(pixels * channels):
            put(y, to + j, get(rows, at + j))


@inner  # type: ignore[untyped-decorator]
def charge(
    y: Any, y_at: int, m: Any, at: int, count: int, leak: Any, decay_input: bool, u: Any, to: int
) -> None:
    """Write the charged membranes into ``u``."""
    if decay_input:
        for j in range(count):
            before = get(m, at + j)
            put(u, to + j, before + (get(y, y_at + j) - before) * leak)
    else:
        for j in range(count):
            before = get(m, at + j)
            put(u, to + j, before - before * leak + get(y, y_at + j))


@inner  # type: ignore[untyped-decorator]
def reset(u: Any, at: int, count: int, threshold: Any, soft: bool, m: Any, to: int) -> None:
    """Write the membranes after the reset into ``m``."""
    zero, one = np.float32(0), np.float32(1)
    if soft:
        for j in range(count):
            charged = get(u, at + j)
            s = one if charged - threshold > zero else zero
            put(m, to + j, charged - s * threshold)
    else:
        for j in range(count):
            charged = get(u, at + j)
            put(m, to + j, zero if charged - threshold > zero else charged)


@inner  # type: ignore[untyped-decorator]
def _count(
    u: Any, at: int, pixels: int, channels: int, threshold: Any, pool: int, fired: Any, to: int
) -> None:
    """Add the spikes of pixels ``(n, C)`` to their windows' counts."""
    one, zero = np.float32(1), np.float32(0)
    for p in range(pixels):
        window = to + p // pool * channels
        for j in range(channels):
            s = one if get(u, at + j) - threshold > zero else zero
            put(fired, window + j, get(fired, window + j) + s)
        at += channels


@inner  # type: ignore[untyped-decorator]
def _send(fired: Any, at: int, count: int, unit: Any, values: Any, codes: Any, to: int) -> None:
    """Write a tile's counts as values and codes."""
    for j in range(count):
        put(values, to + j, get(fired, at + j) * unit)
    for j in range(count):
        put(codes, to + j, np.uint8(np.int32(get(fired, at + j))))


@kernel  # type: ignore[untyped-decorator]
def forward(
    current: Any,
    scale: Any,
    shift: Any,
    leak: Any,
    threshold: Any,
    decay_input: bool,
    soft: bool,
    shape: Any,
    values: Any,
    codes: Any,
    membrane: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Run tiles of ``(T, P, C)``; write values and codes ``(T, Pw, C)``, membranes where wanted.

    ``scale`` and ``shift`` are ``(G, C)``, empty for no norm; ``membrane`` is ``(T, P, C)`` or
    empty; ``shape`` is (T, B, H, W, C, p, G, run), ``run`` being the windows of a tile; ``work``
    has room for ``(p + 2) · run · p · C + run · C``. Tiles count over (B, rows, runs).
    """
    steps, batch, height, width, channels, pool, groups, run = shape
    keep = membrane.size > 0
    # with membranes wanted the odd border is walked too, and sends nothing on
    border = pool - 1 if keep else 0
    rows, columns = (height + border) // pool, (width + border) // pool
    out_rows, out_columns = height // pool, width // pool
    runs = (columns + run - 1) // run
    unit = like(work, 1.0) / like(work, float(pool * pool))
    row = run * pool * channels  # of work
    y, u, fired = pool * row, (pool + 1) * row, (pool + 2) * row
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
            clear(work, fired, run * channels)
            for qy in range(min(pool, height - wy * pool)):
                p = ((t * batch + b) * height + wy * pool + qy) * width + left
                m = qy * row
                normalise(current, p * channels, scale, shift, group, n, channels, work, y)
                charge(work, y, work, m, count, leak, decay_input, work, u)
                _count(work, u, n, channels, threshold, pool, work, fired)
                reset(work, u, count, threshold, soft, work, m)
                if keep:
                    for j in range(count):
                        put(membrane, p * channels + j, get(work, m + j))
            if sent > 0:
                to = ((t * batch + b) * out_rows + wy) * out_columns + first
                _send(work, fired, sent * channels, unit, values, codes, to * channels)


@kernel  # type: ignore[untyped-decorator]
def sums(
    current: Any, origin: Any, total: Any, square: Any, shape: Any, work: Any, begin: int, end: int
) -> None:
    """Sum ``c - origin`` and its square over P for every step and channel.

    ``origin`` is ``(T, C)``, near the mean; ``total`` and ``square`` are
    ``(STRIPES, T, C)`` float64 and come as zeros; ``shape`` is (T, P, C); ``work`` has room for
    ``2 · C``. The parts count over (T, STRIPES).
    """
    steps, pixels, channels = shape
    for job in range(begin, end):
        t, stripe = job // STRIPES, job % STRIPES
        p, stop = pixels * stripe // STRIPES, pixels * (stripe + 1) // STRIPES
        near, to = t * channels, (stripe * steps + t) * channels
        while p < stop:
            clear(work, 0, 2 * channels)
            until = min(stop, p + ROWS)
            while p < until:
                at = (t * pixels + p) * channels
                for j in range(channels):
                    d = get(current, at + j) - get(origin, near + j)
                    put(work, j, get(work, j) + d)
                    put(work, channels + j, get(work, channels + j) + d * d)
                p += 1
            for j in range(channels):
                put(total, to + j, get(total, to + j) + get(work, j))
            for j in range(channels):
                put(square, to + j, get(square, to + j) + get(work, channels + j))
