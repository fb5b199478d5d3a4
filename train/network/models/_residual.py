"""Spiking residual networks of pre-activation blocks (He et al., AAAI 2024), 48x48 frames.

Conv3x3 2-64 alone; four stages of blocks, widths 64, 128, 256, 512, the later three halving the
size; batch norm without neurons, global average pool, one linear head per branch. A block adds
to its input

    batch norm - LIF - conv3x3 (stride) - batch norm - LIF - conv3x3

and where the shape changes the input itself goes through batch norm - LIF - conv1x1 (stride).
The sums are analog. The domain feature is what the heads get: 512 normalised, pooled values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from ..attention.asa import ASA, attend, attention_at
from ..layers import SpikingConv2d, SpikingPopulation
from ..model import POLARITIES, Encoding, ModelOptions, ReferenceTable, TransferModel
from ..norm import StepNorm
from ..recompute import run_stage
from ..synapses import Activity, convolve, convolve_once

WIDTHS = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """One pre-activation block; ``(T, B, in, H, W)`` to ``(T, B, out, H / s, W / s)``."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, layer: dict[str, Any]
    ) -> None:
        super().__init__()
        self.first = SpikingPopulation(in_channels, **layer)
        self.second = SpikingConv2d(in_channels, out_channels, stride=stride, **layer)
        self.conv = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        before = partial(attention_before, layer)
        self.attention, self.shortcut_attention = before(out_channels), None
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = SpikingPopulation(in_channels, **layer)
            self.shortcut_attention = before(in_channels)
            self.shortcut_conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, current: Tensor) -> Tensor:
        """Return the analog sum."""
        spikes = self.second(self.first(current).activity).activity
        added = convolve(attend(self.attention, spikes), self.conv)
        if self.shortcut is None:
            return added + current
        passed = attend(self.shortcut_attention, self.shortcut(current).activity)
        return added + convolve(passed, self.shortcut_conv)


def attention_before(layer: dict[str, Any], channels: int) -> ASA | None:
    """Return the attention that options of layers put before a convolution that is no layer."""
    options = layer.get("attention"), layer["steps"], channels, layer["backend"]
    return attention_at("convolution", *options)


def _places(blocks: Sequence[int]) -> Iterator[tuple[int, str, bool]]:
    """Yield each block's number, its name in the reference, and whether it has a shortcut."""
    number = 0
    for stage, count in enumerate(blocks):
        for block in range(count):
            yield number, f"layer{stage + 1}.{block}", block == 0 and stage > 0
            number += 1


def reference_of(blocks: Sequence[int]) -> ReferenceTable:
    """Return how the reference names the modules of a network of so many blocks a stage."""
    modules = {"stem": "conv1", "norm": "bn1", "static_head": "rgb_fc", "event_head": "dvs_fc"}
    neurons: list[str] = []
    for number, theirs, shortcut in _places(blocks):
        ours = f"blocks.{number}"
        modules |= {
            f"{ours}.first.norm": f"{theirs}.bn1",
            f"{ours}.second.conv": f"{theirs}.conv1",
            f"{ours}.second.norm": f"{theirs}.bn2",
            f"{ours}.conv": f"{theirs}.conv2",
        }
        neurons += [f"{theirs}.node1", f"{theirs}.node2"]
        if shortcut:
            modules[f"{ours}.shortcut.norm"] = f"{theirs}.downsample.0"
            modules[f"{ours}.shortcut_conv"] = f"{theirs}.downsample.2"
            neurons.append(f"{theirs}.downsample.1")
    return ReferenceTable(modules, tuple(neurons))


class Residual(TransferModel):
    """Frames ``(B, T, 2, 48, 48)``; domain features ``(T, B, 512)``."""

    frame_size: ClassVar[tuple[int, int]] = (48, 48)
    least_size: ClassVar[int] = 8
    blocks_of_stages: ClassVar[tuple[int, ...]]
    """Blocks of each stage."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        widths = [self.wide(width) for width in WIDTHS]
        self.attention = attention_before(self.layer_options, POLARITIES)
        self.stem = nn.Conv2d(POLARITIES, widths[0], 3, padding=1, bias=False)
        blocks: list[ResidualBlock] = []
        self._starts = [0]
        width_in = widths[0]
        for stage, (width, count) in enumerate(zip(widths, self.blocks_of_stages, strict=True)):
            for block in range(count):
                stride = 2 if block == 0 and stage > 0 else 1
                blocks.append(ResidualBlock(width_in, width, stride, self.layer_options))
                width_in = width
            self._starts.append(len(blocks))
        self.blocks = nn.ModuleList(blocks)
        self.norm = StepNorm(
            width_in, "per-step" if options.norm == "none" else options.norm, options.steps
        )
        self.make_heads(width_in)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and "attention" not in name:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        """Encode ``(T, B, 2, 48, 48)`` into pooled responses ``(T, B, 512)``."""
        if constant is None or self.attention is not None:  # whose masks change in time
            current = convolve(attend(self.attention, Activity(frames)), self.stem)
        else:
            current = convolve_once(frames, constant, self.stem)
        for start, end in pairwise(self._starts):
            current = run_stage(self._stage, start, end, current, keep=self.keeps_activations)
        pooled = self.norm(current).mean((3, 4))
        return Encoding(Activity(pooled), pooled if features else None)

    def _stage(self, start: int, end: int, current: Tensor) -> Tensor:
        for block in self.blocks[start:end]:
            current = block(current)
        return current
