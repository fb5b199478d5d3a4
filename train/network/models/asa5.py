"""The five-layer networks of Advance Spatial Attention (Yao et al., ICCV 2023), 128x128 frames.

=======================================================  ======================
layer                                                    output
=======================================================  ======================
frames                                                   2 x 128 x 128
conv3x3 2-128, padding 1, no bias - batch norm - PLIF    128 x 128 x 128
max pool 2, the same again with 128-128; four times      128 x 8 x 8
max pool 2, flatten                                      2048
linear 2048-512 with bias - PLIF                         512
static head, event head: linear 512-10 C - PLIF - vote   C each
=======================================================  ======================

Class c's value at a step is the mean of what the neurons 10 c to 10 c + 9 send. An attention at
``neuron`` stands between batch norm and neuron. That is their arch B; C has ``neuron = "lif"``,
``spike_pool = "average"`` (the last pool takes the maximum all the same) and
``conv_channels = [64, 128, 128, 128, 128]``. The neurons are SpikingJelly's. The static head and
the coefficients are ours, since the published network has one branch, and so is the domain feature,
the membrane of the hidden neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ....errors import UsageError
from ..defaults import OWN
from ..doors import MODELS
from ..layers import SpikingConv2d, SpikingLinear
from ..model import POLARITIES, Encoding, ModelOptions, ReferenceTable, TransferModel
from ..pools import pooled_activity
from ..recompute import run_stage
from ..synapses import Activity
from ._attended import attention_names, channels_of

WIDTHS, HIDDEN = (128,) * 5, 512
VOTERS = 10
"""Neurons of a head for each class."""
POOLS = ("max", "average")


@MODELS.register("asa5")
class TransferASA5(TransferModel):
    """Frames ``(B, T, 2, 128, 128)``; domain features ``(T, B, 512)``."""

    frame_size: ClassVar[tuple[int, int]] = (128, 128)
    least_size: ClassVar[int] = 32
    neuron_defaults: ClassVar[Mapping[str, Any]] = OWN["asa5"]
    takes: ClassVar[frozenset[str]] = frozenset({"conv_channels", "spike_pool"})
    pools_maxima: ClassVar[bool] = True
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(
        modules={
            **{f"convolutions.{i}.conv": f"ConvAttLIFs.{i}.0.conv.0" for i in range(5)},
            **{f"convolutions.{i}.norm": f"ConvAttLIFs.{i}.0.bn.0" for i in range(5)},
            "hidden.linear": "FCs.0.1.fc",
            "event_head.linear": "FCs.1.1.fc",
        },
        voters=VOTERS,
        also={
            **attention_names(5, "ConvAttLIFs.{}.0.attn"),
            **{f"convolutions.{i}": f"ConvAttLIFs.{i}.0.spike.0" for i in range(5)},
            "hidden": "FCs.0.1.spike.0",
            "event_head": "FCs.1.1.spike.0",
        },
        leaves={"leak_logit": "w"},
        lacks=("static_head", "coefficient"),
    )

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        widths = channels_of(self, WIDTHS)
        self.spike_pool = "max" if options.spike_pool is None else options.spike_pool
        if self.spike_pool not in POOLS:
            raise UsageError(
                f"model {self.name}: spike_pool is '{self.spike_pool}', expected one of "
                f"{', '.join(POOLS)}"
            )
        self.convolutions = nn.ModuleList(
            SpikingConv2d(width_in, width, **self.layer_options)
            for width_in, width in zip((POLARITIES, *widths), widths, strict=False)
        )
        hidden, plain = self.wide(HIDDEN), {**self.layer_options, "norm": "none"}
        height, width = (side >> len(WIDTHS) for side in self.size)
        self.hidden = SpikingLinear(widths[-1] * height * width, hidden, **plain)
        self.static_head = SpikingLinear(hidden, VOTERS * self.num_classes, **plain)
        self.event_head = SpikingLinear(hidden, VOTERS * self.num_classes, **plain)

    @property
    def reference_layout(self) -> str:
        """Published runs have frames x first, but for gestures by number, whose are square."""
        return "yx" if self.size[0] == self.size[1] else "xy"

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, H, W)`` into the hidden layer's spikes ``(T, B, 512)``."""
        activity = Activity(frames)
        for number in range(len(WIDTHS)):
            known = constant if number == 0 else None
            activity = run_stage(
                self._convolved, number, activity, known, keep=self.keeps_activations
            )
        return Encoding(*self.hidden(activity.flatten(), membrane=features))

    def _convolved(self, number: int, activity: Activity, constant: Tensor | None) -> Activity:
        sent = self.convolutions[number](activity, constant=constant).activity
        return pooled_activity(sent, 2, "max" if number == len(WIDTHS) - 1 else self.spike_pool)

    def classify(self, code: Activity, branch: str) -> Tensor:
        """Return the mean of what each class's voters send, ``(T, B, C)``."""
        head: SpikingLinear = getattr(self, f"{branch}_head")
        sent: Tensor = head(code).activity.values
        return sent.view(*sent.shape[:-1], self.num_classes, VOTERS).mean(-1)
