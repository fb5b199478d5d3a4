"""What an attention is made with, and what of that can be. Imports no torch.

In: the settings of the group ``[network]`` that begin with ``attention``. Out: one frozen value,
whose errors name the setting to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....errors import UsageError, nearest

MODES = ("per-sample", "trainable", "reference")
COMBINES = ("xor", "and", "or")
PLACES = ("neuron", "spikes", "convolution")


@dataclass(frozen=True)
class Attention:
    """An Advance Spatial Attention in each layer that has pixels (Yao et al., ICCV 2023).

    Attributes:
        mode: ``per-sample``, ``trainable`` or ``reference`` (see :mod:`.asa`).
        combine: how the mask over channels and the mask over time make one.
        lam: share of channels, and of time steps, that a mask marks; above 0, below 1.
        reduction: the scoring's hidden layer has T // reduction values; 1 has none.
        place: it acts on what drives the ``neuron``, on the ``spikes`` that a layer sends, or
            on what a ``convolution`` gets.

    Raises:
        UsageError: a value cannot be.
    """

    mode: str = "per-sample"
    combine: str = "xor"
    lam: float = 0.5
    reduction: int = 1
    place: str = "neuron"

    def __post_init__(self) -> None:
        check(self.mode, self.combine, self.lam, self.reduction)
        _known("attention_place", self.place, PLACES)


def check(mode: str, combine: str, lam: float, reduction: int) -> None:
    """Refuse what an attention cannot be, naming the setting.

    Raises:
        UsageError: a name is unknown, a number out of its range, or ``reference`` asked to
            combine otherwise than it does.
    """
    _known("attention_mode", mode, MODES)
    _known("attention_combine", combine, COMBINES)
    if not 0 < lam < 1:
        raise UsageError(
            f"attention_lam is {lam}, expected a share above 0 and below 1, such as 0.5"
        )
    if not isinstance(reduction, int) or reduction < 1:
        raise UsageError(f"attention_reduction is {reduction!r}, expected an integer of 1 or more")
    if mode == "reference" and combine != "xor":
        raise UsageError(
            f"attention_mode reference combines its masks by xor, not by {combine}; "
            "use attention_combine xor, or attention_mode per-sample"
        )


def hidden_of(steps: int, reduction: int) -> int:
    """Return the width of the scoring's hidden layer, ``T // reduction``.

    Raises:
        UsageError: it would be 0.
    """
    if steps < reduction:
        raise UsageError(
            f"attention_reduction {reduction} leaves nothing of {steps} time steps; "
            f"use attention_reduction {steps} or less"
        )
    return steps // reduction


def _known(setting: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        hint = nearest(value, known)
        raise UsageError(f"unknown {setting} '{value}', known: {', '.join(known)}{hint}")
