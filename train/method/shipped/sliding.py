"""Sliding training: whole static images are replaced by events (He et al., AAAI 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...recipe.doors import METHODS
from ..base import Place, Sample, Shown
from ..terms import Replacement
from ..transfer import Transfer

if TYPE_CHECKING:
    import numpy as np


@METHODS.register("sliding")
class Sliding(Transfer["Sliding.Settings"]):
    """Replace each static image by its recording's events with a probability that rises."""

    @dataclass(frozen=True)
    class Settings(Replacement):
        """Settings of sliding training."""

        name: str = "sliding"

    summary: ClassVar[str] = (
        "whole static images are replaced by events as training goes on (He et al., AAAI 2024)"
    )

    def show(self, sample: Sample, place: Place, draw: np.random.Generator) -> Shown:
        """Replace each sample with the probability P."""
        import torch

        share = self.share(place)
        replaced = torch.from_numpy(draw.random(len(sample.event)) < share)
        if not share:
            return Shown(sample.static, ~replaced)
        mask = replaced.to(sample.event.device)[:, None, None, None, None]
        return Shown(torch.where(mask, sample.event, sample.static), ~replaced)
