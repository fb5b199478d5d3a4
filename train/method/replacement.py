"""How the share of events in the static branch rises with training."""

from __future__ import annotations

from .base import Place
from .terms import Replacement


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


def share_of_events(settings: Replacement, place: Place) -> float:
    """Return the share of events that the static branch is to show at one batch, 0 to 1."""
    if settings.replacement == "hard-switch":
        return hard_switch(place.epoch, place.epochs)
    if settings.replacement == "none":
        return 0.0
    return replacement_probability(place.step, place.steps, settings.sliding_power)
