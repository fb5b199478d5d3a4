"""The static branch alone: pretraining on static images, to be fine-tuned by ``initial``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...recipe.doors import METHODS
from ..base import Costs, Inputs, Method, branch_loss
from ..terms import BranchLoss

if TYPE_CHECKING:
    from torch import nn

    from ...network.model import TransferModel


@METHODS.register("static-only")
class StaticOnly(Method["StaticOnly.Settings"]):
    """Show every image at all steps and in both polarities, and learn the static head.

    No event is read. The epoch is chosen on the static images of the selection part.
    """

    @dataclass(frozen=True)
    class Settings(BranchLoss):
        """Settings of the static branch alone."""

        name: str = "static-only"

    summary: ClassVar[str] = "pretraining on the static images alone; fine-tune it by initial"
    draws: ClassVar[str] = "images"
    judged: ClassVar[str] = "static"

    def loss(self, model: TransferModel, inputs: Inputs, heads: Mapping[str, nn.Module]) -> Costs:
        """Return the loss of one branch on the static logits."""
        from ..losses import event_loss

        assert inputs.static is not None
        logits = model.forward_static(inputs.static, inputs.constant)
        total = event_loss(logits, inputs.labels, **branch_loss(self.settings))
        return Costs({"loss": total, "static": total}, logits)
