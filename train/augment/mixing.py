"""Recordings mixed in pairs, and their labels with them: MixUp, CutMix, EventMix.

The second recording of each pair is another of the same batch, by a permutation. A mixed
sample has two labels, its own with the share ``s`` and the other's with ``1 - s``, and costs
``s ℓ(own) + (1 - s) ℓ(other)`` (:func:`mixed`), which is the cross entropy with that soft label.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..recipe.doors import AUGMENTATIONS
from ..recipe.inputs import Augment
from .base import Mixing, Mixture
from .geometry import within
from .policies import centred_boxes

LARGEST_NUMBER = 4
"""EventMix draws the number of its Gaussians from 2 to this."""


def mixed(loss: Callable[[Tensor], Tensor], labels: Tensor, mixture: Mixture | None) -> Tensor:
    """Return ``s ℓ(labels) + (1 - s) ℓ(other)``, sample by sample.

    Args:
        loss: labels ``(B,)`` to one loss for each sample, ``(…, B)``.
        labels: ``(B,)``.
        mixture: the second labels and shares; None returns ``loss(labels)``.
    """
    if mixture is None:
        return loss(labels)
    return mixture.share * loss(labels) + (1 - mixture.share) * loss(mixture.other)


def static_mixture(mixture: Mixture, constant: Tensor) -> Mixture:
    """Return the labels of the static side: a static image keeps its one class.

    Only where the static image was replaced by the mixed events are there two labels.

    Args:
        mixture: of the events.
        constant: ``(B,)`` bool; the static side is an image. Moved to the shares' device.
    """
    whole = torch.ones_like(mixture.share)
    constant = constant.to(whole.device, non_blocking=True)
    return Mixture(mixture.other, torch.where(constant, whole, mixture.share))


def mix(
    kind: str,
    frames: Tensor,
    labels: Tensor,
    draw: np.random.Generator,
    *,
    alpha: float = 1.0,
    probability: float = 0.5,
) -> tuple[Tensor, Mixture]:
    """Return a batch mixed with itself, and the labels of its samples.

    Every sample draws ``λ ~ Beta(alpha, alpha)`` for itself, the share that it wants to keep,
    and is left as it is with the probability ``1 - probability``.

    - ``mixup`` (Zhang et al., ICLR 2018): ``λ x + (1 - λ) x'``; ``s = λ``.
    - ``cutmix`` (Yun et al., ICCV 2019): a box of sides ``√(1 - λ)`` of the frame's, at any
      place, shows ``x'`` at all steps; ``s`` is the share of the area outside it. Sides are
      rounded to whole pixels; the published code rounds them down to an even number.
    - ``eventmix`` (Shen et al., Information Sciences 2023): see :func:`gaussian_mask`; where it is
      set the sample shows ``x'``. With k the share of the own events that stay and k' that of
      the other's that come, ``s = k / (k + k')``.

    Args:
        kind: ``mixup``, ``cutmix`` or ``eventmix``.
        frames: ``(B, T, C, H, W)``, not negative; not changed.
        labels: ``(B,)``.
        draw: source of the draws.
        alpha: above 0.
        probability: that a sample is mixed.
    """
    batch, *_, height, width = frames.shape
    order = torch.from_numpy(draw.permutation(batch))
    keep = draw.beta(alpha, alpha, batch)
    keep[draw.random(batch) >= probability] = 1
    share = torch.from_numpy(keep).to(frames)
    other = frames[order.to(frames.device)]
    if kind == "mixup":
        weight = share[:, None, None, None, None]
        out = weight * frames + (1 - weight) * other
    elif kind == "cutmix":
        sides = np.sqrt(1 - keep)[:, None].repeat(2, 1)
        boxes = centred_boxes(draw.random((batch, 2)), sides, (height, width))
        mask = within(torch.from_numpy(boxes).to(frames.device), (height, width))
        share = 1 - mask.flatten(1).to(frames).mean(1)
        out = torch.where(mask[:, None, None], other, frames)
    else:
        shape = (frames.shape[1], height, width)
        mask = gaussian_mask(1 - share, shape, draw)[:, :, None]
        share = _event_share(frames, other, mask)
        out = torch.where(mask, other, frames)
    return out, Mixture(labels[order.to(labels.device)], share.to(labels.device))


def gaussian_mask(share: Tensor, shape: tuple[int, int, int], draw: np.random.Generator) -> Tensor:
    """Return EventMix's mask: the top of a mixture of Gaussians over time and space.

    Two to four Gaussians a sample: weights even in [0, 1], centres at any step and pixel,
    deviations along each axis even in [0.1, 1] times half its length. Set are the
    ``round(share · T H W)`` voxels in which the mixture is largest.

    Args:
        share: of the voxels, ``(B,)``.
        shape: steps, height and width.
        draw: source of the draws.

    Returns:
        ``(B, T, H, W)`` bool.
    """
    batch, device = len(share), share.device
    number = draw.integers(2, LARGEST_NUMBER + 1, batch)
    weight = draw.random((batch, LARGEST_NUMBER))
    weight[np.arange(LARGEST_NUMBER) >= number[:, None]] = 0
    lengths = np.array(shape)
    centre = draw.integers(0, lengths, (batch, LARGEST_NUMBER, 3))
    deviation = draw.uniform(0.1, 1, (batch, LARGEST_NUMBER, 3)) * lengths / 2

    # in float64: far from all centres a density is down to 1e-261, and must not round to zero
    curves = []
    for axis, length in enumerate(shape):
        distance = (np.arange(length) - centre[..., axis, None]) / deviation[..., axis, None]
        curves.append(torch.from_numpy(np.exp(-(distance**2) / 2)))
    curves[0] *= torch.from_numpy(weight)[:, :, None]
    count = (share.double() * math.prod(shape)).round().long()
    mask = torch.zeros(batch, math.prod(shape), dtype=torch.bool, device=device)
    some = (count > 0).nonzero().flatten()
    time, row, column = (curve[some.cpu()].to(device) for curve in curves)
    density = torch.zeros(len(some), *shape, dtype=torch.float64, device=device)
    for k in range(LARGEST_NUMBER):
        plane = row[:, k, :, None] * column[:, k, None, :]
        density += time[:, k, :, None, None] * plane[:, None]
    order = density.flatten(1).argsort(dim=1, descending=True, stable=True)
    first = torch.arange(order.shape[1], device=device) < count[some, None]
    mask[some] = torch.zeros_like(first).scatter_(1, order, first)
    return mask.view(batch, *shape)


def _event_share(frames: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """Return the own label's share of samples that show ``other`` where ``mask`` is set."""
    smallest = torch.finfo(frames.dtype).tiny
    inside, coming = ((x * mask).flatten(1).sum(1) for x in (frames, other))
    own, others = (x.flatten(1).sum(1).clamp(min=smallest) for x in (frames, other))
    stays, comes = 1 - inside / own, coming / others
    shown = stays + comes
    return torch.where(shown > 0, stays / shown.clamp(min=smallest), torch.ones_like(shown))


class _Mixer(Mixing):
    """One of the kinds of :func:`mix`, by the recipe's share and probability."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(
        self, frames: Tensor, labels: Tensor, draw: np.random.Generator, settings: Augment
    ) -> tuple[Tensor, Mixture]:
        """Mix a batch with itself."""
        alpha, probability = settings.mix_alpha, settings.mix_probability
        return mix(self._kind, frames, labels, draw, alpha=alpha, probability=probability)


for _kind in ("mixup", "cutmix", "eventmix"):
    AUGMENTATIONS.register(_kind)(_Mixer(_kind))
