"""A small spiking network of our own for N-MNIST, 34x34 frames.

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

from ..doors import MODELS
from ..layers import SpikingConv2d, SpikingLinear
from ..model import POLARITIES, ModelOptions
from ._two_convolutions import TwoConvolutions


@MODELS.register("nmnist")
class TransferNMNIST(TwoConvolutions):
    """Frames ``(B, T, 2, 34, 34)``; domain features ``(T, B, 256)``."""

    frame_size: ClassVar[tuple[int, int]] = (34, 34)
    least_size: ClassVar[int] = 4

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        narrow, wide, hidden = (self.wide(channels) for channels in (16, 32, 256))
        self.first = SpikingConv2d(POLARITIES, narrow, pool=2, **self.layer_options)
        self.second = SpikingConv2d(narrow, wide, pool=2, **self.layer_options)
        height, width = (side // 2 // 2 for side in self.size)
        self.hidden = SpikingLinear(wide * height * width, hidden, **self.layer_options)
        self.make_heads(hidden)
