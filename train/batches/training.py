"""Training recordings in batches: event frames, static partners, augmentation, a method's view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UsageError
from ...preprocess.cache.contents import SealedCache
from ..augment.apply import augment
from ..augment.draws import Draws, Purpose, generator
from ..method.base import Place, Sample
from ..method.choice import make_method
from ..recipe.whole import Recipe
from .batch import Batch
from .drawing import Drawn
from .memory import hold_in_memory
from .partners import Partners, nested_subset
from .seen import seen_by, training_frames
from .views import rates, tell_uniform, view_of


def training_subset(cache: SealedCache, recipe: Recipe) -> NDArray[np.int64]:
    """Return the training recordings: all, or a part of each class.

    The parts that ``event_fraction`` and ``recordings_per_class`` leave follow one order, drawn
    by the seed alone, so that every smaller part lies within every larger one; with both set
    the smaller number holds.

    Raises:
        UsageError: the protocol leaves nothing to train on.
    """
    indices = cache.split(recipe.data.protocol, "train")
    most, fraction = recipe.data.recordings_per_class, recipe.data.event_fraction
    if indices.size and (most or fraction < 1):
        order = generator(recipe.run.seed, Purpose.SUBSET).permutation(indices)
        indices = nested_subset(order, cache.labels, fraction, most)
    if indices.size < 2:
        raise UsageError(
            f"protocol {recipe.data.protocol} leaves {indices.size} recordings to train on; need 2"
        )
    return indices


class TrainingData(Drawn):
    """Training recordings of a cache, with static partners where the method shows some.

    Args:
        cache: of frames or events; it is held in memory where it fits.
        recipe: what to draw and how; its method decides what the static branch sees.
        device: where batches are augmented and paired; draws are the CPU's everywhere.
        say: called with a line where the free memory is not known, or images show nothing.

    Raises:
        UsageError: the cache has no such frames as the recipe asks for.
        SnntxError: static images are asked for, but a class has no static partner, or pairing by
            instance and there is no twin.
    """

    def __init__(
        self,
        cache: SealedCache,
        recipe: Recipe,
        device: torch.device | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        cache = seen_by(cache, recipe)
        indices = training_subset(cache, recipe)
        super().__init__(recipe, indices, cache.labels[indices], Purpose.ORDER)
        self.cache, self.device = cache, device or torch.device("cpu")
        self.method = make_method(recipe)
        hold_in_memory(cache, say)
        self._partners = Partners(cache, recipe, self.indices) if self.method.static else None
        if self._partners is not None:
            self._images = self._partners.images.to(self.device)
            self._view = view_of(recipe)
            tell_uniform(self._view, self._images[self._partners.statics], say)

    def _frames(self, recordings: NDArray[np.int64], draws: Draws) -> NDArray[np.float32]:
        return training_frames(self.cache, recordings, draws, self.recipe.augment.event_drop)

    def batch(self, positions: NDArray[np.int64], epoch: int, number: int) -> Batch:
        """Return one batch from positions in :attr:`indices`."""
        draws = Draws(self.recipe.run.seed, epoch, number)
        recordings, labels = self.indices[positions], torch.from_numpy(self.labels[positions])
        frames = torch.from_numpy(self._frames(recordings, draws)).to(self.device)
        event, mixture = augment(frames, labels, self.recipe.augment, draws)
        other, share = (None, None) if mixture is None else mixture
        if self._partners is None:
            return Batch(event, None, labels, None, other, share)
        uniform = draws(Purpose.PARTNER).random(len(labels))
        chosen = self._partners.choose(recordings, self.labels[positions], uniform)
        images = self._images[torch.from_numpy(chosen).to(self.device)]
        seen = self._view.frames(images, event.shape[1], draws(Purpose.STATIC_VIEW))
        sample = Sample(event, seen, labels, recordings, chosen)
        place = Place(epoch, number, self.recipe.optim.epochs, self.batches)
        static, shows, notes = self.method.show(sample, place, draws(Purpose.REPLACEMENT))
        if self._view.still:
            return Batch(event, static, labels, shows, other, share, notes)
        notes = {**notes, **rates(static=seen, event=event)}
        return Batch(event, static, labels, torch.zeros_like(shows), other, share, notes, shows)
