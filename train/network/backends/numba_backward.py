"""Compiled loops of the CPU backend's backward pass (see :mod:`.numba_kernels`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....preprocess.disk.compiling import njit, prange
from .numba_kernels import STRIPES, TILE, charge, normalise, reset
from .numba_scalars import from_float, to_float

HALF_PI = np.float32(np.pi / 2)


@njit(cache=True)  # type: ignore[untyped-decorator]
def slopes(u: Any, threshold: Any, surrogate: int, alpha: Any, out: Any) -> None:
    """Write the surrogate's slope at ``u - threshold`` into ``out``, by its code."""
    one, zero = np.float32(1), np.float32(0)
    if surrogate == 0:
        square = alpha * alpha
        for j in range(out.size):
            out[j] = max(alpha - square * abs(u[j] - threshold), zero)
    elif surrogate == 1 or surrogate == 2 or surrogate == 5:
        half, high = np.float32(0.5), one
        if surrogate == 1:
            half = one / alpha
        elif surrogate == 5:
            half, high = alpha / np.float32(2), one / alpha
        for j in range(out.size):
            out[j] = high if abs(u[j] - threshold) < half else zero
    elif surrogate == 3:
        factor, high = HALF_PI * alpha, alpha / np.float32(2)
        for j in range(out.size):
            scaled = (u[j] - threshold) * factor
            out[j] = high / (one + scaled * scaled)
    else:
        for j in range(out.size):
            half = one / (one + np.exp(-alpha * (u[j] - threshold)))
            out[j] = alpha * half * (one - half)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _through_fire(
    u: Any, slope: Any, gs: Any, gm: Any, threshold: Any, soft: bool, detach: bool, du: Any
) -> None:
    """Turn gradients of spikes and membrane into that of the charged membrane."""
    zero, one = np.float32(0), np.float32(1)
    if soft and detach:
        for j in range(du.size):
            du[j] = gs[j] * slope[j] + gm[j]
    elif soft:
        for j in range(du.size):
            du[j] = (gs[j] - gm[j] * threshold) * slope[j] + gm[j]
    elif detach:
        for j in range(du.size):
            silent = zero if u[j] - threshold > zero else one
            du[j] = gs[j] * slope[j] + gm[j] * silent
    else:
        for j in range(du.size):
            silent = zero if u[j] - threshold > zero else one
            du[j] = (gs[j] - gm[j] * u[j]) * slope[j] + gm[j] * silent


@njit(cache=True)  # type: ignore[untyped-decorator]
def _threshold_gradient(
    u: Any, slope: Any, gs: Any, gm: Any, threshold: Any, soft: bool, detach: bool
) -> float:
    total = 0.0
    for j in range(u.size):
        reaching = gs[j]
        if not detach:
            reaching -= gm[j] * (threshold if soft else u[j])
        total -= reaching * slope[j]
        if soft and u[j] - threshold > np.float32(0):
            total -= gm[j]
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def _leak_gradient(du: Any, y: Any, before: Any, decay_input: bool) -> float:
    total = 0.0
    for j in range(du.size):
        total += du[j] * (y[j] - before[j]) if decay_input else -du[j] * before[j]
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def _arriving(grad: Any, left: int, pool: int, unit: Any, gs: Any) -> None:
    """Write the gradient of the spikes of a row of pixels, of which the first is ``left``.

    ``grad`` is that of the row's windows, ``(columns, C)``; without windows it is 0.
    """
    pixels, channels = gs.shape
    for p in range(pixels):
        w = (left + p) // pool
        if w < grad.shape[0]:
            for j in range(channels):
                gs[p, j] = to_float(grad[w, j]) * unit
        else:
            gs[p, :] = 0


@njit(cache=True)  # type: ignore[untyped-decorator]
def _earlier(du: Any, leak: Any, decay_input: bool, gm: Any) -> None:
    """Split the gradient of the charged membrane: earlier membrane to ``gm``, ``y``'s in place."""
    for j in range(du.size):
        gm[j] = du[j] - du[j] * leak
    if decay_input:
        for j in range(du.size):
            du[j] *= leak


@njit(cache=True)  # type: ignore[untyped-decorator]
def _leave(dy: Any, out: Any) -> None:
    pixels, channels = dy.shape
    for p in range(pixels):
        for j in range(channels):
            out[p, j] = from_float(dy[p, j], out[p, j])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _add_sums(rows: Any, dy: Any, mean: Any, rstd: Any, one: Any, two: Any) -> None:
    """Add ``dy`` and ``dy`` times the standardised current over pixels."""
    pixels, channels = dy.shape
    for p in range(pixels):
        for j in range(channels):
            one[j] += dy[p, j]
        for j in range(channels):
            two[j] += dy[p, j] * ((to_float(rows[p, j]) - mean[j]) * rstd[j])


@njit(cache=True, parallel=True)  # type: ignore[untyped-decorator]
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
    pool: int,
    grad_values: Any,
    grad_membrane: Any,
    scalars: bool,
    grad: Any,
    first_sum: Any,
    second_sum: Any,
    leak_sum: Any,
    threshold_sum: Any,
) -> None:
    """Write the gradient of the normalised current ``y`` into ``grad``, in its dtype.

    Sums of it, and of it times the standardised current, go to ``first_sum`` and
    ``second_sum`` ``(STRIPES, T, C)`` float64; with ``scalars`` the leak's and threshold's
    gradients to ``(STRIPES,)``. ``grad_membrane`` has no steps if there is none.
    """
    steps, _, channels = current.shape
    batch, height, width = shape
    normed, groups = scale.size > 0, scale.shape[0]
    kept = grad_membrane.shape[0] > 0
    out_rows, out_columns = height // pool, width // pool
    run = max(1, min(width, TILE // channels))
    runs = (width + run - 1) // run
    jobs = batch * height * runs
    unit = np.float32(1) / np.float32(pool * pool)
    for stripe in prange(STRIPES):
        charged = np.empty((steps, run, channels), np.float32)
        rest_m = np.empty((run, channels), np.float32)
        rest_gm = np.empty((run, channels), np.float32)
        rest_y = np.empty((run, channels), np.float32)
        rest_gs = np.empty((run, channels), np.float32)
        rest_du = np.empty((run, channels), np.float32)
        slope = np.empty(run * channels, np.float32)
        one = np.empty((steps, channels), np.float32)
        two = np.empty((steps, channels), np.float32)
        all_one, all_two = np.zeros((steps, channels)), np.zeros((steps, channels))
        by_leak, by_threshold = 0.0, 0.0
        for job in range(jobs * stripe // STRIPES, jobs * (stripe + 1) // STRIPES):
            b, place = job // (height * runs), job % (height * runs)
            row, left = place // runs, (place % runs) * run
            n = min(width, left + run) - left
            p = (b * height + row) * width + left
            y, gs = rest_y[:n], rest_gs[:n]
            m, gm, du = (
                rest_m[:n].reshape(-1),
                rest_gm[:n].reshape(-1),
                rest_du[:n].reshape(-1),
            )
            flat_y, flat_gs, slope_n = y.reshape(-1), gs.reshape(-1), slope[: du.size]
            wy = row // pool
            windows = out_columns if wy < out_rows else 0
            to = (b * out_rows + wy) * out_columns
            m[:] = 0
            for t in range(steps):
                g = t if groups > 1 else 0
                u = charged[t, :n].reshape(-1)
                normalise(current[t, p : p + n], scale[g], shift[g], y)
                charge(flat_y, m, leak, decay_input, u)
                reset(u, threshold, soft, m)
            gm[:] = 0
            one[:] = 0
            two[:] = 0
            for back in range(steps):
                t = steps - 1 - back
                g = t if groups > 1 else 0
                u = charged[t, :n].reshape(-1)
                if kept:
                    gm += grad_membrane[t, p : p + n].reshape(-1)
                _arriving(grad_values[t, to : to + windows], left, pool, unit, gs)
                slopes(u, threshold, surrogate, alpha, slope_n)
                _through_fire(u, slope_n, flat_gs, gm, threshold, soft, detach, du)
                if scalars:
                    by_threshold += _threshold_gradient(
                        u, slope_n, flat_gs, gm, threshold, soft, detach
                    )
                    m[:] = 0
                    if t > 0:
                        reset(charged[t - 1, :n].reshape(-1), threshold, soft, m)
                    normalise(current[t, p : p + n], scale[g], shift[g], y)
                    by_leak += _leak_gradient(du, flat_y, m, decay_input)
                _earlier(du, leak, decay_input, gm)
                dy = rest_du[:n]
                _leave(dy, grad[t, p : p + n])
                if normed:
                    _add_sums(current[t, p : p + n], dy, mean[g], rstd[g], one[t], two[t])
            if normed:
                for t in range(steps):
                    for j in range(channels):
                        all_one[t, j] += one[t, j]
                        all_two[t, j] += two[t, j]
        first_sum[stripe] = all_one
        second_sum[stripe] = all_two
        leak_sum[stripe] = by_leak
        threshold_sum[stripe] = by_threshold


@njit(cache=True)  # type: ignore[untyped-decorator]
def _combine(rows: Any, a: Any, b: Any, c: Any, grad: Any) -> None:
    pixels, channels = rows.shape
    y = np.empty(channels, np.float32)
    for p in range(pixels):
        for j in range(channels):
            y[j] = to_float(rows[p, j]) * b[j] + c[j]
        for j in range(channels):
            grad[p, j] = from_float(to_float(grad[p, j]) * a[j] + y[j], grad[p, j])


@njit(cache=True, parallel=True)  # type: ignore[untyped-decorator]
def through_norm(current: Any, by_grad: Any, by_current: Any, constant: Any, grad: Any) -> None:
    """Write ``by_grad · grad + by_current · c + constant`` into ``grad``.

    The factors are ``(G, C)`` float32.
    """
    steps, pixels, _ = current.shape
    groups = by_grad.shape[0]
    for job in prange(steps * STRIPES):
        t, stripe = job // STRIPES, job % STRIPES
        g = t if groups > 1 else 0
        a, b, c = by_grad[g], by_current[g], constant[g]
        begin, end = pixels * stripe // STRIPES, pixels * (stripe + 1) // STRIPES
        _combine(current[t, begin:end], a, b, c, grad[t, begin:end])
