"""The spiking VGG of the N-Caltech101 experiments (He et al., AAAI 2024), 48x48 frames.

Eight layers [conv3x3 - batch norm - LIF] of widths 64, 128, 256, 256, 512, 512, 512, 512, an
average pool after every second one, then one linear head per branch on the 512x3x3 pooled
spikes. The domain feature is the membrane of the eighth layer before the last pool, 512x6x6.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..doors import MODELS
from ..layers import SpikingConv2d
from ..model import POLARITIES, Encoding, ModelOptions, ReferenceTable, TransferModel
from ..recompute import run_stage
from ..synapses import Activity

WIDTHS = (64, 128, 256, 256, 512, 512, 512, 512)
LAYERS_PER_STAGE = 2
REFERENCE_INDICES = (0, 1, 3, 4, 6, 7, 9, 10)


@MODELS.register("vgg")
class TransferVGG(TransferModel):
    """Frames ``(B, T, 2, 48, 48)``; domain features ``(T, B, 18432)``.

    Other sizes, of 16 pixels or more, and a multiple of the widths are options.
    """

    frame_size: ClassVar[tuple[int, int]] = (48, 48)
    least_size: ClassVar[int] = 16
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(
        modules={
            "static_head": "rgb_fc.1",
            "event_head": "dvs_fc.1",
            **{f"features.{i}.conv": f"feature.{j}.conv" for i, j in enumerate(REFERENCE_INDICES)},
            **{f"features.{i}.norm": f"feature.{j}.bn" for i, j in enumerate(REFERENCE_INDICES)},
        },
        neurons=tuple(f"feature.{j}.node" for j in REFERENCE_INDICES),
    )

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        widths = [self.wide(width) for width in WIDTHS]
        self.features = nn.ModuleList(
            SpikingConv2d(
                width_in,
                width,
                pool=2 if number % LAYERS_PER_STAGE == 0 else 1,
                **self.layer_options,
            )
            for number, (width_in, width) in enumerate(
                zip((POLARITIES, *widths), widths, strict=False), start=1
            )
        )
        stages = len(WIDTHS) // LAYERS_PER_STAGE
        height, width = (side >> stages for side in self.size)
        self.make_heads(widths[-1] * height * width)

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, 48, 48)`` into pooled spikes ``(T, B, 4608)``."""
        activity, membrane = Activity(frames), None
        for start in range(0, len(self.features), LAYERS_PER_STAGE):
            last = start + LAYERS_PER_STAGE == len(self.features)
            activity, membrane = run_stage(
                self._stage,
                start,
                activity,
                features and last,
                None if start else constant,
                keep=self.keeps_activations,
            )
        code = activity.flatten()
        return Encoding(code, None if membrane is None else membrane.flatten(2))

    def _stage(
        self, start: int, activity: Activity, membrane: bool, constant: Tensor | None
    ) -> tuple[Activity, Tensor | None]:
        kept = None
        layers = list(self.features[start : start + LAYERS_PER_STAGE])
        for layer in layers:
            activity, kept = layer(
                activity, membrane=membrane and layer is layers[-1], constant=constant
            )
            constant = None
        return activity, kept
