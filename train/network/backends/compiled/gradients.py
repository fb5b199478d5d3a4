"""Compiled loops of the CPU backend's backward pass (see :mod:`.kernels`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import STRIPES, charge, clear, inner, kernel, normalise, reset
from .scalars import get, like, put
from .slopes import slopes


@inner  # type: ignore[untyped-decorator]
def _through_fire(
    work: Any,
    u: int,
    slope: int,
    gs: int,
    gm: int,
    count: int,
    threshold: Any,
    soft: bool,
    detach: bool,
    du: int,
) -> None:
    """Turn gradients of spikes and membrane into that of the charged membrane."""
    zero, one = np.float32(0), np.float32(1)
    if soft and detach:
        for j in range(count):
            put(work, du + j, get(work, gs + j) * get(work, slope + j) + get(work, gm + j))
    elif soft:
        for j in range(count):
            later = get(work, gm + j)
            reaching = get(work, gs + j) - later * threshold
            put(work, du + j, reaching * get(work, slope + j) + later)
    elif detach:
        for j in range(count):
            silent = zero if get(work, u + j) - threshold > zero else one
            kept = get(work, gm + j) * silent
            put(work, du + j, get(work, gs + j) * get(work, slope + j) + kept)
    else:
        for j in range(count):
            charged, later = get(work, u + j), get(work, gm + j)
            silent = zero if charged - threshold > zero else one
            reaching = get(work, gs + j) - later * charged
            put(work, du + j, reaching * get(work, slope + j) + later * silent)


@inner  # type: ignore[untyped-decorator]
def _threshold_gradient(
    work: Any,
    u: int,
    slope: int,
    gs: int,
    gm: int,
    count: int,
    threshold: Any,
    soft: bool,
    detach: bool,
) -> float:
    total = 0.0
    for j in range(count):
        charged, later = get(work, u + j), get(work, gm + j)
        reaching = get(work, gs + j)
        if not detach:
            reaching -= later * (threshold if soft else charged)
        total -= reaching * get(work, slope + j)
        if soft and charged - threshold > np.float32(0):
            total -= later
    return total


@inner  # type: ignore[untyped-decorator]
def _leak_gradient(work: Any, du: int, y: int, m: int, count: int, decay_input: bool) -> float:
    total = 0.0
    for j in range(count):
        by, before = get(work, du + j), get(work, m + j)
        total += by * (get(work, y + j) - before) if decay_input else -by * before
    return total


@inner  # type: ignore[untyped-decorator]
def _arriving(
    grad: Any,
    at: int,
    windows: int,
    left: int,
    pool: int,
    unit: Any,
    pixels: int,
    channels: int,
    work: Any,
    to: int,
) -> None:
    """Write the gradient of the spikes of a row of pixels, of which the first is ``left``.

    ``grad`` holds at ``at`` that of the row's windows, ``(windows, C)``; beyond them it is 0.
    """
    for p in range(pixels):
        w = (left + p) // pool
        if w < windows:
            for j in range(channels):
                put(work, to + j, get(grad, at + w * channels + j) * unit)
        else:
            clear(work, to, channels)
        to += channels


@inner  # type: ignore[untyped-decorator]
def _earlier(work: Any, du: int, count: int, leak: Any, decay_input: bool, gm: int) -> None:
    """Split the gradient of the charged membrane: earlier membrane to ``gm``, ``y``'s in place."""
    for j in range(count):
        by = get(work, du + j)
        put(work, gm + j, by - by * leak)
    if decay_input:
        for j in range(count):
            put(work, du + j, get(work, du + j) * leak)


@inner  # type: ignore[untyped-decorator]
def _add_sums(
    rows: Any,
    at: int,
    work: Any,
    dy: int,
    pixels: int,
    channels: int,
    mean: Any,
    rstd: Any,
    group: int,
    one: int,
    two: int,
) -> None:
    """Add ``dy`` and ``dy`` times the standardised current over pixels."""
    for _ in range(pixels):
        for j in range(channels):
            put(work, one + j, get(work, one + j) + get(work, dy + j))
        for j in range(channels):
            standard = (get(rows, at + j) - get(mean, group + j)) * get(rstd, group + j)
            put(work, two + j, get(work, two + j) + get(work, dy + j) * standard)
        at += channels
        dy += channels


@kernel  # type: ignore[untyped-decorator]
def through_time(
    current: Any,
    scale: Any,
    shift: Any,
    mean: Any,
    rstd: Any,
    leak: Any,
    threshold: Any,
    decay_input: bool,
    soft: bool,
    detach: bool,
    surrogate: int,
    alpha: Any,
    shape: Any,
    grad_values: Any,
    grad_membrane: Any,
    scalars: bool,
    grad: Any,
    sums: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Write the gradient of the normalised current ``y`` into ``grad``, in its dtype.

    Sums of it, and of it times the standardised current, go to ``sums`` ``(STRIPES, 2 · T · C +
    2)`` float64, which comes as zeros, and with ``scalars`` the leak's and threshold's gradients
    behind them. ``grad_membrane`` is empty if there is none. ``shape`` is (T, B, H, W, C, p, G,
    run), ``run`` being the pixels of a tile; ``work`` has room for ``(T + 6) · room + 2 · T ·
    C`` with ``room = run · C + 16``. Does the stripes ``begin`` to ``end`` of STRIPES.
    """
    steps, batch, height, width, channels, pool, groups, run = shape
    normed, kept = scale.size > 0, grad_membrane.size > 0
    out_rows, out_columns = height // pool, width // pool
    runs = (width + run - 1) // run
    jobs = batch * height * runs
    unit = like(work, 1.0) / like(work, float(pool * pool))
    room = run * channels + 16  # no two rooms a multiple of 4 KiB apart
    m, gm, y = steps * room, (steps + 1) * room, (steps + 2) * room
    gs, du, slope = (steps + 3) * room, (steps + 4) * room, (steps + 5) * room
    one = (steps + 6) * room
    each = steps * channels
    for stripe in range(begin, end):
        to = stripe * (2 * each + 2)
        by_leak, by_threshold = 0.0, 0.0
        for job in range(jobs * stripe // STRIPES, jobs * (stripe + 1) // STRIPES):
            b, place = job // (height * runs), job % (height * runs)
            row, left = place // runs, (place % runs) * run
            n = min(width, left + run) - left
            count = n * channels
            wy = row // pool
            windows = out_columns if wy < out_rows else 0
            clear(work, m, count)
            for t in range(steps):
                group = t * channels if groups > 1 else 0
                at = (((t * batch + b) * height + row) * width + left) * channels
                normalise(current, at, scale, shift, group, n, channels, work, y)
                charge(work, y, work, m, count, leak, decay_input, work, t * room)
                reset(work, t * room, count, threshold, soft, work, m)
            clear(work, gm, count)
            clear(work, one, 2 * each)
            for back in range(steps):
                t = steps - 1 - back
                group = t * channels if groups > 1 else 0
                at = (((t * batch + b) * height + row) * width + left) * channels
                u = t * room
                if kept:
                    for j in range(count):
                        put(work, gm + j, get(work, gm + j) + get(grad_membrane, at + j))
                sent = ((t * batch + b) * out_rows + wy) * out_columns * channels
                _arriving(grad_values, sent, windows, left, pool, unit, n, channels, work, gs)
                slopes(work, u, count, threshold, surrogate, alpha, work, slope)
                _through_fire(work, u, slope, gs, gm, count, threshold, soft, detach, du)
                if scalars:
                    by_threshold += _threshold_gradient(
                        work, u, slope, gs, gm, count, threshold, soft, detach
                    )
                    clear(work, m, count)
                    if t > 0:
                        reset(work, u - room, count, threshold, soft, work, m)
                    normalise(current, at, scale, shift, group, n, channels, work, y)
                    by_leak += _leak_gradient(work, du, y, m, count, decay_input)
                _earlier(work, du, count, leak, decay_input, gm)
                for j in range(count):
                    put(grad, at + j, get(work, du + j))
                if normed:
                    first = one + t * channels
                    _add_sums(
                        current, at, work, du, n, channels, mean, rstd, group, first, first + each
                    )
            if normed:
                for j in range(2 * each):
                    put(sums, to + j, get(sums, to + j) + get(work, one + j))
        put(sums, to + 2 * each, by_leak)
        put(sums, to + 2 * each + 1, by_threshold)


@kernel  # type: ignore[untyped-decorator]
def through_norm(
    current: Any,
    by_grad: Any,
    by_current: Any,
    constant: Any,
    shape: Any,
    grad: Any,
    work: Any,
    begin: int,
    end: int,
) -> None:
    """Write ``by_grad · grad + by_current · c + constant`` into ``grad``.

    The factors are ``(G, C)``; ``shape`` is (T, P, C, G); ``work`` has room for C. The
    parts count over (T, STRIPES).
    """
    _, pixels, channels, groups = shape
    for job in range(begin, end):
        t, stripe = job // STRIPES, job % STRIPES
        group = t * channels if groups > 1 else 0
        for p in range(pixels * stripe // STRIPES, pixels * (stripe + 1) // STRIPES):
            at = (t * pixels + p) * channels
            for j in range(channels):
                here = get(current, at + j) * get(by_current, group + j)
                put(work, j, here + get(constant, group + j))
            for j in range(channels):
                there = get(grad, at + j) * get(by_grad, group + j)
                put(grad, at + j, there + get(work, j))
