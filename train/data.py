"""Batches for training: event frames, static partners, replacement, augmentation.

Every draw is a pure function of ``(seed, purpose, epoch, batch)``, so a run can be taken up
at any batch and the order does not depend on how batches are loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..errors import SnntxError, UsageError
from ..preprocess.cache import FrameCache
from .recipe import Recipe

MEMORY_SHARE = 0.5
"""Frames are held in memory when they fit into this share of what is free."""


class _Purpose(IntEnum):
    SUBSET, ORDER, PARTNER, REPLACEMENT, CROP = range(5)


def generator(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """Return the generator for one purpose at one place of a run."""
    return np.random.default_rng([seed, purpose, *place])


@dataclass(frozen=True)
class Batch:
    """One training step's input.

    Attributes:
        event: event frames, ``(B, T, 2, H, W)``.
        static: static images in both polarities and all steps, replaced samples showing
            their event frames; same shape; None without transfer.
        labels: ``(B,)``.
        constant: ``(B,)`` bool on the CPU: the static side is one image at every step, since
            it was not replaced; None without transfer.
    """

    event: Tensor
    static: Tensor | None
    labels: Tensor
    constant: Tensor | None

    @property
    def replaced(self) -> int:
        """Number of samples whose static image was replaced."""
        return 0 if self.constant is None else int((~self.constant).sum())

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in parts of equal size, or nearly so."""
        if parts == 1:
            return [self]
        columns = [
            [None] * parts if each is None else list(each.tensor_split(parts))
            for each in (self.event, self.static, self.labels, self.constant)
        ]
        return [Batch(*row) for row in zip(*columns, strict=True)]

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory, from which it copies to CUDA without waiting."""
        static = None if self.static is None else self.static.contiguous().pin_memory()
        return Batch(self.event.pin_memory(), static, self.labels.pin_memory(), self.constant)


def replacement_probability(step: int, steps: int, power: float) -> float:
    """Return ``min(1, (step / steps) ** power)`` (sliding training, He et al., AAAI 2024).

    Args:
        step: batches trained so far.
        steps: batches of the whole run.
        power: 3 in the paper; a quarter of all samples is replaced over training.
    """
    return float(min(1.0, (step / steps) ** power))


def static_channel(
    images: NDArray[np.uint8] | NDArray[np.float32], planes: list[str], channel: str
) -> Tensor:
    """Return one channel of the static images in [0, 1], ``(n, H, W)`` float32.

    ``V`` of HSV is the plane V where there is one, else ``max(R, G, B)``; ``grey`` is ITU-R
    601 luma. Images of a single plane have one channel whatever is asked for.

    Args:
        images: ``(n, P, H, W)``, uint8 (0 to 255) or float32 (0 to 1).
        planes: names of the P planes.
        channel: ``V``, ``grey``, ``blue`` or ``mean`` (of R, G, B).
    """
    values = images / np.float32(255) if images.dtype == np.uint8 else images
    if len(planes) == 1:
        chosen = values[:, 0]
    elif channel == "V" and "V" in planes:
        chosen = values[:, planes.index("V")]
    else:
        values = values[:, [planes.index(name) for name in "RGB"]]
        if channel == "V":
            chosen = values.max(axis=1)
        elif channel == "grey":
            chosen = np.tensordot(values, np.array([0.299, 0.587, 0.114], np.float32), (1, 0))
        elif channel == "blue":
            chosen = values[:, 2]
        else:
            chosen = values.mean(axis=1)
    return torch.from_numpy(np.ascontiguousarray(chosen))


def training_subset(cache: FrameCache, recipe: Recipe) -> NDArray[np.int64]:
    """Return the training recordings; a smaller ``recordings_per_class`` is a subset of a larger.

    Raises:
        UsageError: the protocol leaves nothing to train on.
    """
    indices = cache.split(recipe.protocol, "train")
    if recipe.recordings_per_class:
        order = generator(recipe.seed, _Purpose.SUBSET).permutation(indices)
        kept = [
            order[cache.labels[order] == label][: recipe.recordings_per_class]
            for label in np.unique(cache.labels[indices])
        ]
        indices = np.sort(np.concatenate(kept))
    if indices.size < 2:
        raise UsageError(
            f"protocol {recipe.protocol} leaves {indices.size} recordings to train on; need 2"
        )
    return indices


class TrainingData:
    """Training recordings of a cache with their static partners.

    Args:
        cache: the frame cache; its frames are held in memory where they fit.
        recipe: what to draw and how.

    Raises:
        SnntxError: transfer is asked for, but a class has no static partner.
    """

    def __init__(self, cache: FrameCache, recipe: Recipe) -> None:
        self.cache, self.recipe = cache, recipe
        self.indices = training_subset(cache, recipe)
        self.labels = cache.labels[self.indices]
        self.batch_size = min(recipe.batch_size, self.indices.size)
        self.draws = recipe.draws_per_epoch or self.indices.size
        self.batches = max(1, self.draws // self.batch_size)
        hold_in_memory(cache)
        if not recipe.transfer:
            return
        statics = cache.static_split(recipe.protocol, "train")
        self._partners = {
            int(label): statics[cache.index.static_label[statics] == label]
            for label in np.unique(self.labels)
        }
        lonely = [cache.classes[label] for label, p in self._partners.items() if p.size == 0]
        if lonely:
            raise SnntxError(
                f"{cache.directory}: no static partner for class {', '.join(lonely[:5])}"
                f"{' and others' if len(lonely) > 5 else ''}; preprocess with --static, or train "
                "the event branch alone with --set transfer=false"
            )
        images = cache.static_images()
        self._static = static_channel(images, list(cache.index.planes), recipe.channel)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order = self.order(epoch)
        for number in range(self.batches):
            yield self.batch(order[number * self.batch_size :][: self.batch_size], epoch, number)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return positions in drawing order: class-balanced with replacement, or shuffled."""
        draw = generator(self.recipe.seed, _Purpose.ORDER, epoch)
        count, needed = self.indices.size, self.batches * self.batch_size
        if not self.recipe.balanced:
            rounds = [draw.permutation(count) for _ in range(-(-needed // count))]
            return np.concatenate(rounds)[:needed]
        weight = 1.0 / np.bincount(self.labels)[self.labels]
        return draw.choice(count, needed, p=weight / weight.sum())

    def batch(self, positions: NDArray[np.int64], epoch: int, number: int) -> Batch:
        """Return one batch from positions in :attr:`indices`."""
        recipe, place = self.recipe, (epoch, number)
        labels = self.labels[positions]
        event = torch.from_numpy(self.cache.frames(self.indices[positions]))
        if recipe.crop_padding:
            event = random_crop(
                event, recipe.crop_padding, generator(recipe.seed, _Purpose.CROP, *place)
            )
        target = torch.from_numpy(labels)
        if not recipe.transfer:
            return Batch(event, None, target, None)
        draw = generator(recipe.seed, _Purpose.PARTNER, *place).random(labels.size)
        partners = [self._partners[int(y)] for y in labels]
        chosen = [int(p[int(u * p.size)]) for p, u in zip(partners, draw, strict=True)]
        static = self._static[chosen][:, None, None].expand_as(event)
        replaced = np.zeros(labels.size, np.bool_)
        if recipe.sliding:
            probability = self.replacement_probability(epoch, number)
            uniform = generator(recipe.seed, _Purpose.REPLACEMENT, *place).random(labels.size)
            replaced = uniform < probability
            mask = torch.from_numpy(replaced)[:, None, None, None, None]
            static = torch.where(mask, event, static)
        return Batch(event, static, target, torch.from_numpy(~replaced))

    def replacement_probability(self, epoch: int, number: int) -> float:
        """Return the probability that a static image is replaced at one batch."""
        step = epoch * self.batches + number
        total = self.recipe.epochs * self.batches
        return replacement_probability(step, total, self.recipe.sliding_power)


def random_crop(frames: Tensor, padding: int, draw: np.random.Generator) -> Tensor:
    """Pad by zeros and crop back at one random place per recording.

    Args:
        frames: ``(B, T, C, H, W)``.
        padding: pixels on each side.
        draw: source of the offsets.
    """
    height, width = frames.shape[-2:]
    padded = F.pad(frames, (padding,) * 4)
    offsets = draw.integers(0, 2 * padding + 1, (frames.shape[0], 2))
    return torch.stack(
        [
            sample[..., top : top + height, left : left + width]
            for sample, (top, left) in zip(padded, offsets.tolist(), strict=True)
        ]
    )


def hold_in_memory(cache: FrameCache) -> bool:
    """Hold a cache's frames in memory where they fit; say whether they do."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return cache.hold(int(free * MEMORY_SHARE))
