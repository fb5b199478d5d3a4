"""Methods that train both branches by the knowledge-transfer loss (He et al., AAAI 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

from .base import Costs, Inputs, Method, Place, branch_loss
from .replacement import share_of_events
from .terms import Replacement

if TYPE_CHECKING:
    from torch import nn

    from ..network.model import TransferModel, TransferOutput

OwnSettings = TypeVar("OwnSettings", bound=Replacement)


class Transfer(Method[OwnSettings]):
    """Both branches share the network; their features are aligned by CKA at every step."""

    without_static: ClassVar[str | None] = "event-only"

    @property
    def trains_all(self) -> bool:
        """Whether every parameter has a part in the loss: the coefficients do if learnt."""
        return self.settings.regularization and self.settings.fixed_coefficient is None

    def share(self, place: Place) -> float:
        """Return P, the share of events that the static branch is to show at a batch."""
        return share_of_events(self.settings, place)

    def log(self, place: Place) -> Mapping[str, float]:
        """Return P."""
        return {"P": self.share(place)}

    def loss(self, model: TransferModel, inputs: Inputs, heads: Mapping[str, nn.Module]) -> Costs:
        """Return the transfer loss and its terms, and what further heads cost."""
        from .losses import TransferLoss

        settings = self.settings
        cost = TransferLoss(
            regularization=settings.regularization,
            domain_weight=settings.domain_weight,
            fixed_coefficient=settings.fixed_coefficient,
            **branch_loss(settings),
        )
        output = model(inputs.static, inputs.event, inputs.constant)
        parts = cost(
            output,
            inputs.labels,
            model.coefficient,
            event_mixture=inputs.event_mixture,
            static_mixture=inputs.static_mixture,
        )
        terms = {
            "loss": parts.total,
            "static": parts.static,
            "event": parts.event,
            "domain": parts.domain,
            "cka": parts.cka.mean(),
            **{f"cka.{t}": value for t, value in enumerate(parts.cka.detach())},
        }
        costs = Costs(terms, output.event_logits)
        self.beside(costs, output, inputs, heads)
        return costs

    def beside(
        self,
        costs: Costs,
        output: TransferOutput,
        inputs: Inputs,
        heads: Mapping[str, nn.Module],
    ) -> None:
        """Add the terms of what is trained beside the network; by default nothing."""
