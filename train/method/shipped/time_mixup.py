"""Time-step mixup: events from a drawn step on (Xie et al., arXiv 2509.12959 and 2511.12150)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from ....declared.fields import Setting
from ...recipe.doors import METHODS
from ..base import Costs, Inputs, Place, Sample, Shown
from ..terms import Replacement
from ..transfer import Transfer

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from ...network.model import TransferModel, TransferOutput


@METHODS.register("time-mixup")
class TimeMixup(Transfer["TimeMixup.Settings"]):
    """Show the image before each sample's step t*, and events from it on; P is the mix ratio."""

    @dataclass(frozen=True)
    class Settings(Replacement):
        """Settings of time-step mixup; both weights are ours, the papers leave them open."""

        name: str = "time-mixup"
        modality_weight: Annotated[
            float, Setting("of the loss of the modality classifier", low=0)
        ] = 0.1
        ratio_weight: Annotated[float, Setting("of the loss of the mix-ratio regressor", low=0)] = (
            0.1
        )

    summary: ClassVar[str] = (
        "the image first and events from a drawn step on (Xie et al., arXiv 2509.12959)"
    )

    def show(self, sample: Sample, place: Place, draw: np.random.Generator) -> Shown:
        """Draw each sample's step t* so that the expected share of events after it is P."""
        import torch

        from ..time_steps import draw_switches, mix_in_time

        batch, steps = sample.event.shape[:2]
        switch = torch.from_numpy(draw_switches(self.share(place), steps, batch, draw))
        mixed = mix_in_time(sample.static, sample.event, switch.to(sample.event.device))
        return Shown(mixed, switch == steps, {"switch": switch})

    def heads(self, model: TransferModel) -> Mapping[str, nn.Module]:
        """Return the modality classifier and the mix-ratio regressor, as one module."""
        from ..time_steps import ModalityHeads, feature_size

        return {"modality": ModalityHeads(feature_size(model))}

    def beside(
        self,
        costs: Costs,
        output: TransferOutput,
        inputs: Inputs,
        heads: Mapping[str, nn.Module],
    ) -> None:
        """Add both heads' losses, on the mixed side's features."""
        losses = heads["modality"](output.static_features, inputs.notes["switch"])
        costs.terms.update(losses)
        weights = {
            "modality": self.settings.modality_weight,
            "mix_ratio": self.settings.ratio_weight,
        }
        for name, weight in weights.items():
            costs.terms["loss"] = costs.terms["loss"] + weight * losses[name]
