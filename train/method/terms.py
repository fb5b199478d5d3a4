"""Settings that methods share: the loss of a branch, its alignment, the rise of replacement.

A method's own ``Settings`` derives from those that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ...declared.fields import Setting
from ...errors import UsageError
from ..recipe.groups import MethodSettings


@dataclass(frozen=True)
class BranchLoss(MethodSettings):
    """What one branch's logits cost (temporal efficient training, Deng et al., ICLR 2022)."""

    tet: Annotated[bool, Setting("temporal efficient training: a loss at every time step")] = True
    tet_lambda: Annotated[float, Setting("weight of its mean-squared term", low=0, high=1)] = 1e-3
    tet_target: Annotated[float, Setting("logit that this term pulls towards")] = 0.5
    label_smoothing: Annotated[
        float, Setting("share of a label's weight that all classes divide", low=0, high=1)
    ] = 0.0
    loss: Annotated[
        Literal["entropy", "squared"],
        Setting(
            "cross entropy, or the squared distance of the outputs' mean over the steps from one "
            "for the class and 0 for others (Yao et al.), which has no loss at every step",
            note="squared needs tet = false",
        ),
    ] = "entropy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss == "squared" and self.tet:
            raise UsageError(
                "recipe: loss squared is of the outputs' mean over the steps, and tet has one at "
                "every step; set tet = false"
            )


@dataclass(frozen=True)
class Alignment(BranchLoss):
    """How both branches are aligned and weighted (He et al., AAAI 2024)."""

    domain_weight: Annotated[float, Setting("of the domain (CKA) loss", low=0)] = 0.5
    regularization: Annotated[bool, Setting("weight the losses by the learnable coefficients")] = (
        True
    )
    fixed_coefficient: Annotated[
        float | None,
        Setting("weigh them by this number instead", low=0, high=1, note="under regularization"),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fixed_coefficient is not None and not self.regularization:
            raise UsageError("recipe: fixed_coefficient has no effect without regularization")


@dataclass(frozen=True)
class Replacement(Alignment):
    """How events take the place of static images as training goes on."""

    replacement: Annotated[
        Literal["power", "hard-switch", "none"],
        Setting(
            "share of events in the static branch: a power of training's progress, none in the "
            "first half of the epochs and all after, or none"
        ),
    ] = "power"
    sliding_power: Annotated[float, Setting("exponent of that power", low=0)] = 3.0
