"""The N-MNIST network of the published code, which no published run uses; 34x34 frames.

======================================================  ==================
layer                                                   output
======================================================  ==================
frames                                                  2 x 34 x 34
conv3x3 2-128, padding 1, no bias - batch norm - LIF    128 x 34 x 34
average pool 2                                          128 x 17 x 17
conv3x3 128-128, padding 1, no bias - norm - LIF        128 x 17 x 17
average pool 2 (the odd border is dropped)              128 x 8 x 8
dropout 1/2, flatten                                    8192
linear 8192-2048 with bias - LIF                        2048
dropout 1/2                                             2048
static head, event head: linear 2048-10 C - LIF - vote  C each
======================================================  ==================

Class c's value at a step is the share of the neurons 10 c to 10 c + 9 that fire, so it is one
of 0, 0.1, … 1. The dropouts draw anew for every value and step. The domain feature is the
membrane of the hidden LIF, before its dropout. The published class always has ten classes;
here the heads have ten neurons for each class there is (He et al., AAAI 2024, their code).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..doors import MODELS
from ..layers import SpikingConv2d, SpikingLinear
from ..model import POLARITIES, Encoding, ModelOptions, ReferenceTable, TransferModel
from ..recompute import run_stage
from ..synapses import Activity

VOTERS = 10
"""Neurons of a head for each class."""
DROPPED = 0.5

MODULES = {
    "first.conv": "feature.0.conv",
    "first.norm": "feature.0.bn",
    "second.conv": "feature.2.conv",
    "second.norm": "feature.2.bn",
    "hidden.linear": "feature.6",
    "static_head.linear": "rgb_fc.0",
    "event_head.linear": "dvs_fc.0",
}
NEURONS = ("feature.0.node", "feature.2.node", "feature.7", "rgb_fc.1", "dvs_fc.1")


@MODELS.register("nmnist-published")
class TransferNMNISTPublished(TransferModel):
    """Frames ``(B, T, 2, 34, 34)``; domain features ``(T, B, 2048)``."""

    frame_size: ClassVar[tuple[int, int]] = (34, 34)
    least_size: ClassVar[int] = 4
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(MODULES, NEURONS, VOTERS)

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        wide, hidden = self.wide(128), self.wide(2048)
        plain = {**self.layer_options, "norm": "none"}
        self.first = SpikingConv2d(POLARITIES, wide, pool=2, **self.layer_options)
        self.second = SpikingConv2d(wide, wide, pool=2, **self.layer_options)
        height, width = (side // 2 // 2 for side in self.size)
        self.hidden = SpikingLinear(wide * height * width, hidden, **plain)
        self.static_head = SpikingLinear(hidden, VOTERS * self.num_classes, **plain)
        self.event_head = SpikingLinear(hidden, VOTERS * self.num_classes, **plain)

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, 34, 34)`` into the hidden layer's spikes ``(T, B, 2048)``."""
        pooled = run_stage(self._convolutions, frames, constant, keep=self.keeps_activations)
        arriving = self.dropped(pooled, "maps").flatten()
        activity, membrane = self.hidden(arriving, membrane=features)
        return Encoding(self.dropped(activity, "hidden"), membrane)

    def _convolutions(self, frames: Tensor, constant: Tensor | None) -> Activity:
        found: Activity = self.second(self.first(frames, constant=constant).activity).activity
        return found

    def dropped(self, activity: Activity, where: str) -> Activity:
        """Return an activity of which half is dropped and the rest doubled, in training alone.

        ``where`` is ``maps`` or ``hidden``.
        """
        if not self.training:
            return activity
        kept = self.drawn(activity.values, where)
        scale = 1 / (1 - DROPPED)
        codes = None if activity.codes is None else activity.codes * kept
        return Activity(activity.values * kept * scale, codes, activity.unit * scale)

    def drawn(self, values: Tensor, where: str) -> Tensor:
        """Return which values stay, bool of their shape."""
        return torch.rand(values.shape, device=values.device) >= DROPPED

    def classify(self, code: Activity, branch: str) -> Tensor:
        """Return the share of each class's voters that fire, ``(T, B, C)``."""
        head: SpikingLinear = getattr(self, f"{branch}_head")
        fired: Tensor = head(code).activity.values
        return fired.view(*fired.shape[:-1], self.num_classes, VOTERS).mean(-1)
