"""Transfer strategies: how events take the place of a static image as training goes on.

A strategy has two parts. :meth:`Strategy.show` decides, for one batch and a share that rises
with training (:func:`replacement_probability`), what the static branch sees. Where the strategy
learns something beside the network, :meth:`Strategy.heads` makes the auxiliary heads, whose
losses are added with the weights of :meth:`Strategy.weights`. A further strategy is one class
here and its name in ``STRATEGIES`` of :mod:`snntx.train.recipe.whole`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..recipe.whole import Recipe
from .time_mixup import ModalityHeads, draw_switches, mix_in_time


class Shown(NamedTuple):
    """What the static branch sees.

    Attributes:
        static: ``(B, T, 2, H, W)``.
        constant: ``(B,)`` bool on the CPU: still the one image at every step.
        switch: ``(B,)`` on the CPU, the first step with events, T for never; None where a
            sample is of one kind throughout.
    """

    static: Tensor
    constant: Tensor
    switch: Tensor | None = None


class Strategy(ABC):
    """How one run brings events into the static branch."""

    @abstractmethod
    def show(self, static: Tensor, event: Tensor, share: float, draw: np.random.Generator) -> Shown:
        """Return what the static branch sees.

        Args:
            static: the images at every step, ``(B, T, 2, H, W)``; not changed.
            event: the same samples' event frames, same shape.
            share: of events that is wanted, 0 to 1.
            draw: source of the draws.
        """

    def heads(self, features: int) -> nn.Module | None:
        """Return what is trained beside the network on ``features`` domain features, if anything.

        It is called with the static branch's features ``(T, B, F)`` and ``switch``, and returns
        losses by name.
        """
        return None

    def weights(self, recipe: Recipe) -> Mapping[str, float]:
        """Return the weight of each of the heads' losses."""
        return {}


class Sliding(Strategy):
    """Sliding training: whole samples are replaced (He et al., AAAI 2024)."""

    def show(self, static: Tensor, event: Tensor, share: float, draw: np.random.Generator) -> Shown:
        """Replace each sample with the probability ``share``."""
        replaced = torch.from_numpy(draw.random(len(event)) < share)
        if not share:
            return Shown(static, ~replaced)
        mask = replaced.to(event.device)[:, None, None, None, None]
        return Shown(torch.where(mask, event, static), ~replaced)


class TimeMixup(Strategy):
    """Time-step mixup: steps are replaced from a drawn one on (Xie et al., arXiv 2509.12959)."""

    def show(self, static: Tensor, event: Tensor, share: float, draw: np.random.Generator) -> Shown:
        """Show the image before each sample's step t*, the expected share of events after it."""
        batch, steps = event.shape[:2]
        switch = torch.from_numpy(draw_switches(share, steps, batch, draw))
        mixed = mix_in_time(static, event, switch.to(event.device))
        return Shown(mixed, switch == steps, switch)

    def heads(self, features: int) -> nn.Module:
        """Return the modality classifier and the mix-ratio regressor."""
        return ModalityHeads(features)

    def weights(self, recipe: Recipe) -> Mapping[str, float]:
        """Return the recipe's weights of both."""
        return {"modality": recipe.modality_weight, "mix_ratio": recipe.ratio_weight}


BY_NAME: Mapping[str, Strategy] = MappingProxyType(
    {"sliding": Sliding(), "time-mixup": TimeMixup()}
)


def replacement_probability(step: int, steps: int, power: float) -> float:
    """Return ``min(1, (step / steps) ** power)`` (sliding training, He et al., AAAI 2024).

    Args:
        step: batches trained so far.
        steps: batches of the whole run.
        power: 3 in the paper; a quarter of all samples is replaced over training.
    """
    return float(min(1.0, (step / steps) ** power))


def hard_switch(epoch: int, epochs: int) -> float:
    """Return 0 while ``epoch <= epochs / 2``, and 1 after: He et al.'s run without sliding."""
    return float(epoch > epochs / 2)
