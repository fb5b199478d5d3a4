"""Compiled loops of the CPU's attention, on maps ``(T, B, P, C)`` with the channels innermost.

P are the pixels of a sample, ``H * W``. ``counts`` ``(T, B, C)`` is 1 where a map counts and 0
where it does not; ``F1 = counts · x`` and ``F2 = x - F1`` are made where they are needed and never
written. Numbers beside the maps are float64 where these are, and float32 otherwise. Written like
:mod:`.kernels`, and equal for any number of threads as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import ROWS, clear, kernel
from .scalars import get, put


@kernel  # type: ignore[untyped-decorator]
def summaries(
    maps: Any, total: Any, most: Any, shape: Any, work: Any, begin: int, end: int
) -> None:
    """Write sum (float64, comes as zeros) and maximum of each map, ``(T, B, C)``.

    ``shape`` is (P, C); ``work`` has room for C. The parts count over (T, B).
    """
    pixels, channels = shape
    for job in range(begin, end):
        at, to, p = job * pixels * channels, job * channels, 0
        for j in range(channels):
            put(most, to + j, get(maps, at + j))
        while p < pixels:
            clear(work, 0, channels)
            until = min(pixels, p + ROWS)
            while p < until:
                for j in range(channels):
                    value, best = get(maps, at + j), get(most, to + j)
                    put(work, j, get(work, j) + value)
                    put(most, to + j, value if value > best else best)
                at += channels
                p += 1
            for j in range(channels):
                put(total, to + j, get(total, to + j) + get(work, j))


@kernel  # type: ignore[untyped-decorator]
def pooled(
    maps: Any,
    counts: Any,
    shape: Any,
    summary: Any,
    places: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Write sum and maximum of F1, then of F2, over T and C: ``(B, 4, P)``.

    ``places`` (int64, ``(B, 2, P)``) is where the maxima are first reached, ``t · C + c``.
    ``shape`` is (T, B, P, C, run), ``run`` being the pixels of a tile; ``work`` has room for
    ``6 · run · C``. The parts count over (B, tiles).
    """
    steps, batch, pixels, channels, run = shape
    tiles, lane = (pixels + run - 1) // run, run * channels
    for job in range(begin, end):
        b, first = job // tiles, job % tiles * run
        n = min(run, pixels - first)
        clear(work, 0, 6 * lane)
        for j in range(n * channels):
            put(work, 2 * lane + j, -np.inf)
            put(work, 4 * lane + j, -np.inf)
        for t in range(steps):
            row = (t * batch + b) * channels
            at, when = (row * pixels) + first * channels, np.float32(t)
            for p in range(n):
                here = p * channels
                for j in range(channels):
                    value = get(maps, at + j)
                    one = get(counts, row + j) * value
                    put(work, here + j, get(work, here + j) + one)
                    put(work, lane + here + j, get(work, lane + here + j) + (value - one))
                best = 2 * lane + here
                for j in range(channels):
                    one = get(counts, row + j) * get(maps, at + j)
                    more = one > get(work, best + j)
                    put(work, best + lane + j, when if more else get(work, best + lane + j))
                    put(work, best + j, one if more else get(work, best + j))
                best += 2 * lane
                for j in range(channels):
                    value = get(maps, at + j)
                    two = value - get(counts, row + j) * value
                    more = two > get(work, best + j)
                    put(work, best + lane + j, when if more else get(work, best + lane + j))
                    put(work, best + j, two if more else get(work, best + j))
                at += channels
        for p in range(n):
            for part in range(2):
                added, best = part * lane + p * channels, (2 + 2 * part) * lane + p * channels
                total, top, when, where = 0.0, get(work, best), get(work, best + lane), 0
                for j in range(channels):
                    total += get(work, added + j)
                    here, then = get(work, best + j), get(work, best + lane + j)
                    if here > top or (here == top and then < when):
                        top, when, where = here, then, j
                to = (b * 4 + 2 * part) * pixels + first + p
                put(summary, to, total)
                put(summary, to + pixels, top)
                put(places, (b * 2 + part) * pixels + first + p, int(when) * channels + where)


@kernel  # type: ignore[untyped-decorator]
def gated(
    maps: Any, counts: Any, spatial: Any, shape: Any, out: Any, work: Any, begin: int, end: int
) -> None:
    """Write ``M1 · F1 + M2 · F2``.

    ``spatial`` is ``(B, 2, P)``; ``shape`` is (B, P, C). The parts count over (T, B).
    """
    batch, pixels, channels = shape
    for job in range(begin, end):
        row, b = job * channels, job % batch
        at = row * pixels
        for p in range(pixels):
            here = 2 * b * pixels + p
            first, second = get(spatial, here), get(spatial, here + pixels)
            for j in range(channels):
                value = get(maps, at + j)
                one = get(counts, row + j) * value
                put(out, at + j, first * one + second * (value - one))
            at += channels


@kernel  # type: ignore[untyped-decorator]
def by_spatial(
    maps: Any, grad: Any, counts: Any, shape: Any, out: Any, work: Any, begin: int, end: int
) -> None:
    """Write the gradients of M1 and M2, ``(B, 2, P)``: sums of ``g · F1`` and ``g · F2``.

    ``shape`` and parts as in :func:`pooled`; ``work`` has room for ``2 · run · C``.
    """
    steps, batch, pixels, channels, run = shape
    tiles, lane = (pixels + run - 1) // run, run * channels
    for job in range(begin, end):
        b, first = job // tiles, job % tiles * run
        n = min(run, pixels - first)
        clear(work, 0, 2 * lane)
        for t in range(steps):
            row = (t * batch + b) * channels
            at = row * pixels + first * channels
            for p in range(n):
                here = p * channels
                for j in range(channels):
                    value = get(grad, at + j) * get(maps, at + j)
                    one = get(counts, row + j) * value
                    put(work, here + j, get(work, here + j) + one)
                    put(work, lane + here + j, get(work, lane + here + j) + (value - one))
                at += channels
        for p in range(n):
            for part in range(2):
                total, added = 0.0, part * lane + p * channels
                for j in range(channels):
                    total += get(work, added + j)
                put(out, (b * 2 + part) * pixels + first + p, total)


@kernel  # type: ignore[untyped-decorator]
def through(
    maps: Any,
    grad: Any,
    counts: Any,
    spatial: Any,
    means: Any,
    shape: Any,
    by_maps: Any,
    by_counts: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Write the gradient of the maps, but for that of the maxima, and that of ``counts``.

    ``means`` ``(B, 2, P)`` is the gradient of each entry of F1 and F2 through their means;
    ``by_counts`` ``(T, B, C)`` comes as zeros, or empty where nobody asks. Else as :func:`gated`.
    """
    batch, pixels, channels = shape
    one = np.float32(1)
    for job in range(begin, end):
        row, b = job * channels, job % batch
        at = row * pixels
        for p in range(pixels):
            here = 2 * b * pixels + p
            first, second = get(spatial, here), get(spatial, here + pixels)
            more, less = get(means, here), get(means, here + pixels)
            for j in range(channels):
                given, marked = get(grad, at + j), get(counts, row + j)
                counting, other = first * given + more, second * given + less
                put(by_maps, at + j, marked * counting + (one - marked) * other)
            if by_counts.size > 0:
                for j in range(channels):
                    given = get(grad, at + j)
                    change = (first * given + more) - (second * given + less)
                    gained = get(by_counts, row + j) + get(maps, at + j) * change
                    put(by_counts, row + j, gained)
            at += channels
