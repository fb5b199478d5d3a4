"""What a run on static images alone is judged by: the static head on the selection part.

The epoch is chosen on the static images of that part, which are the twins of its recordings;
where there is none, on the recordings themselves, through the static head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...preprocess.cache.contents import SealedCache
from ..batches.images import shown_images
from ..batches.views import view_of
from ..network.model import TransferModel
from ..recipe.whole import Recipe
from .batch_statistics import ByBatch, measure_by_batch
from .metrics import Metrics, batch_of, measure, static_head_batch


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


def static_selection(cache: SealedCache, recipe: Recipe) -> StaticSelection:
    """Return the static images of the recipe's selection part, or else its recordings."""
    part = recipe.selection
    statics = cache.static_split(recipe.data.protocol, part)
    if statics.size:
        return StaticSelection(part, "static", statics)
    return StaticSelection(part, "event", cache.split(recipe.data.protocol, part))


def evaluate_static(
    model: TransferModel,
    cache: SealedCache,
    selection: StaticSelection,
    recipe: Recipe,
    device: torch.device,
) -> Metrics:
    """Classify what a selection holds by the static head and measure the result."""
    model.eval()
    classify = static_batches(model, cache, selection, recipe, device)
    places = np.arange(selection.indices.size)
    most = batch_of(cache)
    parts = [places[start : start + most] for start in range(0, places.size, most)]
    logits = torch.cat([classify(part) for part in parts])
    return measure(logits, static_labels(cache, selection), cache.classes)


def static_by_batch(
    model: TransferModel,
    cache: SealedCache,
    selection: StaticSelection,
    recipe: Recipe,
    device: torch.device,
) -> ByBatch:
    """Measure the static head on a selection by the statistics of its batches."""
    classify = static_batches(model, cache, selection, recipe, device)
    return measure_by_batch(model, classify, static_labels(cache, selection), most=batch_of(cache))


def static_labels(cache: SealedCache, selection: StaticSelection) -> NDArray[np.int64]:
    """Return the class of each of a selection, ``(n,)``."""
    if selection.kind == "static":
        return cache.index.static_label[selection.indices]
    return cache.labels[selection.indices]


def static_batches(
    model: TransferModel,
    cache: SealedCache,
    selection: StaticSelection,
    recipe: Recipe,
    device: torch.device,
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Return what gives the static head's mean logits ``(n, C)`` of places in a selection.

    The model is in evaluation mode, but perhaps for its norms.
    """
    static = selection.kind == "static"
    images = shown_images(cache, recipe, selection.indices) if static else None
    view = view_of(recipe)

    def classify(places: NDArray[np.int64]) -> Tensor:
        if images is None:
            return static_head_batch(model, cache, selection.indices[places], device)
        frames = view.frames(images[places], cache.frame_shape[0], None)
        with torch.inference_mode():
            return model.forward_static(frames.to(device)).mean(0).float().cpu()

    return classify
