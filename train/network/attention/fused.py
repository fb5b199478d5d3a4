"""The attention on the CPU, by compiled loops (:mod:`..backends.compiled.attention`).

In: maps ``(T, B, C, H, W)`` in float32, bfloat16 or float64. Out: the same shape, channels-last.
Nothing of their size is written but the result. For the backward pass the maps alone are kept,
beside a few numbers for each of them and for each pixel; of these and the maps the result can be
made again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..backends.compiled import attention as kernels
from ..backends.compiled.kernels import TILE
from ..backends.compiled.threads import NUMPY, spread
from ..backends.order import array_of, dense, empty, wide


def summaries(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and maximum of each map, ``(T, B, C)``."""
    data = dense(maps.detach(), last=True)
    steps, batch, channels, height, width = data.shape
    total = torch.zeros((steps, batch, channels), dtype=torch.float64)
    most = torch.empty((steps, batch, channels), dtype=wide(data.dtype))
    spread(
        kernels.summaries,
        steps * batch,
        array_of(data),
        _flat(total),
        _flat(most),
        (height * width, channels),
        room=channels,
        kind=NUMPY[most.dtype],
    )
    return total.div_(height * width).to(most.dtype), most


def attended(
    maps: Tensor, counts: Tensor, first: Tensor, second: Tensor, lam: float
) -> tuple[Tensor, Callable[[], Tensor]]:
    """Return the maps times the spatial map of those that count, or of those that do not.

    And a function that makes the same again, without gradients.

    Args:
        maps: ``(T, B, C, H, W)``.
        counts: ``(T, B, C)``, 1 where a map counts and 0 where it does not.
        first: weight of the convolution that makes the map of those that count, ``(1, 2, 3, 3)``.
        second: of the one that makes the other.
        lam: the share of maps that count, as the means take it.
    """
    out, spatial = _Attended.apply(maps, counts, first, second, lam)  # type: ignore[no-untyped-call]
    given, marked = maps.detach(), counts.detach()
    return out, lambda: _gated(given, marked, spatial)


def _gated(maps: Tensor, counts: Tensor, spatial: Tensor) -> Tensor:
    data = dense(maps, last=True)
    _, batch, channels, height, width = data.shape
    out = empty(data, height, width, data.dtype, last=True)
    spread(
        kernels.gated,
        data.shape[0] * batch,
        array_of(data),
        _flat(counts.to(wide(data.dtype)).contiguous()),
        _flat(spatial),
        (batch, height * width, channels),
        array_of(out),
        room=0,
    )
    return out


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, counts: Tensor, first: Tensor, second: Tensor, lam: float
    ) -> tuple[Tensor, Tensor]:
        data = dense(maps, last=True)
        steps, batch, channels, height, width = data.shape
        pixels = height * width
        counts = counts.to(wide(data.dtype)).contiguous()
        summary = counts.new_empty((batch, 4, height, width))
        places = torch.empty((batch, 2, pixels), dtype=torch.int64)
        run = _run(pixels, channels)
        spread(
            kernels.pooled,
            batch * -(-pixels // run),
            array_of(data),
            _flat(counts),
            (steps, batch, pixels, channels, run),
            _flat(summary),
            _flat(places),
            room=6 * run * channels,
            kind=NUMPY[counts.dtype],
        )
        summary[:, ::2] /= steps * channels
        spatial = _spatial(summary, first, second, lam).contiguous()
        ctx.save_for_backward(data, counts, first, second, summary, places, spatial)
        ctx.lam = lam
        ctx.mark_non_differentiable(spatial)
        return _gated(data, counts, spatial), spatial

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        data, counts, first, second, summary, places, spatial = ctx.saved_tensors
        steps, batch, channels, height, width = data.shape
        pixels = height * width
        grad = dense(grad_outputs[0].to(data.dtype), last=True)
        arriving = spatial.new_empty(spatial.shape)  # contiguous, whatever the maps are
        run = _run(pixels, channels)
        spread(
            kernels.by_spatial,
            batch * -(-pixels // run),
            array_of(data),
            array_of(grad),
            _flat(counts),
            (steps, batch, pixels, channels, run),
            _flat(arriving),
            room=2 * run * channels,
            kind=NUMPY[counts.dtype],
        )
        by_summary, by_first, by_second = _through_spatial(
            summary, first, second, ctx.lam, arriving
        )
        if not (ctx.needs_input_grad[0] or ctx.needs_input_grad[1]):
            return None, None, by_first, by_second, None
        by_maps = empty(data, height, width, data.dtype, last=True)
        by_counts = torch.zeros_like(counts) if ctx.needs_input_grad[1] else counts.new_empty(0)
        spread(
            kernels.through,
            steps * batch,
            array_of(data),
            array_of(grad),
            _flat(counts),
            _flat(spatial),
            _flat((by_summary[:, ::2] / (steps * channels)).contiguous()),
            (batch, pixels, channels),
            array_of(by_maps),
            _flat(by_counts),
            room=0,
        )
        _through_maxima(by_summary[:, 1::2], places, data, counts, by_maps, by_counts)
        return by_maps, by_counts if ctx.needs_input_grad[1] else None, by_first, by_second, None


def _through_maxima(
    arriving: Tensor,
    places: Tensor,
    data: Tensor,
    counts: Tensor,
    by_maps: Tensor,
    by_counts: Tensor,
) -> None:
    """Add the gradients of the maxima ``(B, 2, H, W)`` where these were first reached."""
    batch, channels = data.shape[1:3]
    pixels = places.shape[2]
    sample, pixel = torch.arange(batch)[:, None], torch.arange(pixels)
    given, into = (each.permute(0, 1, 3, 4, 2).reshape(-1) for each in (data, by_maps))
    marked = counts.reshape(-1)
    for part in range(2):
        step, channel = places[:, part] // channels, places[:, part] % channels
        row = (step * batch + sample) * channels + channel
        at = (((step * batch + sample) * pixels + pixel) * channels + channel).flatten()
        share, sign = (marked[row], 1) if part == 0 else (1 - marked[row], -1)
        gained = arriving[:, part].flatten(1)
        into.index_add_(0, at, (gained * share).flatten().to(into.dtype))
        if by_counts.numel():
            change = sign * gained.flatten() * given[at].to(gained.dtype)
            by_counts.view(-1).index_add_(0, row.flatten(), change)


def _spatial(summary: Tensor, first: Tensor, second: Tensor, lam: float) -> Tensor:
    """Return both spatial maps ``(B, 2, H, W)`` of means and maxima ``(B, 4, H, W)``."""
    shares = torch.tensor([lam, 1.0, 1 - lam, 1.0], dtype=summary.dtype).view(4, 1, 1)
    weight = torch.cat([first, second]).to(summary.dtype)
    return torch.sigmoid(functional.conv2d(summary / shares, weight, padding=1, groups=2))


def _through_spatial(
    summary: Tensor, first: Tensor, second: Tensor, lam: float, arriving: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of means and maxima, and of both weights."""
    leaves = [each.detach().requires_grad_() for each in (summary, first, second)]
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        spatial = _spatial(leaves[0], leaves[1], leaves[2], lam)
    by_summary, by_first, by_second = torch.autograd.grad(spatial, leaves, arriving)
    return by_summary, by_first, by_second


def _run(pixels: int, channels: int) -> int:
    """Return how many pixels make a tile."""
    return max(1, min(pixels, TILE // channels))


def _flat(tensor: Tensor) -> Any:
    """Return a contiguous tensor in one row; it shares its memory, so that it can be written."""
    return tensor.detach().view(-1).numpy()
