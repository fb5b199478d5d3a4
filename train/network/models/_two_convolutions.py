"""What the small networks share: two pooled convolutions, then a hidden layer.

The heads get the hidden layer's spikes, and its membrane is the domain feature.
"""

from __future__ import annotations

from torch import Tensor

from ..layers import SpikingConv2d, SpikingLinear
from ..model import Encoding, TransferModel
from ..recompute import run_stage
from ..synapses import Activity


class TwoConvolutions(TransferModel):
    """Frames ``(B, T, 2, H, W)``; domain features ``(T, B, N)``, N the width of the hidden layer.

    A subclass registers the three layers, and then its heads.
    """

    first: SpikingConv2d
    second: SpikingConv2d
    hidden: SpikingLinear

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, H, W)`` into the hidden layer's spikes ``(T, B, N)``."""
        activity = run_stage(self._convolutions, frames, constant, keep=self.keeps_activations)
        return Encoding(*self.hidden(activity, membrane=features))

    def _convolutions(self, frames: Tensor, constant: Tensor | None) -> Activity:
        activity = self.first(frames, constant=constant).activity
        flat: Activity = self.second(activity).activity.flatten()
        return flat
