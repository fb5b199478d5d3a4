"""What the networks of Advance Spatial Attention share: their channels, dropping, names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ....errors import UsageError
from ..model import TransferModel
from ..synapses import Activity

PARTS = ("", ".fc", ".fc.0", ".fc.2", ".conv1", ".conv2")
"""Modules of an attention that hold parameters, by their names here and in the published code."""


def attention_names(layers: int, theirs: str) -> dict[str, str]:
    """Return the published name of each convolution's attention, of a pattern for its number."""
    return {
        f"convolutions.{number}.attention{part}": theirs.format(number) + part
        for number in range(layers)
        for part in PARTS
    }


def channels_of(model: TransferModel, widths: Sequence[int]) -> list[int]:
    """Return the channels of a network's convolutions: as asked for, or its own by ``width``.

    Raises:
        UsageError: another number of them, or one below 1.
    """
    asked = model.options.conv_channels
    if asked is None:
        return [model.wide(width) for width in widths]
    if len(asked) != len(widths) or min(asked, default=0) < 1:
        raise UsageError(
            f"model {model.name}: conv_channels are {list(asked)}, expected {len(widths)} numbers "
            f"of 1 or more, such as {list(widths)}"
        )
    return list(asked)


def drops(model: str, layers: str, count: int) -> tuple[bool, ...]:
    """Return which layers drop, of a digit for each.

    Raises:
        UsageError: other characters, or another number of them.
    """
    if len(layers) != count or set(layers) - {"0", "1"}:
        raise UsageError(
            f"model {model}: dropout_layers is '{layers}', expected {count} digits 0 or 1, such as "
            f"{'0' * count}"
        )
    return tuple(digit == "1" for digit in layers)


def dropped(activity: Activity, kept: Tensor, share: float) -> Activity:
    """Return an activity of which some values are dropped, and the others scaled up.

    Args:
        activity: ``(T, B, ...)``.
        kept: bool of its shape, or ``(1, B, ...)`` for all steps alike.
        share: that was dropped.
    """
    scale = 1 / (1 - share)
    codes = None if activity.codes is None else activity.codes * kept
    return Activity(activity.values * kept * scale, codes, activity.unit * scale)
