"""The order in which an epoch's batches are drawn, whatever they are drawn from.

Every draw is a pure function of ``(seed, purpose, epoch, batch)``
(:mod:`snntx.train.augment.draws`), so a run can be taken up at any batch and the order does not
depend on how batches are loaded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..augment.draws import Purpose, generator
from ..recipe.whole import Recipe
from .batch import Batch


class Drawn(ABC):
    """Things with a class, drawn in batches.

    Args:
        recipe: batch size, seed, ``balanced``, ``draws_per_epoch`` and ``last_batch``.
        indices: of the things, in the cache.
        labels: theirs, same length.
        purpose: what the order is drawn for.

    Attributes:
        batch_size: of every batch, but a last one that is kept smaller.
        draws: things an epoch.
        batches: an epoch.
    """

    def __init__(
        self,
        recipe: Recipe,
        indices: NDArray[np.int64],
        labels: NDArray[np.int64],
        purpose: Purpose,
    ) -> None:
        self.recipe, self.indices, self.labels, self._purpose = recipe, indices, labels, purpose
        self.batch_size = min(recipe.optim.batch_size, indices.size)
        self.draws = recipe.data.draws_per_epoch or indices.size
        if recipe.data.last_batch == "drop":
            self.batches = max(1, self.draws // self.batch_size)
            self.draws = self.batches * self.batch_size
        else:
            self.batches = -(-self.draws // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return positions in drawing order: class-balanced with replacement, or shuffled."""
        draw = generator(self.recipe.run.seed, self._purpose, epoch)
        count, needed = self.indices.size, self.draws
        if not self.recipe.data.balanced:
            rounds = [draw.permutation(count) for _ in range(-(-needed // count))]
            return np.concatenate(rounds)[:needed]
        weight = 1.0 / np.bincount(self.labels)[self.labels]
        return draw.choice(count, needed, p=weight / weight.sum())

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order = self.order(epoch)
        for number in range(self.batches):
            yield self.batch(order[number * self.batch_size :][: self.batch_size], epoch, number)

    @abstractmethod
    def batch(self, positions: NDArray[np.int64], epoch: int, number: int) -> Batch:
        """Return one batch from positions in :attr:`indices`."""
