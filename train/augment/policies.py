"""Augmentation policies that move pixels: NDA, and RandAugment over event-safe operations.

Both return a map of pixels (:mod:`snntx.train.augment.geometry`), so that they cost no further pass
over the frames; RandAugment also says which steps of a recording it empties. Lengths are shares
of a frame's side: the published ones are pixels of 48 × 48 frames.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..recipe.doors import AUGMENTATIONS
from ..recipe.inputs import Augment
from .base import Batches, Moving
from .geometry import Size, affine, composed, cut_out, mirrored, rotation, shifted

NDA_ROLL, NDA_CUTOUT = 5 / 48, 16 / 48
NDA_DEGREES, NDA_SHEAR_DEGREES = 30.0, 15.0

OPERATIONS = (
    "identity",
    "shear rows",
    "shear columns",
    "shift rows",
    "shift columns",
    "rotate",
    "cut out",
    "empty steps",
)
LARGEST = {"shear": 0.3, "shift": 0.25, "rotate": 30.0, "cut out": 0.5, "empty steps": 0.5}
"""RandAugment's operations at magnitude 1: tangent, share of the side, degrees, share of the
side, share of the steps."""


def nda(draw: np.random.Generator, batch: int, size: Size, device: torch.device) -> Tensor:
    """Return the map of Neuromorphic Data Augmentation (Li et al., ECCV 2022), ``(B, H, W)``.

    Each recording is mirrored with probability ½, and then one of four is drawn: roll by up to
    5/48 of the side to any direction, rotate by up to 30°, cut out a square of a third of the
    side at any place (what leaves the frame is lost), shear rows by up to 15°. That is the
    policy M1N2, one operation at the second strength.
    """
    sides = np.array(size)
    flip = draw.random(batch) < 0.5
    choice = draw.integers(0, 4, batch)
    reach = np.round(NDA_ROLL * sides).astype(np.int64)
    offsets = draw.integers(-reach, reach + 1, (batch, 2))
    degrees = draw.uniform(-NDA_DEGREES, NDA_DEGREES, batch)
    shear = np.tan(np.deg2rad(draw.uniform(-NDA_SHEAR_DEGREES, NDA_SHEAR_DEGREES, batch)))
    boxes = centred_boxes(draw.random((batch, 2)), np.full((batch, 2), NDA_CUTOUT), size)

    offsets[choice != 0], degrees[choice != 1], boxes[choice != 2] = 0, 0, 0
    shear[choice != 3] = 0
    matrix = rotation(torch.from_numpy(degrees))
    matrix[:, 1, 0] += torch.from_numpy(shear)
    still = torch.zeros(batch, 2, dtype=torch.float64, device=device)
    return composed(
        [
            mirrored(torch.from_numpy(flip).to(device), size),
            shifted(torch.from_numpy(offsets).to(device), size, wrap=True),
            affine(matrix.to(device), still, size),
            cut_out(torch.from_numpy(boxes).to(device), size),
        ]
    )


def randaugment(
    draw: np.random.Generator,
    batch: int,
    steps: int,
    size: Size,
    device: torch.device,
    *,
    count: int,
    magnitude: float,
) -> tuple[Tensor, Tensor]:
    """Return RandAugment's map ``(B, H, W)`` and the steps it keeps ``(B, T)`` bool.

    Cubuk et al., CVPR Workshops 2020: ``count`` operations in a row, each drawn evenly and for
    each recording, all at one magnitude, with a random sign. The operations here are those that
    need no brightness: see ``OPERATIONS``.

    Args:
        draw: source of the draws.
        batch: recordings.
        steps: frames of each.
        size: of the frames.
        device: where to put the result.
        count: operations in a row.
        magnitude: 0 to 1; 1 is ``LARGEST``.
    """
    maps, kept = [], np.ones((batch, steps), np.bool_)
    for _ in range(count):
        operation = draw.integers(0, len(OPERATIONS), batch)
        sign = magnitude * draw.choice(np.array([-1.0, 1.0]), batch)
        centre, begin = draw.random((batch, 2)), draw.random(batch)
        chosen = {name: operation == i for i, name in enumerate(OPERATIONS)}

        matrix = rotation(torch.from_numpy(sign * LARGEST["rotate"] * chosen["rotate"]))
        matrix[:, 0, 1] += torch.from_numpy(sign * LARGEST["shear"] * chosen["shear columns"])
        matrix[:, 1, 0] += torch.from_numpy(sign * LARGEST["shear"] * chosen["shear rows"])
        along = np.stack([chosen["shift rows"], chosen["shift columns"]], 1)
        offset = np.round(LARGEST["shift"] * sign[:, None] * along * np.array(size))
        share = magnitude * LARGEST["cut out"] * chosen["cut out"]
        boxes = centred_boxes(centre, np.stack([share, share], 1), size)
        maps += [
            affine(matrix.to(device), torch.from_numpy(offset).to(device), size),
            cut_out(torch.from_numpy(boxes).to(device), size),
        ]

        length = np.floor(magnitude * LARGEST["empty steps"] * steps * chosen["empty steps"])
        first = np.floor(begin * (steps - length + 1))
        step = np.arange(steps)
        kept &= (step < first[:, None]) | (step >= (first + length)[:, None])
    return composed(maps), torch.from_numpy(kept).to(device)


def centred_boxes(
    centre: NDArray[np.float64], share: NDArray[np.float64], size: Size
) -> NDArray[np.int64]:
    """Return boxes for :func:`snntx.train.augment.geometry.cut_out`, ``(B, 4)``, cut at the frame.

    Args:
        centre: rows and columns as shares of the sides, ``(B, 2)`` in [0, 1).
        share: lengths as shares of the sides, ``(B, 2)``.
        size: of the frames.
    """
    sides = np.array(size)
    length = np.round(share * sides).astype(np.int64)
    begin = np.floor(centre * sides).astype(np.int64) - length // 2
    end = np.clip(begin + length, 0, sides)
    begin = np.clip(begin, 0, sides)
    return np.stack([begin[:, 0], end[:, 0], begin[:, 1], end[:, 1]], 1)


class _Nda(Moving):
    """NDA as a recipe names it."""

    def __call__(
        self, draw: np.random.Generator, frames: Batches, settings: Augment
    ) -> tuple[Tensor, Tensor | None]:
        """Return its map; every step is kept."""
        return nda(draw, frames.batch, frames.size, frames.device), None


class _RandAugment(Moving):
    """RandAugment as a recipe names it, by its count and magnitude."""

    def __call__(
        self, draw: np.random.Generator, frames: Batches, settings: Augment
    ) -> tuple[Tensor, Tensor | None]:
        """Return its map and the steps it keeps."""
        count, magnitude = settings.randaugment_count, settings.randaugment_magnitude
        return randaugment(draw, *frames, count=count, magnitude=magnitude)


AUGMENTATIONS.register("nda")(_Nda())
AUGMENTATIONS.register("randaugment")(_RandAugment())
