"""What a run on static images alone is judged by: the static head on the selection part.

The epoch is chosen on the static images of that part, which are the twins of its recordings;
where there is none, on the recordings themselves, through the static head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...preprocess.cache.frame_cache import FrameCache
from ..batches.images import shown, shown_images
from ..network.model import TransferModel
from ..recipe.whole import Recipe
from .metrics import BATCH, Metrics, measure


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
    if selection.kind == "static":
        images = shown_images(cache, recipe, selection.indices)
        labels = cache.index.static_label[selection.indices]
    else:
        labels = cache.labels[selection.indices]
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
