"""The network that a recipe names, freshly initialised."""

from __future__ import annotations

from typing import Any

import torch

from ..network.create import create_model
from ..network.model import TransferModel
from .whole import Recipe


def build_model(
    recipe: Recipe, *, num_classes: int, steps: int, size: tuple[int, int]
) -> TransferModel:
    """Return the freshly initialised network of a recipe, for frames of one size.

    Args:
        recipe: its group ``network``.
        num_classes: of the data.
        steps: time steps of a recording.
        size: height and width of the frames.
    """
    chosen = recipe.network
    neuron: dict[str, Any] = {"surrogate": chosen.surrogate} if chosen.surrogate else {}
    model = create_model(
        chosen.model,
        num_classes=num_classes,
        steps=steps,
        size=size,
        norm=chosen.norm,
        width=chosen.width,
        backend=chosen.backend,
        keep_activations=not chosen.checkpointing,
        attention=chosen.attending(),
        kind=chosen.neuron,
        tau=chosen.tau,
        threshold=chosen.threshold,
        reset=chosen.reset,
        learn_threshold=chosen.learn_threshold,
        alpha=chosen.surrogate_alpha,
        **neuron,
    )
    # convolutions over all steps are fastest with the channels innermost, and fused layers too
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
