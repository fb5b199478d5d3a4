"""Batches of static images alone, and what the epoch of such a run is chosen by.

The epoch is chosen on the static images of the selection part, which are the twins of its
recordings; where there is none, on the recordings themselves, through the static head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import SnntxError
from ...preprocess.cache.frame_cache import FrameCache
from ..assess.evaluate import BATCH, Metrics, measure
from ..augment.draws import Purpose
from ..network.create import TransferModel
from ..recipe.whole import Recipe
from .batch import Batch
from .drawing import Drawn
from .images import shown, shown_images


class StaticOnlyData(Drawn):
    """The static images of the training part, in the shape that the loader expects.

    Its batches have no events (``event`` is ``(B, 0)``) and every static sample is constant.

    Args:
        cache: the frame cache.
        recipe: protocol, channel, batch size, seed, ``balanced`` and ``draws_per_epoch``.
        indices: static images to use instead of the whole training part.

    Raises:
        SnntxError: the cache has fewer than two static images to train on.
    """

    def __init__(
        self, cache: FrameCache, recipe: Recipe, indices: NDArray[np.int64] | None = None
    ) -> None:
        protocol = recipe.data.protocol
        chosen = cache.static_split(protocol, "train") if indices is None else indices
        if chosen.size < 2:
            raise SnntxError(
                f"{cache.directory}: protocol {protocol} leaves {chosen.size} static "
                "images to train on, need 2; run snntx preprocess with --static"
            )
        super().__init__(recipe, chosen, cache.index.static_label[chosen], Purpose.STATIC_ORDER)
        self._steps = cache.frame_shape[0]
        self._images = shown_images(cache, recipe, chosen)

    def batch(self, positions: NDArray[np.int64], epoch: int, number: int) -> Batch:
        """Return one batch from positions in :attr:`indices`; draws nothing."""
        static = shown(self._images[torch.from_numpy(positions)], self._steps)
        return Batch(
            event=static.new_empty(len(positions), 0),
            static=static,
            labels=torch.from_numpy(self.labels[positions]),
            constant=torch.ones(len(positions), dtype=torch.bool),
        )


@dataclass(frozen=True)
class StaticSelection:
    """What the epoch of a static-only run is chosen by.

    Attributes:
        part: of the protocol.
        kind: ``static`` images, or ``event`` recordings where the part has no image.
        indices: of either, in the cache.
    """

    part: str
    kind: str
    indices: NDArray[np.int64]


def static_selection(cache: FrameCache, recipe: Recipe) -> StaticSelection:
    """Return the static images of the recipe's selection part, or else its recordings."""
    part = recipe.selection
    statics = cache.static_split(recipe.data.protocol, part)
    if statics.size:
        return StaticSelection(part, "static", statics)
    return StaticSelection(part, "event", cache.split(recipe.data.protocol, part))


def evaluate_static(
    model: TransferModel,
    cache: FrameCache,
    selection: StaticSelection,
    recipe: Recipe,
    device: torch.device,
) -> Metrics:
    """Classify what a selection holds by the static head and measure the result."""
    model.eval()
    images, steps = None, cache.frame_shape[0]
    labels = cache.labels[selection.indices]
    if selection.kind == "static":
        images = shown_images(cache, recipe, selection.indices)
        labels = cache.index.static_label[selection.indices]
    parts = []
    with torch.inference_mode():
        for start in range(0, selection.indices.size, BATCH):
            place = slice(start, start + BATCH)
            if images is not None:
                frames = shown(images[place], steps)
            else:
                frames = torch.from_numpy(cache.frames(selection.indices[place]))
            parts.append(model.forward_static(frames.to(device)).mean(0).float().cpu())
    return measure(torch.cat(parts), labels, cache.classes)
