"""SEW-ResNet-18 (Fang et al., NeurIPS 2021), with two polarities and 64x64 frames.

conv7x7 2-64, stride 2, padding 3, no bias - batch norm - IF - max pool 3, stride 2, padding 1; four
stages of two blocks, widths 64, 128, 256, 512, the later three halving the size; global average
pool, one linear head a branch. A block adds to its input the spikes of

    conv3x3 (stride) - batch norm - IF - conv3x3 - batch norm - IF

and where the shape changes its input goes through conv1x1 (stride) - batch norm - IF. Sums are
counts, up to 3 and more from block to block. The domain feature is what the heads get, 512 pooled
counts.

Yao et al. (ICCV 2023) put Advance Spatial Attention into such a network for HAR-DVS and published
no code of it. Where it stands here, in each layer with a convolution, is ours, as are T and the
size of the frames. Without it the numbers are those of SpikingJelly's network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from ..defaults import OWN
from ..doors import MODELS
from ..layers import SpikingConv2d
from ..model import POLARITIES, Encoding, ModelOptions, ReferenceTable, TransferModel
from ..recompute import run_stage
from ..synapses import Activity

WIDTHS = (64, 128, 256, 512)
BLOCKS = 2
"""Of each stage."""


class SpikingBlock(nn.Module):
    """One block; ``(T, B, in, H, W)`` to ``(T, B, out, H / s, W / s)``."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, layer: dict[str, Any]
    ) -> None:
        super().__init__()
        self.first = SpikingConv2d(in_channels, out_channels, stride=stride, **layer)
        self.second = SpikingConv2d(out_channels, out_channels, **layer)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            plain = {**layer, "kernel": 1, "padding": 0}
            self.shortcut = SpikingConv2d(in_channels, out_channels, stride=stride, **plain)

    def forward(self, arriving: Activity) -> Activity:
        """Return the sum of the branch's spikes and the shortcut's."""
        added: Activity = self.second(self.first(arriving).activity).activity
        passed = arriving if self.shortcut is None else self.shortcut(arriving).activity
        codes = None
        if added.codes is not None and passed.codes is not None:
            codes = added.codes + passed.codes
        return Activity(added.values + passed.values, codes)


def _modules() -> dict[str, str]:
    modules = {"stem.conv": "conv1", "stem.norm": "bn1", "event_head": "fc"}
    for number in range(BLOCKS * len(WIDTHS)):
        stage, block = divmod(number, BLOCKS)
        ours, theirs = f"blocks.{number}", f"layer{stage + 1}.{block}"
        for place, name in enumerate(("first", "second"), start=1):
            modules[f"{ours}.{name}.conv"] = f"{theirs}.conv{place}"
            modules[f"{ours}.{name}.norm"] = f"{theirs}.bn{place}"
        if stage and not block:
            modules[f"{ours}.shortcut.conv"] = f"{theirs}.downsample.0"
            modules[f"{ours}.shortcut.norm"] = f"{theirs}.downsample.1"
    return modules


@MODELS.register("sew-resnet18")
class TransferSEWResNet18(TransferModel):
    """Frames ``(B, T, 2, 64, 64)``; domain features ``(T, B, 512)``."""

    frame_size: ClassVar[tuple[int, int]] = (64, 64)
    pools_maxima: ClassVar[bool] = True
    least_size: ClassVar[int] = 8
    neuron_defaults: ClassVar[Mapping[str, Any]] = OWN["sew-resnet18"]
    reference: ClassVar[ReferenceTable | None] = ReferenceTable(
        _modules(), lacks=("static_head", "coefficient")
    )

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        widths = [self.wide(width) for width in WIDTHS]
        stem = {**self.layer_options, "kernel": 7, "stride": 2, "padding": 3}
        self.stem = SpikingConv2d(POLARITIES, widths[0], **stem)
        blocks: list[SpikingBlock] = []
        width_in = widths[0]
        for stage, width in enumerate(widths):
            for block in range(BLOCKS):
                stride = 2 if stage and not block else 1
                blocks.append(SpikingBlock(width_in, width, stride, self.layer_options))
                width_in = width
        self.blocks = nn.ModuleList(blocks)
        self.make_heads(width_in)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and "attention" not in name:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, H, W)`` into pooled counts ``(T, B, 512)``."""
        activity = run_stage(self._stem, frames, constant, keep=self.keeps_activations)
        for start in range(0, len(self.blocks), BLOCKS):
            activity = run_stage(self._stage, start, activity, keep=self.keeps_activations)
        pooled = activity.values.mean((3, 4))
        return Encoding(Activity(pooled), pooled if features else None)

    def _stem(self, frames: Tensor, constant: Tensor | None) -> Activity:
        values, codes, unit = self.stem(frames, constant=constant).activity
        flat = functional.max_pool2d(values.flatten(0, 1), 3, stride=2, padding=1)
        pooled = flat.view(*values.shape[:2], *flat.shape[1:])
        # the spikes are 0 or 1
        return Activity(pooled, None if codes is None else pooled.detach().to(codes.dtype), unit)

    def _stage(self, start: int, activity: Activity) -> Activity:
        for block in self.blocks[start : start + BLOCKS]:
            activity = block(activity)
        return activity
