"""Batches of static images alone: what pretraining of the static branch is shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import SnntxError
from ...preprocess.cache.contents import SealedCache
from ..augment.draws import Draws, Purpose
from ..recipe.whole import Recipe
from .batch import Batch
from .drawing import Drawn
from .images import shown_images
from .partners import training_statics
from .views import rates, tell_uniform, view_of


class StaticOnlyData(Drawn):
    """The static images of the training part, in the shape that the loader expects.

    Its batches have no events (``event`` is ``(B, 0)``) and every static sample is constant.

    Args:
        cache: the frame cache.
        recipe: protocol, channel, batch size, seed, ``balanced`` and ``draws_per_epoch``.
        indices: static images to use instead of the whole training part.
        say: called with a line where images show nothing.

    Raises:
        SnntxError: the cache has fewer than two static images to train on.
    """

    def __init__(
        self,
        cache: SealedCache,
        recipe: Recipe,
        indices: NDArray[np.int64] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        protocol = recipe.data.protocol
        chosen = training_statics(cache, recipe) if indices is None else indices
        if chosen.size < 2:
            raise SnntxError(
                f"{cache.directory}: protocol {protocol} leaves {chosen.size} static "
                "images to train on, need 2; run snntx preprocess with --static"
            )
        super().__init__(recipe, chosen, cache.index.static_label[chosen], Purpose.STATIC_ORDER)
        self._steps = cache.frame_shape[0]
        self._images = shown_images(cache, recipe, chosen)
        self._view = view_of(recipe)
        tell_uniform(self._view, self._images, say)

    def batch(self, positions: NDArray[np.int64], epoch: int, number: int) -> Batch:
        """Return one batch from positions in :attr:`indices`; a still view draws nothing."""
        draw = Draws(self.recipe.run.seed, epoch, number)(Purpose.STATIC_VIEW)
        images = self._images[torch.from_numpy(positions)]
        static = self._view.frames(images, self._steps, draw)
        shows = torch.ones(len(positions), dtype=torch.bool)
        return Batch(
            event=static.new_empty(len(positions), 0),
            static=static,
            labels=torch.from_numpy(self.labels[positions]),
            constant=shows if self._view.still else ~shows,
            notes={} if self._view.still else rates(static=static),
            images=shows,
        )
