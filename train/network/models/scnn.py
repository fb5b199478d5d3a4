"""The small spiking network of the N-Omniglot experiments (He et al., AAAI 2024), 28x28 frames.

conv5x5 2-15 - LIF - average pool 2 - conv5x5 15-40 - LIF - average pool 2 - flatten 640 -
linear 640-300 - LIF - linear 300-C, one head for both branches. Nothing is padded and nothing
normalised; the convolutions have no bias, the linear maps do. The domain feature is the
membrane of the last LIF, 300 values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from ..defaults import OWN
from ..doors import MODELS
from ..layers import SpikingConv2d, SpikingLinear
from ..model import POLARITIES, ModelOptions, ReferenceTable
from ._two_convolutions import TwoConvolutions

KERNEL = 5


@MODELS.register("scnn")
class TransferSCNN(TwoConvolutions):
    """Frames ``(B, T, 2, 28, 28)``; domain features ``(T, B, 300)``."""

    frame_size: ClassVar[tuple[int, int]] = (28, 28)
    least_size: ClassVar[int] = 16
    neuron_defaults: ClassVar[Mapping[str, Any]] = OWN["scnn"]
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(
        modules={
            "first.conv": "feature.0",
            "second.conv": "feature.3",
            "hidden.linear": "fc1",
            "shared_head": "fc2",
        },
        neurons=("feature.1", "feature.4", "node1"),
    )

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        narrow, wide, hidden = (self.wide(channels) for channels in (15, 40, 300))
        layer = {**self.layer_options, "norm": "none"}
        conv = {**layer, "kernel": KERNEL, "padding": 0, "pool": 2}
        self.first = SpikingConv2d(POLARITIES, narrow, **conv)
        self.second = SpikingConv2d(narrow, wide, **conv)
        height, width = (((side - 4) // 2 - 4) // 2 for side in self.size)
        self.hidden = SpikingLinear(wide * height * width, hidden, **layer)
        self.shared_head = nn.Linear(hidden, self.num_classes)
        for convolution in (self.first.conv, self.second.conv):
            nn.init.kaiming_normal_(convolution.weight)
        for linear in (self.hidden.linear, self.shared_head):
            nn.init.uniform_(linear.weight, -0.1, 0.1)

    def head(self, branch: str) -> nn.Linear:
        """Return the head, which both branches share."""
        return self.shared_head
