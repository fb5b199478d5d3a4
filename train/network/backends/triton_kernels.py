"""Kernels of the CUDA backend: statistics and forward (see :mod:`.interface`).

Every step of a current is a matrix of lines here, its width innermost. In channels-last order
a line is a pixel and its width are the channels (``LAST``); in contiguous order a line is a
row of pixels, or a plane, of one channel. A program owns a tile of ``(BLOCK_A, BLOCK_V)`` of
them. ``ALIGN`` divides the width: it tells the compiler how wide loads may be.

Neurons are computed in the order of :mod:`snntx.train.network.neurons`, one rounding per operation
(compile with ``enable_fp_fusion=False``). No sum is atomic: each program writes its own part.
"""

from __future__ import annotations

import triton
import triton.language as tl

SIZES = ("steps", "planes", "channels", "height", "columns", "grid_rows", "grid_columns")
"""Arguments that do not choose a variant of a kernel."""


@triton.jit  # type: ignore[untyped-decorator]
def channel_rows(
    table: tl.tensor,
    group: tl.tensor,
    channel: tl.tensor,
    known: tl.tensor,
    size: tl.tensor,
    LAST: tl.constexpr,
) -> tl.tensor:
    """Load a group's numbers per channel from ``(G, size)``, shaped to go with a tile."""
    numbers = tl.load(table + group * size + channel, mask=known, other=0.0)
    return numbers[None, :] if LAST else numbers[:, None]


@triton.jit  # type: ignore[untyped-decorator]
def charge(y: tl.tensor, m: tl.tensor, leak: tl.tensor, DECAY: tl.constexpr) -> tl.tensor:
    """Return the charged membrane."""
    return m + (y - m) * leak if DECAY else m - m * leak + y


@triton.jit  # type: ignore[untyped-decorator]
def reset(u: tl.tensor, v: tl.tensor, SOFT: tl.constexpr) -> tl.tensor:
    """Return the membrane after the reset; ``v = u - θ`` is above 0 where the neuron fires."""
    return tl.where(v > 0, v if SOFT else 0.0, u)


@triton.jit(do_not_specialize=SIZES)  # type: ignore[untyped-decorator]
def statistics_kernel(
    current: tl.tensor,
    total: tl.tensor,
    spread: tl.tensor,
    planes: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    columns: tl.tensor,
    LAST: tl.constexpr,
    ALIGN: tl.constexpr,
    BLOCK_A: tl.constexpr,
    BLOCK_V: tl.constexpr,
) -> None:
    """Write each tile's sum and sum of squared distances to its own mean, per step and channel.

    ``total`` and ``spread`` are ``(T, parts, C)`` float32: a part is a block of lines, or in
    contiguous order a sample's block of pixels. One program per step and tile.
    """
    lines = planes * height * columns if LAST else planes
    width = ((channels if LAST else height * columns) // ALIGN) * ALIGN
    across = tl.cdiv(width, BLOCK_V)
    tiles = across * tl.cdiv(lines, BLOCK_A)
    program = tl.program_id(0)
    t, tile = program // tiles, program % tiles
    part, block = tile // across, tile % across
    a = part * BLOCK_A + tl.arange(0, BLOCK_A)
    w = block * BLOCK_V + tl.arange(0, BLOCK_V)
    known = (a < lines)[:, None] & (w < width)[None, :]
    step = tl.cast(lines, tl.int64) * width
    c = tl.load(current + t * step + a[:, None] * width + w[None, :], mask=known, other=0.0)
    c = c.to(tl.float32)
    if LAST:
        one = tl.sum(c, axis=0)
        mean = one / tl.minimum(BLOCK_A, lines - part * BLOCK_A).to(tl.float32)
        apart = tl.where(known, c - mean[None, :], 0.0)
        two = tl.sum(apart * apart, axis=0)
        row = tl.cast(t * tl.cdiv(lines, BLOCK_A) + part, tl.int64) * width
        tl.store(total + row + w, one, mask=w < width)
        tl.store(spread + row + w, two, mask=w < width)
    else:
        one = tl.sum(c, axis=1)
        mean = one / tl.minimum(BLOCK_V, width - block * BLOCK_V).to(tl.float32)
        apart = tl.where(known, c - mean[:, None], 0.0)
        two = tl.sum(apart * apart, axis=1)
        row = tl.cast(t * across + block, tl.int64) * lines
        tl.store(total + row + a, one, mask=a < lines)
        tl.store(spread + row + a, two, mask=a < lines)


@triton.jit(do_not_specialize=SIZES)  # type: ignore[untyped-decorator]
def forward_kernel(
    current: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    leak: tl.tensor,
    threshold: tl.tensor,
    values: tl.tensor,
    codes: tl.tensor,
    membrane: tl.tensor,
    steps: tl.tensor,
    planes: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    columns: tl.tensor,
    grid_rows: tl.tensor,
    grid_columns: tl.tensor,
    LAST: tl.constexpr,
    NORM: tl.constexpr,
    DECAY: tl.constexpr,
    SOFT: tl.constexpr,
    KEEP: tl.constexpr,
    POOL: tl.constexpr,
    INNER: tl.constexpr,
    ALIGN: tl.constexpr,
    OUT_ALIGN: tl.constexpr,
    BLOCK_A: tl.constexpr,
    BLOCK_V: tl.constexpr,
) -> None:
    """Run all steps; write spikes (averaged over windows), codes, membranes with ``KEEP``.

    A tile is BLOCK_A rows of windows (windows, channels-last) by BLOCK_V windows (channels).
    Its neurons are ``POOL * POOL // INNER`` tiles: contiguous ones hold the ``INNER``
    neighbours of a window's row side by side. ``NORM``: 0 none, 1 shared by the steps, 2 each
    step its own. ``grid_rows`` and ``grid_columns`` count the windows to walk.
    """
    width = ((channels if LAST else columns) // ALIGN) * ALIGN
    out_rows, out_columns = height // POOL, columns // POOL
    out_width = ((channels if LAST else out_columns) // OUT_ALIGN) * OUT_ALIGN
    across = tl.cdiv(channels if LAST else grid_columns, BLOCK_V)
    program = tl.program_id(0)
    a = program // across * BLOCK_A + tl.arange(0, BLOCK_A)
    w = program % across * BLOCK_V + tl.arange(0, BLOCK_V)
    if LAST:
        plane, rest = a // (grid_rows * grid_columns), a % (grid_rows * grid_columns)
        row, column = rest // grid_columns, rest % grid_columns
        line = (plane * height + row * POOL) * columns + column * POOL
        out_line = (plane * out_rows + row) * out_columns + column
        channel, named = w, w < width
        sent = (plane < planes) & (row < out_rows) & (column < out_columns)
        step = tl.cast(planes * height * columns, tl.int64) * width
        out_step = tl.cast(planes * out_rows * out_columns, tl.int64) * out_width
        table = width
    else:
        plane, row = a // grid_rows, a % grid_rows
        column = row * 0
        line = plane * height + row * POOL
        out_line = plane * out_rows + row
        channel, named = plane % channels, plane < planes
        sent = (plane < planes) & (row < out_rows)
        step = tl.cast(planes * height, tl.int64) * width
        out_step = tl.cast(planes * out_rows, tl.int64) * out_width
        table = channels
    out_at = out_line[:, None] * out_width + w[None, :]
    out_known = sent[:, None] & (w < out_width)[None, :]
    k, theta = tl.load(leak), tl.load(threshold)
    first = program % across * (BLOCK_V * INNER) + tl.arange(0, BLOCK_V * INNER)
    WAYS: tl.constexpr = POOL // INNER
    m: tl.tuple = ()
    for _ in tl.static_range(POOL * WAYS):
        m = m + (tl.zeros((BLOCK_A, BLOCK_V * INNER), tl.float32),)  # noqa: RUF005 - Triton
    for t in range(steps):
        if NORM > 0:
            group = t if NORM == 2 else 0
            by = channel_rows(scale, group, channel, named, table, LAST)
            plus = channel_rows(shift, group, channel, named, table, LAST)
        count = tl.zeros((BLOCK_A, BLOCK_V), tl.float32)
        after: tl.tuple = ()
        for dy in tl.static_range(POOL):
            for dx in tl.static_range(WAYS):
                inside = (plane < planes) & (row * POOL + dy < height)
                if LAST:
                    inside = inside & (column * POOL + dx < columns)
                    at = (line + dy * columns + dx)[:, None] * width + first[None, :]
                    known = inside[:, None] & (first < width)[None, :]
                else:
                    x = first * WAYS + dx
                    at = (line + dy)[:, None] * width + x[None, :]
                    known = inside[:, None] & (x < width)[None, :]
                y = tl.load(current + t * step + at, mask=known, other=0.0).to(tl.float32)
                if NORM > 0:
                    y = y * by + plus
                u = charge(y, m[dy * WAYS + dx], k, DECAY)
                v = u - theta
                after = after + (reset(u, v, SOFT),)  # noqa: RUF005 - Triton
                if KEEP:
                    tl.store(membrane + t * step + at, reset(u, v, SOFT), mask=known)
                s = (v > 0).to(tl.float32)
                if INNER > 1:
                    s = tl.sum(tl.reshape(s, (BLOCK_A, BLOCK_V, INNER)), axis=2)
                count += s
        m = after
        share = count
        if POOL > 1:
            share = tl.div_rn(count, tl.full(count.shape, POOL * POOL, tl.float32))
        to = t * out_step + out_at
        tl.store(values + to, share.to(values.dtype.element_ty), mask=out_known)
        tl.store(codes + to, count.to(tl.uint8), mask=out_known)
