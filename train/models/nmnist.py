"""A small spiking network for N-MNIST, 34x34 frames.

======================================================  ==================
layer                                                   output
======================================================  ==================
frames                                                  2 x 34 x 34
conv3x3 2-16, padding 1, no bias - batch norm - LIF     16 x 34 x 34
average pool 2                                          16 x 17 x 17
conv3x3 16-32, padding 1, no bias - batch norm - LIF    32 x 17 x 17
average pool 2 (the odd border is dropped)              32 x 8 x 8
flatten                                                 2048
linear 2048-256, no bias - batch norm - LIF             256
static head, event head: linear 256-C with bias         C each
======================================================  ==================

The domain feature is the membrane of the last LIF, 256 values.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..layers import ConvNormLIF, LinearNormLIF, average_pool
from ..neurons import LIFParameters
from .base import POLARITIES, Encoding, TransferModel


class TransferNMNIST(TransferModel):
    """Frames ``(B, T, 2, 34, 34)``; domain features ``(T, B, 256)``."""

    name: ClassVar[str] = "nmnist"
    frame_size: ClassVar[tuple[int, int]] = (34, 34)

    def __init__(
        self, *, num_classes: int, steps: int, neuron: LIFParameters, backend: str = "auto"
    ) -> None:
        super().__init__(num_classes=num_classes, steps=steps, neuron=neuron, backend=backend)
        self.first = ConvNormLIF(POLARITIES, 16, neuron=neuron, backend=self.backend)
        self.second = ConvNormLIF(16, 32, neuron=neuron, backend=self.backend)
        self.hidden = LinearNormLIF(32 * 8 * 8, 256, neuron=neuron, backend=self.backend)
        self.static_head = nn.Linear(256, num_classes)
        self.event_head = nn.Linear(256, num_classes)

    def encode(self, sequence: Tensor, *, features: bool) -> Encoding:
        """Encode ``(T, B, 2, 34, 34)`` into the hidden layer's spikes ``(T, B, 256)``."""
        sequence = average_pool(self.first(sequence).spikes)
        sequence = average_pool(self.second(sequence).spikes)
        return Encoding(*self.hidden(sequence.flatten(2), membrane=features))
