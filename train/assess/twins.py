"""The static branch on the twins of recordings: how well the images themselves are classified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...errors import UsageError
from ..checkpoints.state import Checkpoint
from ..measure.metrics import batch_of, measure
from ..measure.static_part import StaticSelection, static_batches
from ..network.model import TransferModel
from .elsewhere import Measured
from .evaluation import StaticResult


def static_result(
    model: TransferModel, on: Measured, checkpoint: Checkpoint, path: Path, device: torch.device
) -> StaticResult:
    """Measure the static branch on the twins of some recordings, each image once.

    Args:
        model: the network; it is put into evaluation mode.
        on: the recordings.
        checkpoint: of the run.
        path: names the run in errors.
        device: where the model is.

    Raises:
        UsageError: the branch was not trained, or no recording has a twin.
    """
    recipe, cache = checkpoint.recipe, on.cache
    if not recipe.transfer:
        raise UsageError(
            f"{path}: was trained on events alone, so its static branch is untrained; leave out "
            "--static, or train with a method that shows images, such as --set method=sliding"
        )
    twins = cache.index.twin[on.recordings]
    images, first = np.unique(twins[twins >= 0], return_index=True)
    if not images.size:
        raise UsageError(
            f"{cache.directory}: none of these {on.recordings.size:,} recordings has a twin to "
            "show the static branch; leave out --static"
        )
    labels = on.labels[twins >= 0][first]
    model.eval()
    selection = StaticSelection("test", "static", images)
    classify = static_batches(model, cache, selection, recipe, device)
    places, most = np.arange(images.size), batch_of(cache)
    parts = [places[start : start + most] for start in range(0, places.size, most)]
    logits = torch.cat([classify(each) for each in parts])
    return StaticResult(
        images=int(images.size),
        recordings=int((twins >= 0).sum()),
        metrics=measure(logits, labels, checkpoint.classes),
    )
