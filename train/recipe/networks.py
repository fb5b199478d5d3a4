"""The network that a recipe names, freshly initialised."""

from __future__ import annotations

from typing import Any

import torch

from ..network.create import create_model
from ..network.model import TransferModel
from .architecture import OPTIONS
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
        width=chosen.width,
        backend=chosen.backend,
        keep_activations=not chosen.checkpointing,
        attention=chosen.attending(),
        layout=chosen.layout,
        conv_channels=chosen.conv_channels,
        dropout=chosen.dropout,
        dropout_layers=chosen.dropout_layers,
        spike_pool=chosen.spike_pool,
        sends=chosen.sends,
        learn_threshold=chosen.learn_threshold,
        norm=chosen.norm,
        **{option: getattr(chosen, name) for name, option in OPTIONS.items() if name != "norm"},
        **neuron,
    )
    # convolutions over all steps are fastest with the channels innermost, and fused layers too
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
