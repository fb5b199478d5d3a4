"""The event branch alone: the baseline without static images."""

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


@METHODS.register("event-only")
class EventOnly(Method["EventOnly.Settings"]):
    """Train on the recordings alone."""

    @dataclass(frozen=True)
    class Settings(BranchLoss):
        """Settings of the event branch alone."""

        name: str = "event-only"

    summary: ClassVar[str] = "the event branch alone, the baseline without static images"
    static: ClassVar[bool] = False

    def loss(self, model: TransferModel, inputs: Inputs, heads: Mapping[str, nn.Module]) -> Costs:
        """Return the loss of one branch on the event logits."""
        from ..losses import event_loss

        logits = model.forward_event(inputs.event)
        total = event_loss(
            logits, inputs.labels, mixture=inputs.event_mixture, **branch_loss(self.settings)
        )
        return Costs({"loss": total, "event": total}, logits)
