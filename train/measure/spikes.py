"""What one layer of a network sends on for one recording, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import UsageError, nearest
from ..network.layers import LayerOutput, SpikingLayer
from ..network.model import TransferModel


def layer_spikes(model: TransferModel, frames: Tensor, name: str) -> NDArray[np.float32]:
    """Return the spikes of a layer, or their averages over windows where it pools.

    Args:
        model: in evaluation mode.
        frames: of one recording, ``(T, 2, H, W)``, on the model's device.
        name: of the layer.

    Returns:
        ``(T, C, H, W)`` or ``(T, N)``.

    Raises:
        UsageError: no layer has this name; names the nearest one, and all of them.
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, SpikingLayer)}
    if name not in layers:
        raise UsageError(
            f"--layer {name}: model {model.name} has no such layer{nearest(name, layers)} "
            f"(it has: {', '.join(layers)})"
        )
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: LayerOutput) -> None:
        found.append(output.spikes[:, 0].float().cpu())

    hook = layers[name].register_forward_hook(keep)
    try:
        with torch.inference_mode():
            model.forward_event(frames[None])
    finally:
        hook.remove()
    spikes: NDArray[np.float32] = found[0].numpy()
    if model.layout == "xy" and spikes.ndim == 4:
        spikes = spikes.swapaxes(2, 3)
    return spikes
