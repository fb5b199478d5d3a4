"""Augmentation of a batch of event frames, on the device that they are on.

Whatever the order they are given in, the parts come in this one: random crop, flip and
rotation; NDA; RandAugment; EventDrop; then mixing of recordings
(:mod:`snntx.train.augment.mixing`); then noise. Every draw is per recording, and all that is
geometry is one read of the frames.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..recipe.whole import MIXERS, Recipe
from .draws import Draws, Purpose
from .geometry import Size, affine, composed, mirrored, moved, rotation, shifted, within
from .mixing import Mixture, mix
from .policies import centred_boxes, nda, randaugment

SHARES = 10
"""EventDrop draws its share of time, or of the events, from 1/10, 2/10, … 9/10."""
SIDES = 20
"""And the box's sides, as a share of the frame's, from 1/20, 2/20, … 5/20."""


def augment(
    frames: Tensor, labels: Tensor, recipe: Recipe, draws: Draws
) -> tuple[Tensor, Mixture | None]:
    """Return the frames that training sees, and how their labels are mixed.

    Args:
        frames: ``(B, T, 2, H, W)``; not changed.
        labels: ``(B,)``.
        recipe: what to do.
        draws: of this batch.
    """
    named = recipe.augmentations
    size: Size = (frames.shape[-2], frames.shape[-1])
    maps, kept = geometry(frames.shape[:2], size, frames.device, recipe, draws)
    if maps:
        frames = moved(frames, composed(maps))
    if kept is not None:
        frames = frames * kept[:, :, None, None, None]
    if "eventdrop" in named:
        frames = event_drop(frames, draws(Purpose.EVENTDROP))
    mixture = None
    for kind in set(MIXERS).intersection(named):  # one at most
        frames, mixture = mix(
            kind,
            frames,
            labels,
            draws(Purpose.MIXING),
            alpha=recipe.mix_alpha,
            probability=recipe.mix_probability,
        )
    if recipe.snr_db is not None:
        frames = add_noise(frames, recipe.snr_db, draws(Purpose.NOISE))
    return frames, mixture


def geometry(
    shape: torch.Size, size: Size, device: torch.device, recipe: Recipe, draws: Draws
) -> tuple[list[Tensor], Tensor | None]:
    """Return the maps of pixels, first to last, and the steps to keep ``(B, T)`` or None.

    ``shape`` is ``(B, T)``. The crop is of frames padded by zeros; the flip is horizontal, with
    probability ½; the rotation is even in ± ``rotation`` degrees about the centre (torchvision's
    ``RandomCrop``, ``RandomHorizontalFlip`` and ``RandomRotation``, as He et al. use them).
    """
    batch, steps = shape
    maps: list[Tensor] = []
    kept: Tensor | None = None
    if recipe.crop_padding:
        draw, padding = draws(Purpose.CROP), recipe.crop_padding
        offsets = torch.from_numpy(draw.integers(0, 2 * padding + 1, (batch, 2)) - padding)
        maps.append(shifted(offsets.to(device), size))
    if recipe.flip:
        flip = torch.from_numpy(draws(Purpose.FLIP).random(batch) < 0.5)
        maps.append(mirrored(flip.to(device), size))
    if recipe.rotation:
        degrees = draws(Purpose.ROTATION).uniform(-recipe.rotation, recipe.rotation, batch)
        still = torch.zeros(batch, 2, dtype=torch.float64, device=device)
        maps.append(affine(rotation(torch.from_numpy(degrees)).to(device), still, size))
    if "nda" in recipe.augmentations:
        maps.append(nda(draws(Purpose.NDA), batch, size, device))
    if "randaugment" in recipe.augmentations:
        then, kept = randaugment(
            draws(Purpose.RANDAUGMENT),
            batch,
            steps,
            size,
            device,
            count=recipe.randaugment_count,
            magnitude=recipe.randaugment_magnitude,
        )
        maps.append(then)
    return maps, kept


def event_drop(frames: Tensor, draw: np.random.Generator) -> Tensor:
    """Return frames without some of their events (EventDrop, Gu et al., IJCAI 2021).

    For each recording one of four, evenly: all events stay; those of a time span go (the frames
    whose middle lies in it; the span begins anywhere and may end after the recording); those of
    a box at any place go, in all frames; or each value of a frame goes by itself, with the
    probability drawn. A recording that would lose all its events keeps them.

    Args:
        frames: ``(B, T, C, H, W)``, not negative; not changed.
        draw: source of the draws.
    """
    batch, steps, _, *size = frames.shape
    choice = draw.integers(0, 4, batch)
    share = draw.integers(1, SHARES, batch)[:, None] / SHARES
    side = draw.integers(1, 6, (batch, 1)).repeat(2, 1) / SIDES
    begin, centre = draw.random((batch, 1)), draw.random((batch, 2))
    time, area, each = (np.flatnonzero(choice == i) for i in (1, 2, 3))
    rows = [torch.from_numpy(where).to(frames.device) for where in (time, area, each)]
    out = frames.clone()

    middle = (np.arange(steps) + 0.5) / steps
    stays = (middle < begin) | (middle >= begin + share)
    out[rows[0]] *= _like(stays[time], frames)[:, :, None, None, None]

    boxes = torch.from_numpy(centred_boxes(centre, side, (size[0], size[1]))[area])
    lost = within(boxes.to(frames.device), (size[0], size[1]))
    out[rows[1]] *= (~lost).to(frames.dtype)[:, None, None]

    uniform = draw.random((each.size, *frames.shape[1:]), np.float32)
    out[rows[2]] *= _like(uniform >= share[each][:, :, None, None, None], frames)

    empty = out.flatten(1).amax(1) <= 0
    out[empty] = frames[empty]
    return out


def add_noise(frames: Tensor, snr_db: float, draw: np.random.Generator) -> Tensor:
    """Return frames with Gaussian noise at a signal-to-noise ratio (as He et al. add it).

    ``x + n``, with n of zero mean and variance ``mean(x²) / 10^(snr_db / 10)``, the mean over
    all of a recording ``(T, C, H, W)``. Values may become negative.
    """
    noise = torch.from_numpy(draw.standard_normal(tuple(frames.shape), np.float32))
    power = frames.square().flatten(1).mean(1) / 10 ** (snr_db / 10)
    return frames + power.sqrt()[:, None, None, None, None] * noise.to(frames)


def _like(values: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], frames: Tensor) -> Tensor:
    return torch.from_numpy(values).to(frames)
