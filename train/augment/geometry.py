"""Geometry by nearest neighbour: for every pixel, the pixel that it shows.

A map is ``(B, H, W)`` int64, one for each recording: the flat index ``row · W + column`` of
the pixel to show, or -1 for none, which is shown as zero. Maps compose, so any chain of moves
reads the frames once; all frames of a recording move together, and no value is interpolated.

Matrices and offsets are in (row, column) order and say where a pixel's content comes from:
``source = centre + matrix (pixel - centre) + offset``, with the centre of the frame between its
pixels and sources rounded to the nearest, halves to the even one.
"""

from __future__ import annotations

import torch
from torch import Tensor

Size = tuple[int, int]
"""Height and width."""


def shifted(offsets: Tensor, size: Size, *, wrap: bool = False) -> Tensor:
    """Return the map by which a pixel shows the one ``offsets`` away.

    Args:
        offsets: rows and columns, ``(B, 2)`` int64.
        size: of the frames.
        wrap: take what leaves a frame in again at the other side.
    """
    height, width = size
    rows = offsets[:, :1] + torch.arange(height, device=offsets.device)
    columns = offsets[:, 1:] + torch.arange(width, device=offsets.device)
    if wrap:
        rows, columns = rows % height, columns % width
    return _flat(rows[:, :, None], columns[:, None, :], size)


def mirrored(flip: Tensor, size: Size) -> Tensor:
    """Return the map that swaps left and right where ``flip`` ``(B,)`` bool is set."""
    height, width = size
    rows = torch.arange(height, device=flip.device)
    columns = torch.arange(width, device=flip.device)
    columns = torch.where(flip[:, None], columns.flip(0), columns)
    return _flat(rows[:, None], columns[:, None, :], size)


def affine(matrix: Tensor, offset: Tensor, size: Size) -> Tensor:
    """Return the map of ``matrix`` ``(B, 2, 2)`` and ``offset`` ``(B, 2)``, both float64."""
    height, width = size
    rows = torch.arange(height, device=matrix.device, dtype=torch.float64) - (height - 1) / 2
    columns = torch.arange(width, device=matrix.device, dtype=torch.float64) - (width - 1) / 2
    place = [
        matrix[:, i, 0, None, None] * rows[:, None]
        + matrix[:, i, 1, None, None] * columns
        + (offset[:, i] + (length - 1) / 2)[:, None, None]
        for i, length in enumerate(size)
    ]
    return _flat(place[0].round().long(), place[1].round().long(), size)


def rotation(degrees: Tensor) -> Tensor:
    """Return the matrices ``(B, 2, 2)`` that turn by ``(B,)`` degrees, counter-clockwise."""
    angle = torch.deg2rad(degrees.double())
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine, sine, -sine, cosine], -1).view(-1, 2, 2)


def cut_out(boxes: Tensor, size: Size) -> Tensor:
    """Return the map that shows nothing within ``boxes``.

    Args:
        boxes: first row, row after the last, first column, column after the last;
            ``(B, 4)`` int64, of which what lies outside the frame has no effect.
        size: of the frames.
    """
    height, width = size
    identity = torch.arange(height * width, device=boxes.device).view(height, width)
    return torch.where(within(boxes, size), -1, identity)


def within(boxes: Tensor, size: Size) -> Tensor:
    """Return which pixels lie within boxes (see :func:`cut_out`), ``(B, H, W)`` bool."""
    top, bottom, left, right = boxes[:, :, None].unbind(1)
    rows = torch.arange(size[0], device=boxes.device)
    columns = torch.arange(size[1], device=boxes.device)
    tall, wide = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return tall[:, :, None] & wide[:, None, :]


def composed(maps: list[Tensor]) -> Tensor:
    """Return the one map that does what several do one after the other, first to last."""
    whole = maps[0]
    for then in maps[1:]:
        index = then.flatten(1)
        seen = whole.flatten(1).gather(1, index.clamp(min=0))
        whole = torch.where(index < 0, -1, seen).view_as(then)
    return whole


def moved(frames: Tensor, source: Tensor) -> Tensor:
    """Return frames ``(B, T, C, H, W)``, finite, moved by a map ``(B, H, W)``."""
    flat = frames.flatten(3).flatten(1, 2)
    index = source.flatten(1)[:, None]
    out = flat.gather(2, index.clamp(min=0).expand_as(flat))
    return out.mul_((index >= 0).to(out.dtype)).view_as(frames)


def _flat(rows: Tensor, columns: Tensor, size: Size) -> Tensor:
    """Return flat indices of places, -1 for those outside."""
    height, width = size
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return torch.where(inside, rows * width + columns, -1)
