"""Augmentation of a batch of event frames, on the device that they are on.

Whatever the order they are given in, the parts come in this one: random crop, flip and
rotation; NDA, RandAugment and other maps of pixels; EventDrop and other functions of frames;
then mixing of recordings (:mod:`snntx.train.augment.mixing`); then noise. Every draw is per
recording, and all that is geometry is one read of the frames.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..recipe.doors import AUGMENTATIONS
from ..recipe.inputs import Augment
from .base import Batches, Mixing, Mixture, Moving
from .draws import Draws, Purpose
from .geometry import affine, composed, mirrored, moved, rotation, shifted

PURPOSES = {
    "nda": Purpose.NDA,
    "randaugment": Purpose.RANDAUGMENT,
    "eventdrop": Purpose.EVENTDROP,
    "mixup": Purpose.MIXING,
    "cutmix": Purpose.MIXING,
    "eventmix": Purpose.MIXING,
}
"""What the shipped augmentations draw for; others draw by their name."""


def augment(
    frames: Tensor, labels: Tensor, settings: Augment, draws: Draws
) -> tuple[Tensor, Mixture | None]:
    """Return the frames that training sees, and how their labels are mixed.

    Args:
        frames: ``(B, T, 2, H, W)``; not changed.
        labels: ``(B,)``.
        settings: what to do.
        draws: of this batch.
    """
    named = {name: AUGMENTATIONS.get(name) for name in _in_order(settings.names)}
    shape = Batches(
        len(frames), frames.shape[1], (frames.shape[-2], frames.shape[-1]), frames.device
    )
    maps = geometry(shape, settings, draws)
    kept: Tensor | None = None
    for name, part in named.items():
        if isinstance(part, Moving):
            then, steps = part(draw_of(name, draws), shape, settings)
            maps.append(then)
            if steps is not None:
                kept = steps if kept is None else kept * steps
    if maps:
        frames = moved(frames, composed(maps))
    if kept is not None:
        frames = frames * kept[:, :, None, None, None]
    for name, part in named.items():
        if not isinstance(part, Moving | Mixing):
            frames = part(frames, draw_of(name, draws))
    mixture = None
    for name, part in named.items():  # one at most
        if isinstance(part, Mixing):
            frames, mixture = part(frames, labels, draw_of(name, draws), settings)
    if settings.snr_db is not None:
        frames = add_noise(frames, settings.snr_db, draws(Purpose.NOISE))
    return frames, mixture


def _in_order(names: tuple[str, ...]) -> list[str]:
    """Return shipped names in the order of the parts, then others as they are given."""
    shipped = [name for name in PURPOSES if name in names]
    return [*shipped, *(name for name in names if name not in PURPOSES)]


def draw_of(name: str, draws: Draws) -> np.random.Generator:
    """Return what an augmentation draws from, the same whatever else is applied."""
    return draws(PURPOSES[name]) if name in PURPOSES else draws.named(name)


def geometry(frames: Batches, settings: Augment, draws: Draws) -> list[Tensor]:
    """Return the maps of pixels of crop, flip and rotation, first to last.

    The crop is of frames padded by zeros; the flip is horizontal, with probability ½; the
    rotation is even in ± ``rotation`` degrees about the centre (torchvision's ``RandomCrop``,
    ``RandomHorizontalFlip`` and ``RandomRotation``, as He et al. use them).
    """
    batch, _, size, device = frames
    maps: list[Tensor] = []
    if settings.crop_padding:
        draw, padding = draws(Purpose.CROP), settings.crop_padding
        offsets = torch.from_numpy(draw.integers(0, 2 * padding + 1, (batch, 2)) - padding)
        maps.append(shifted(offsets.to(device), size))
    if settings.flip:
        flip = torch.from_numpy(draws(Purpose.FLIP).random(batch) < 0.5)
        maps.append(mirrored(flip.to(device), size))
    if settings.rotation:
        degrees = draws(Purpose.ROTATION).uniform(-settings.rotation, settings.rotation, batch)
        still = torch.zeros(batch, 2, dtype=torch.float64, device=device)
        maps.append(affine(rotation(torch.from_numpy(degrees)).to(device), still, size))
    return maps


def add_noise(frames: Tensor, snr_db: float, draw: np.random.Generator) -> Tensor:
    """Return frames with Gaussian noise at a signal-to-noise ratio (as He et al. add it).

    ``x + n``, with n of zero mean and variance ``mean(x²) / 10^(snr_db / 10)``, the mean over
    all of a recording ``(T, C, H, W)``. Values may become negative.
    """
    noise = torch.from_numpy(draw.standard_normal(tuple(frames.shape), np.float32))
    power = frames.square().flatten(1).mean(1) / 10 ** (snr_db / 10)
    return frames + power.sqrt()[:, None, None, None, None] * noise.to(frames)
