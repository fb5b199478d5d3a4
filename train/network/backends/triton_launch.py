"""How the CUDA backend cuts a current into tiles, and what a launch of a kernel consists of."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from ....errors import UsageError
from .order import is_channels_last

OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}
"""How kernels are compiled: a fused multiplication and addition would round once, not twice."""
LANES = 32 * OPTIONS["num_warps"]
WIDEST = 16
"""Bytes of the widest load or store."""
SEGMENTS = {"statistics": 128, "forward": 128, "backward": 64}
"""Bytes of neighbouring channels in a tile; fewer of them leave more pixels to sum over."""
LOADS = {"statistics": 4, "forward": 1, "backward": 1}
"""Widest loads that a thread makes per step."""
LEAST_BLOCK = 64
"""Neighbouring pixels in a tile, at least."""
LONGEST_SPAN = {4: 12, 2: 6}
"""Most steps whose membranes a backward pass keeps in registers, by the bytes of a number."""


class Launch(NamedTuple):
    """A kernel, how many programs of it run, its arguments and its compile-time constants."""

    kernel: Any
    programs: int
    arguments: dict[str, Any]
    constants: dict[str, Any]


class Tiles(NamedTuple):
    """A current as the kernels see it: its order, its sizes and those of a tile.

    ``planes`` are samples in channels-last order and pairs of sample and channel otherwise;
    ``size`` is the bytes of a number.
    """

    last: bool
    planes: int
    channels: int
    height: int
    columns: int
    block_a: int
    block_v: int
    size: int

    @property
    def lines(self) -> int:
        """Return the lines of a step."""
        return self.planes * self.height * self.columns if self.last else self.planes

    @property
    def width(self) -> int:
        """Return the numbers of a line."""
        return self.channels if self.last else self.height * self.columns

    @property
    def down(self) -> int:
        """Return the tiles over the lines."""
        return -(-self.lines // self.block_a)

    @property
    def across(self) -> int:
        """Return the tiles over the width."""
        return -(-self.width // self.block_v)

    @property
    def parts(self) -> int:
        """Return in how many parts the sums of a channel are taken."""
        return self.down if self.last else self.across * (self.planes // self.channels)

    @property
    def sizes(self) -> dict[str, int]:
        """Return the sizes by the names of the kernels' arguments."""
        return {name: getattr(self, name) for name in ("planes", "channels", "height", "columns")}

    @property
    def constants(self) -> dict[str, Any]:
        """Return the compile-time constants that follow from the tiles."""
        return {
            "LAST": self.last,
            "ALIGN": alignment(self.width, self.size),
            "BLOCK_A": self.block_a,
            "BLOCK_V": self.block_v,
        }


def tiles(current: Tensor, use: str) -> Tiles:
    """Return how a current ``(T, B, C, H, W)`` is cut for ``use``, a key of ``LOADS``.

    Raises:
        UsageError: the current is dense in neither order, or a step has 2**31 numbers or more.
    """
    steps, batch, channels, height, columns = current.shape
    contiguous = current.is_contiguous()
    if not (contiguous or is_channels_last(current)):
        raise UsageError(
            f"backend triton: the current has strides {tuple(current.stride())}, expected "
            "contiguous or channels-last"
        )
    if current.numel() >= steps * 2**31:
        raise UsageError(
            f"backend triton: a step has {current.numel() // steps} numbers, expected fewer than "
            "2**31; take a smaller batch"
        )
    # without pixels both orders are the same, and the channels are the longer axis
    last = height * columns == 1 or not contiguous
    size = current.element_size()
    elements = LANES * LOADS[use] * WIDEST // size
    if last:
        block_v = min(power_of_two(channels), SEGMENTS[use] // size)
    else:
        block_v = line_block(height * columns, elements)
    planes = batch if last else batch * channels
    return Tiles(last, planes, channels, height, columns, elements // block_v, block_v, size)


def line_block(width: int, elements: int) -> int:
    """Return the power of two whose multiples cover ``width`` with the least waste."""
    sizes = [1 << n for n in range(LEAST_BLOCK.bit_length() - 1, elements.bit_length())]
    return min(reversed(sizes), key=lambda size: -(-width // size) * size)


def power_of_two(number: int) -> int:
    """Return the least power of two that is ``number`` or more."""
    return 1 << max(0, number - 1).bit_length()


def alignment(width: int, size: int) -> int:
    """Return the most numbers of ``size`` bytes that a load may take where lines have ``width``."""
    return math.gcd(width, WIDEST // size)


def run(launch: Launch, device: torch.device) -> None:
    """Run a kernel on the device of its tensors.

    Raises:
        UsageError: that is no CUDA device, and kernels are not interpreted.
    """
    if device.type != "cuda" and isinstance(launch.kernel, triton.runtime.JITFunction):
        raise UsageError(
            f"backend triton computes on CUDA, not on {device.type}, where only Triton's "
            "interpreter runs it (TRITON_INTERPRET=1, set before Triton is imported); use auto"
        )
    if launch.programs == 0:
        return
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        launch.kernel[(launch.programs,)](**launch.arguments, **launch.constants, **OPTIONS)
