"""Batches for training: event frames, static partners, replacement, augmentation.

Every draw is a pure function of ``(seed, purpose, epoch, batch)``, so a run can be taken up
at any batch and the order does not depend on how batches are loaded
(:mod:`snntx.train.augment.draws`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...preprocess.cache.frame_cache import FrameCache
from ..augment.apply import augment
from ..augment.draws import Draws, Purpose
from ..augment.draws import generator as generator
from ..augment.mixing import Mixture, static_mixture
from ..method.strategies import BY_NAME, hard_switch, replacement_probability
from ..recipe.whole import Recipe
from .partners import Partners, nested_subset

MEMORY_SHARE = 0.5
"""Frames are held in memory when they fit into this share of what is free."""


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
        other_labels: ``(B,)``, the second label of each sample where recordings are mixed.
        mix: ``(B,)`` in [0, 1], the first label's share; the second has the rest.
        switch: ``(B,)``, the first step at which the static side shows events, T for never;
            None but in time-step mixup.
    """

    event: Tensor
    static: Tensor | None
    labels: Tensor
    constant: Tensor | None
    other_labels: Tensor | None = None
    mix: Tensor | None = None
    switch: Tensor | None = None

    @property
    def mixture(self) -> Mixture | None:
        """The second labels and the first ones' shares; None without mixing."""
        if self.other_labels is None or self.mix is None:
            return None
        return Mixture(self.other_labels, self.mix)

    @property
    def static_mixture(self) -> Mixture | None:
        """The same for the static side, whose images are not mixed."""
        if self.mixture is None or self.constant is None:
            return None
        return static_mixture(self.mixture, self.constant)

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
            for each in (getattr(self, field.name) for field in fields(self))
        ]
        return [Batch(*row) for row in zip(*columns, strict=True)]

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory, from which it copies to CUDA without waiting."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        pinned = {
            name: value.contiguous().pin_memory()
            for name, value in values.items()
            if value is not None and value.device.type == "cpu" and name != "constant"
        }
        return Batch(**{**values, **pinned})


def training_subset(cache: FrameCache, recipe: Recipe) -> NDArray[np.int64]:
    """Return the training recordings: all, or a part of each class.

    The parts that ``event_fraction`` and ``recordings_per_class`` leave follow one order, drawn
    by the seed alone, so that every smaller part lies within every larger one; with both set
    the smaller number holds.

    Raises:
        UsageError: the protocol leaves nothing to train on.
    """
    indices = cache.split(recipe.protocol, "train")
    most, fraction = recipe.recordings_per_class, recipe.event_fraction
    if indices.size and (most or fraction < 1):
        order = generator(recipe.seed, Purpose.SUBSET).permutation(indices)
        indices = nested_subset(order, cache.labels, fraction, most)
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
        device: where batches are augmented and paired; draws are the CPU's everywhere.

    Raises:
        SnntxError: transfer is asked for, but a class has no static partner, or pairing by
            instance and there is no twin.
    """

    def __init__(
        self, cache: FrameCache, recipe: Recipe, device: torch.device | None = None
    ) -> None:
        self.cache, self.recipe, self.device = cache, recipe, device or torch.device("cpu")
        self.indices = training_subset(cache, recipe)
        self.labels = cache.labels[self.indices]
        self.batch_size = min(recipe.batch_size, self.indices.size)
        self.draws = recipe.draws_per_epoch or self.indices.size
        self.batches = max(1, self.draws // self.batch_size)
        hold_in_memory(cache)
        self._partners = Partners(cache, recipe, self.indices) if recipe.transfer else None
        if self._partners is not None:
            self._images = self._partners.images.to(self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order = self.order(epoch)
        for number in range(self.batches):
            yield self.batch(order[number * self.batch_size :][: self.batch_size], epoch, number)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return positions in drawing order: class-balanced with replacement, or shuffled."""
        draw = generator(self.recipe.seed, Purpose.ORDER, epoch)
        count, needed = self.indices.size, self.batches * self.batch_size
        if not self.recipe.balanced:
            rounds = [draw.permutation(count) for _ in range(-(-needed // count))]
            return np.concatenate(rounds)[:needed]
        weight = 1.0 / np.bincount(self.labels)[self.labels]
        return draw.choice(count, needed, p=weight / weight.sum())

    def batch(self, positions: NDArray[np.int64], epoch: int, number: int) -> Batch:
        """Return one batch from positions in :attr:`indices`."""
        draws = Draws(self.recipe.seed, epoch, number)
        recordings, labels = self.indices[positions], torch.from_numpy(self.labels[positions])
        frames = torch.from_numpy(self.cache.frames(recordings)).to(self.device)
        event, mixture = augment(frames, labels, self.recipe, draws)
        other, share = (None, None) if mixture is None else mixture
        if self._partners is None:
            return Batch(event, None, labels, None, other, share)
        uniform = draws(Purpose.PARTNER).random(len(labels))
        chosen = self._partners.choose(recordings, self.labels[positions], uniform)
        images = self._images[torch.from_numpy(chosen).to(self.device)]
        static = images[:, None, None].expand_as(event)
        probability = self.replacement_probability(epoch, number)
        strategy, draw = BY_NAME[self.recipe.strategy], draws(Purpose.REPLACEMENT)
        static, constant, switch = strategy.show(static, event, probability, draw)
        return Batch(event, static, labels, constant, other, share, switch)

    def replacement_probability(self, epoch: int, number: int) -> float:
        """Return the probability that a static image is replaced at one batch, or the mix ratio."""
        recipe = self.recipe
        if recipe.hard_switch:
            return hard_switch(epoch, recipe.epochs)
        if not recipe.sliding:
            return 0.0
        step, steps = epoch * self.batches + number, recipe.epochs * self.batches
        return replacement_probability(step, steps, recipe.sliding_power)


def hold_in_memory(cache: FrameCache) -> bool:
    """Hold a cache's frames in memory where they fit; say whether they do."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return cache.hold(int(free * MEMORY_SHARE))
