"""The three-layer networks of Advance Spatial Attention (Yao et al., ICCV 2023), 32x32 frames.

=========================================================  ===================
layer                                                      output
=========================================================  ===================
frames                                                     2 x 32 x 32
conv3x3 2-64, padding 1, bias - batch norm - LIF           64 x 32 x 32
conv3x3 64-128, likewise, average pool 2 before the LIF    128 x 16 x 16
conv3x3 128-128, likewise                                  128 x 8 x 8
flatten                                                    8192
linear 8192-256 with bias - LIF                            256
static head, event head: linear 256-C with bias - LIF      C each
=========================================================  ===================

An attention at ``neuron`` stands between pool and LIF. That is their arch A; D has
``conv_channels = [32, 32, 32]`` and ``dropout = 0.5``. What a head's neuron sends is its class's
value at a step. The static head is ours, as are the coefficients: the published network has one
branch. So is the domain feature, the hidden LIF's membrane.

A layer that drops (``dropout_layers``: the three convolutions, the hidden layer, the head) does so
twice in training: on its input, anew for each value and step, and on what it sends, for a value at
all steps alike; what is kept is scaled by 1 / (1 - p).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..defaults import OWN
from ..doors import MODELS
from ..layers import SpikingConv2d, SpikingLinear
from ..model import POLARITIES, Encoding, ModelOptions, ReferenceTable, TransferModel
from ..recompute import run_stage
from ..synapses import Activity
from ._attended import attention_names, channels_of, dropped, drops

WIDTHS, HIDDEN = (64, 128, 128), 256
POOLS = (1, 2, 2)
SHARE, LAYERS = 0.1, "00111"
"""What is dropped of which layers, where no setting says otherwise: as published."""


@MODELS.register("asa3")
class TransferASA3(TransferModel):
    """Frames ``(B, T, 2, 32, 32)``; domain features ``(T, B, 256)``."""

    frame_size: ClassVar[tuple[int, int]] = (32, 32)
    least_size: ClassVar[int] = 4
    neuron_defaults: ClassVar[Mapping[str, Any]] = OWN["asa3"]
    takes: ClassVar[frozenset[str]] = frozenset({"conv_channels", "dropout", "dropout_layers"})
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(
        modules={
            **{f"convolutions.{i}.conv": f"ConvAttLIFs.{i}.conv.0" for i in range(3)},
            **{f"convolutions.{i}.norm": f"ConvAttLIFs.{i}.bn.0" for i in range(3)},
            "hidden.linear": "FCs.0.linear.0",
            "event_head.linear": "FCs.1.linear.0",
        },
        also=attention_names(3, "ConvAttLIFs.{}.attn"),
        lacks=("static_head", "coefficient"),
        dead=r"ConvAttLIFs\.\d+\.spike\.0\.attn\..+",
    )

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        widths = channels_of(self, WIDTHS)
        share, layers = options.dropout, options.dropout_layers
        self.dropout = SHARE if share is None else share
        self.drops = drops(self.name, LAYERS if layers is None else layers, len(WIDTHS) + 2)
        self.convolutions = nn.ModuleList(
            SpikingConv2d(width_in, width, bias=True, pool_before=pool, **self.layer_options)
            for width_in, width, pool in zip((POLARITIES, *widths), widths, POOLS, strict=False)
        )
        hidden, plain = self.wide(HIDDEN), {**self.layer_options, "norm": "none"}
        height, width = (side // 4 for side in self.size)
        self.hidden = SpikingLinear(widths[-1] * height * width, hidden, **plain)
        self.static_head = SpikingLinear(hidden, self.num_classes, **plain)
        self.event_head = SpikingLinear(hidden, self.num_classes, **plain)

    @property
    def reference_layout(self) -> str:
        """Every published run of it has frames x first."""
        return "xy"

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, H, W)`` into the hidden layer's spikes ``(T, B, 256)``."""
        activity = Activity(frames)
        for number in range(len(WIDTHS)):
            known = constant if number == 0 and not self._dropping(number) else None
            activity = run_stage(
                self._convolved, number, activity, known, keep=self.keeps_activations
            )
        code, membrane = self.hidden(self._arriving(activity.flatten(), 3), membrane=features)
        return Encoding(self._leaving(code, 3), membrane)

    def _convolved(self, number: int, activity: Activity, constant: Tensor | None) -> Activity:
        layer = self.convolutions[number]
        sent = layer(self._arriving(activity, number), constant=constant).activity
        return self._leaving(sent, number)

    def classify(self, code: Activity, branch: str) -> Tensor:
        """Return what each class's neuron sends, ``(T, B, C)``."""
        head: SpikingLinear = getattr(self, f"{branch}_head")
        return self._leaving(head(self._arriving(code, 4)).activity, 4).values

    def _dropping(self, number: int) -> bool:
        return self.training and self.drops[number] and self.dropout > 0

    def _arriving(self, activity: Activity, number: int) -> Activity:
        if not self._dropping(number):
            return activity
        return dropped(activity, self.drawn(activity.values, f"in{number}"), self.dropout)

    def _leaving(self, activity: Activity, number: int) -> Activity:
        if not self._dropping(number):
            return activity
        return dropped(activity, self.drawn(activity.values[:1], f"out{number}"), self.dropout)

    def drawn(self, values: Tensor, where: str) -> Tensor:
        """Return which values stay, bool of their shape; ``where`` is ``in`` or ``out`` and 0-4."""
        return torch.rand(values.shape, device=values.device) >= self.dropout
