"""The spiking VGG of the N-Caltech101 experiments (He et al., AAAI 2024), 48x48 frames.

Eight layers [conv3x3 - batch norm - LIF] of widths 64, 128, 256, 256, 512, 512, 512, 512, an
average pool after every second one, then one linear head per branch on the 512x3x3 pooled
spikes. The domain feature is the membrane of the eighth layer before the last pool, 512x6x6.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..layers import ConvNormLIF, average_pool
from ..neurons import LIFParameters
from .base import POLARITIES, Encoding, ReferenceTable, TransferModel

WIDTHS = (64, 128, 256, 256, 512, 512, 512, 512)
LAYERS_PER_POOL = 2
REFERENCE_INDICES = (0, 1, 3, 4, 6, 7, 9, 10)


class TransferVGG(TransferModel):
    """Frames ``(B, T, 2, 48, 48)``; domain features ``(T, B, 18432)``."""

    name: ClassVar[str] = "vgg"
    frame_size: ClassVar[tuple[int, int]] = (48, 48)
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(
        modules={
            "static_head": "rgb_fc.1",
            "event_head": "dvs_fc.1",
            **{f"features.{i}.conv": f"feature.{j}.conv" for i, j in enumerate(REFERENCE_INDICES)},
            **{f"features.{i}.norm": f"feature.{j}.bn" for i, j in enumerate(REFERENCE_INDICES)},
        },
        neurons=tuple(f"feature.{j}.node" for j in REFERENCE_INDICES),
    )

    def __init__(
        self, *, num_classes: int, steps: int, neuron: LIFParameters, backend: str = "auto"
    ) -> None:
        super().__init__(num_classes=num_classes, steps=steps, neuron=neuron, backend=backend)
        inputs = (POLARITIES, *WIDTHS[:-1])
        self.features = nn.ModuleList(
            ConvNormLIF(width_in, width, neuron=neuron, backend=self.backend)
            for width_in, width in zip(inputs, WIDTHS, strict=True)
        )
        pools = len(WIDTHS) // LAYERS_PER_POOL
        height, width = (side >> pools for side in self.frame_size)
        code_size = WIDTHS[-1] * height * width
        self.static_head = nn.Linear(code_size, num_classes)
        self.event_head = nn.Linear(code_size, num_classes)

    def encode(self, sequence: Tensor, *, features: bool) -> Encoding:
        """Encode ``(T, B, 2, 48, 48)`` into pooled spikes ``(T, B, 4608)``."""
        membrane: Tensor | None = None
        for number, layer in enumerate(self.features, start=1):
            last = number == len(self.features)
            sequence, membrane = layer(sequence, membrane=features and last)
            if number % LAYERS_PER_POOL == 0:
                sequence = average_pool(sequence)
        return Encoding(sequence.flatten(2), None if membrane is None else membrane.flatten(2))
