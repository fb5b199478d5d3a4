"""Kernel of the CUDA backend's backward pass (see :mod:`.triton_kernels`).

The membranes are computed again from the current, ``SPAN`` steps at a time, and held in
registers while the gradient goes back through these steps. Longer sequences first leave the
membranes at which their spans start in ``starts``.

With batch statistics the kernel runs twice, since the gradient of a current needs sums over
all of them: once for the sums alone, once for the gradients. Computing twice moves fewer
bytes than keeping the gradient of the normalised current in between.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .triton_kernels import SIZES, channel_rows, charge, reset


@triton.jit  # type: ignore[untyped-decorator]
def slope(v: tl.tensor, first: tl.tensor, second: tl.tensor, SURROGATE: tl.constexpr) -> tl.tensor:
    """Return the surrogate's slope at ``v`` by its code; the host prepares its two numbers."""
    if SURROGATE == 0:
        return tl.maximum(first - second * tl.abs(v), 0.0)
    elif SURROGATE == 3:
        scaled = v * first
        return second / (1.0 + scaled * scaled)
    elif SURROGATE == 4:
        half = 1.0 / (1.0 + tl.exp(-first * v))
        return first * half * (1.0 - half)
    else:
        return tl.where(tl.abs(v) < first, second, 0.0)


@triton.jit(do_not_specialize=SIZES)  # type: ignore[untyped-decorator]
def backward_kernel(
    current: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    mean: tl.tensor,
    rstd: tl.tensor,
    constant: tl.tensor,
    factor: tl.tensor,
    leak: tl.tensor,
    threshold: tl.tensor,
    grad_values: tl.tensor,
    grad_membrane: tl.tensor,
    starts: tl.tensor,
    grad: tl.tensor,
    sum_one: tl.tensor,
    sum_two: tl.tensor,
    by_leak: tl.tensor,
    by_threshold: tl.tensor,
    first: tl.tensor,
    second: tl.tensor,
    steps: tl.tensor,
    planes: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    columns: tl.tensor,
    LAST: tl.constexpr,
    NORM: tl.constexpr,
    DECAY: tl.constexpr,
    SOFT: tl.constexpr,
    DETACH: tl.constexpr,
    SURROGATE: tl.constexpr,
    POOL: tl.constexpr,
    MEMBRANE: tl.constexpr,
    SUMS: tl.constexpr,
    WRITE: tl.constexpr,
    LEAK: tl.constexpr,
    THRESHOLD: tl.constexpr,
    SPAN: tl.constexpr,
    SPANS: tl.constexpr,
    ALIGN: tl.constexpr,
    BLOCK_A: tl.constexpr,
    BLOCK_V: tl.constexpr,
) -> None:
    """Go back through all steps of a tile of BLOCK_A lines by BLOCK_V of their width.

    With ``SUMS``, each tile's sums of dy and of dy times the standardised current go to
    ``(T, parts, C)``. ``WRITE``: 0 nothing; 1 the gradient dy · scale; 2 that less
    ``current · factor + constant``, ``(G, C)`` each: the share of the batch statistics.
    ``LEAK`` and ``THRESHOLD`` write one sum per program.
    """
    lines = planes * height * columns if LAST else planes
    width = ((channels if LAST else height * columns) // ALIGN) * ALIGN
    across = tl.cdiv(width, BLOCK_V)
    program = tl.program_id(0)
    part, block = program // across, program % across
    a = part * BLOCK_A + tl.arange(0, BLOCK_A)
    w = block * BLOCK_V + tl.arange(0, BLOCK_V)
    at = a[:, None] * width + w[None, :]
    known = (a < lines)[:, None] & (w < width)[None, :]
    step = tl.cast(lines, tl.int64) * width
    if LAST:
        channel, named, table = w, w < width, width
        sum_at, sum_step = part * width + w, tl.cast(tl.cdiv(lines, BLOCK_A), tl.int64) * width
    else:
        channel, named, table = a % channels, a < lines, channels
        sum_at, sum_step = block * lines + a, tl.cast(across, tl.int64) * lines
    if POOL == 1:
        from_at, from_known, from_step = at, known, step
    else:
        rows, places = height // POOL, columns // POOL
        if LAST:
            pixel = a % (height * columns)
            row, column = pixel // columns // POOL, pixel % columns // POOL
            from_line = (a // (height * columns) * rows + row) * places + column
            from_at = from_line[:, None] * width + w[None, :]
            inside = (row < rows) & (column < places)
            from_known = known & inside[:, None]
            from_step = tl.cast(planes * rows * places, tl.int64) * width
        else:
            row, column = w // columns // POOL, w % columns // POOL
            from_at = a[:, None] * (rows * places) + (row * places + column)[None, :]
            inside = (row < rows) & (column < places)
            from_known = known & inside[None, :]
            from_step = tl.cast(planes * rows, tl.int64) * places
    k, theta = tl.load(leak), tl.load(threshold)
    zeros = tl.zeros((BLOCK_A, BLOCK_V), tl.float32)
    kept = zeros
    if SPANS > 1:
        for span in range(SPANS - 1):
            for i in tl.static_range(SPAN):
                t = span * SPAN + i
                y = tl.load(current + t * step + at, mask=known, other=0.0).to(tl.float32)
                if NORM > 0:
                    group = t if NORM == 2 else 0
                    by = channel_rows(scale, group, channel, named, table, LAST)
                    y = y * by + channel_rows(shift, group, channel, named, table, LAST)
                u = charge(y, kept, k, DECAY)
                kept = reset(u, u - theta, SOFT)
            if SPANS > 2:
                tl.store(starts + span * step + at, kept, mask=known)
        tl.debug_barrier()
    all_leak, all_threshold, carried = zeros, zeros, zeros
    for back in range(SPANS):
        begin = (SPANS - 1 - back) * SPAN
        start = zeros
        if SPANS == 2:
            start = tl.where(begin > 0, kept, 0.0)
        elif SPANS > 2:
            earlier = known & (begin > 0)
            start = tl.load(starts + (SPANS - 2 - back) * step + at, mask=earlier, other=0.0)
        m = start
        over: tl.tuple = ()
        for i in tl.static_range(SPAN):
            t = begin + i
            y = tl.load(current + t * step + at, mask=known & (t < steps), other=0.0)
            y = y.to(tl.float32)
            if NORM > 0:
                group = t if NORM == 2 else 0
                there = named & (t < steps)
                by = channel_rows(scale, group, channel, there, table, LAST)
                y = y * by + channel_rows(shift, group, channel, there, table, LAST)
            u = charge(y, m, k, DECAY)
            m = reset(u, u - theta, SOFT)
            over = over + (u - theta,)  # noqa: RUF005 - Triton
        last = begin + SPAN - 1
        below = from_known & (last < steps)
        next_gs = tl.load(grad_values + last * from_step + from_at, mask=below, other=0.0)
        next_c = zeros
        if LEAK or SUMS or WRITE == 2:
            next_c = tl.load(current + last * step + at, mask=known & (last < steps), other=0.0)
        for i in tl.static_range(SPAN - 1, -1, -1):
            t = begin + i
            now, there = known & (t < steps), named & (t < steps)
            group = t if NORM == 2 else 0
            v = over[i]
            gs, c = next_gs.to(tl.float32), next_c.to(tl.float32)
            if i > 0:  # loads cannot move up past this step's stores, so they come first
                below = from_known & (t <= steps)
                next_gs = tl.load(
                    grad_values + (t - 1) * from_step + from_at, mask=below, other=0.0
                )
                if LEAK or SUMS or WRITE == 2:
                    below = known & (t <= steps)
                    next_c = tl.load(current + (t - 1) * step + at, mask=below, other=0.0)
            if POOL > 1:
                gs = gs * (1.0 / (POOL * POOL))
            gm = carried
            if MEMBRANE:
                gm += tl.load(grad_membrane + t * step + at, mask=now, other=0.0)
            if not DETACH:
                gs -= gm * (theta if SOFT else v + theta)
            sloped = gs * slope(v, first, second, SURROGATE)
            du = sloped + (gm if SOFT else tl.where(v > 0, 0.0, gm))
            carried = du - du * k
            if THRESHOLD:
                all_threshold -= sloped + tl.where(v > 0, gm, 0.0) if SOFT else sloped
            if NORM > 0 and (LEAK or WRITE > 0):
                by = channel_rows(scale, group, channel, there, table, LAST)
            if LEAK:
                before = start
                if i > 0:
                    before = reset(over[i - 1] + theta, over[i - 1], SOFT)
                if DECAY:
                    y = c
                    if NORM > 0:
                        y = c * by + channel_rows(shift, group, channel, there, table, LAST)
                    all_leak += du * (y - before)
                else:
                    all_leak -= du * before
            dy = du * k if DECAY else du
            if SUMS:
                centre = channel_rows(mean, group, channel, there, table, LAST)
                standard = (c - centre) * channel_rows(rstd, group, channel, there, table, LAST)
                one = tl.sum(dy, axis=0 if LAST else 1)
                two = tl.sum(dy * standard, axis=0 if LAST else 1)
                tl.store(sum_one + t * sum_step + sum_at, one, mask=there)
                tl.store(sum_two + t * sum_step + sum_at, two, mask=there)
            if WRITE > 0:
                if NORM > 0:
                    dy = dy * by
                if WRITE == 2:
                    dy -= c * channel_rows(factor, group, channel, there, table, LAST)
                    dy -= channel_rows(constant, group, channel, there, table, LAST)
                tl.store(grad + t * step + at, dy.to(grad.dtype.element_ty), mask=now)
    if LEAK:
        tl.store(by_leak + program, tl.sum(tl.where(known, all_leak, 0.0)))
    if THRESHOLD:
        tl.store(by_threshold + program, tl.sum(tl.where(known, all_threshold, 0.0)))
