"""Compiled loops of the CPU backend, on currents ``(T, P, C)`` with the channels innermost.

P runs over samples and pixels, ``B * H * W``. Work is cut into tiles: runs of neighbouring
windows of one row of one sample, whose membranes stay in the first-level cache while all T
steps go by. Inner loops run over the channels of one pixel and touch few arrays each, so that
they vectorise. Nothing is contracted or reordered: every result is bit for bit the same for
any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....preprocess.disk.compiling import njit, prange
from .numba_scalars import from_float, to_float

TILE = 1024
"""Neurons of a tile's row, about: what fits into the first-level cache several times."""
STRIPES = 16
"""Parts in which sums are taken, whatever the number of threads."""
ROWS = 32
"""Rows that are summed in float32 before float64 takes over."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def normalise(rows: Any, scale: Any, shift: Any, y: Any) -> None:
    """Write ``rows · scale + shift`` ``(n, C)`` into ``y``, or the rows where nothing scales."""
    pixels, channels = rows.shape
    if scale.size:
        for p in range(pixels):
            for j in range(channels):
                y[p, j] = to_float(rows[p, j]) * scale[j] + shift[j]
    else:
        for p in range(pixels):
            for j in range(channels):
                y[p, j] = to_float(rows[p, j])


@njit(cache=True)  # type: ignore[untyped-decorator]
def charge(y: Any, m: Any, leak: Any, decay_input: bool, u: Any) -> None:
    """Write the charged membranes into ``u``; all are flat."""
    if decay_input:
        for j in range(u.size):
            u[j] = m[j] + (y[j] - m[j]) * leak
    else:
        for j in range(u.size):
            u[j] = m[j] - m[j] * leak + y[j]


@njit(cache=True)  # type: ignore[untyped-decorator]
def reset(u: Any, threshold: Any, soft: bool, m: Any) -> None:
    """Write the membranes after the reset into ``m``; both are flat."""
    zero, one = np.float32(0), np.float32(1)
    if soft:
        for j in range(u.size):
            s = one if u[j] - threshold > zero else zero
            m[j] = u[j] - s * threshold
    else:
        for j in range(u.size):
            m[j] = zero if u[j] - threshold > zero else u[j]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _count(u: Any, threshold: Any, pool: int, fired: Any) -> None:
    """Add the spikes of pixels ``(n, C)`` to their windows' counts."""
    pixels, channels = u.shape
    for p in range(pixels):
        w = p // pool
        for j in range(channels):
            fired[w, j] += np.float32(1) if u[p, j] - threshold > np.float32(0) else np.float32(0)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _send(fired: Any, unit: Any, values: Any, codes: Any) -> None:
    """Write a tile's counts as values and codes, ``(n, C)`` each."""
    windows, channels = values.shape
    for w in range(windows):
        for j in range(channels):
            values[w, j] = from_float(fired[w, j] * unit, values[w, j])
        for j in range(channels):
            codes[w, j] = np.uint8(np.int32(fired[w, j]))


@njit(cache=True, parallel=True)  # type: ignore[untyped-decorator]
def forward(
    current: Any,
    scale: Any,
    shift: Any,
    leak: Any,
    threshold: Any,
    decay_input: bool,
    soft: bool,
    shape: Any,
    pool: int,
    values: Any,
    codes: Any,
    membrane: Any,
) -> None:
    """Run ``(T, P, C)``; write values and codes ``(T, Pw, C)``, membranes where wanted.

    ``scale`` and ``shift`` are ``(G, C)``, with C = 0 for no norm; ``membrane`` is
    ``(T, P, C)`` or has no steps; ``shape`` is (B, H, W).
    """
    steps, _, channels = current.shape
    batch, height, width = shape
    groups = scale.shape[0]
    keep = membrane.shape[0] > 0
    # with membranes wanted the odd border is walked too, and sends nothing on
    rows = (height + pool - 1) // pool if keep else height // pool
    columns = (width + pool - 1) // pool if keep else width // pool
    out_rows, out_columns = height // pool, width // pool
    run = max(1, min(columns, TILE // (pool * channels)))
    runs = (columns + run - 1) // run
    unit = np.float32(1) / np.float32(pool * pool)
    for job in prange(batch * rows * runs):
        b, rest = job // (rows * runs), job % (rows * runs)
        wy, first = rest // runs, (rest % runs) * run
        last = min(columns, first + run)
        left, right = first * pool, min(width, last * pool)
        n = right - left
        m = np.zeros((pool, n, channels), np.float32)
        y = np.empty((n, channels), np.float32)
        u = np.empty((n, channels), np.float32)
        fired = np.empty((last - first, channels), np.float32)
        sent = max(0, min(last, out_columns) - first) if wy < out_rows else 0
        to = (b * out_rows + wy) * out_columns + first
        for t in range(steps):
            g = t if groups > 1 else 0
            fired[:] = 0
            for qy in range(min(pool, height - wy * pool)):
                p = (b * height + wy * pool + qy) * width + left
                normalise(current[t, p : p + n], scale[g], shift[g], y)
                charge(y.reshape(-1), m[qy].reshape(-1), leak, decay_input, u.reshape(-1))
                _count(u, threshold, pool, fired)
                reset(u.reshape(-1), threshold, soft, m[qy].reshape(-1))
                if keep:
                    membrane[t, p : p + n] = m[qy]
            if sent:
                _send(fired, unit, values[t, to : to + sent], codes[t, to : to + sent])


@njit(cache=True, parallel=True)  # type: ignore[untyped-decorator]
def sums(current: Any, origin: Any, total: Any, square: Any) -> None:
    """Sum ``c - origin`` and its square over P for every step and channel.

    ``origin`` is ``(T, C)`` float32, near the mean; ``total`` and ``square`` are
    ``(STRIPES, T, C)`` float64.
    """
    steps, pixels, channels = current.shape
    for job in prange(steps * STRIPES):
        t, stripe = job // STRIPES, job % STRIPES
        begin, end = pixels * stripe // STRIPES, pixels * (stripe + 1) // STRIPES
        near = origin[t]
        one, two = np.empty(channels, np.float32), np.empty(channels, np.float32)
        all_one, all_two = np.zeros(channels, np.float64), np.zeros(channels, np.float64)
        for start in range(begin, end, ROWS):
            one[:] = 0
            two[:] = 0
            for p in range(start, min(end, start + ROWS)):
                row = current[t, p]
                for j in range(channels):
                    d = to_float(row[j]) - near[j]
                    one[j] += d
                    two[j] += d * d
            for j in range(channels):
                all_one[j] += one[j]
            for j in range(channels):
                all_two[j] += two[j]
        total[stripe, t] = all_one
        square[stripe, t] = all_two
