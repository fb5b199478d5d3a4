"""Doors that a recipe names parts through; the wings above this one fill them. Imports no torch."""

from __future__ import annotations

from typing import Any

from ...declared.doors import Door


def _no_method(part: Any) -> str | None:
    if not isinstance(part, type) or not hasattr(part, "Settings") or not hasattr(part, "loss"):
        return "is no subclass of snntx.train.Method"
    return None


def _no_augmentation(part: Any) -> str | None:
    return None if callable(part) else "is neither a function nor a class of an augmentation"


METHODS: Door[Any] = Door(
    "method", "snntx.methods", shipped="snntx.train.method.shipped", fits=_no_method
)
"""Ways to train: subclasses of :class:`snntx.train.method.base.Method`."""

AUGMENTATIONS: Door[Any] = Door(
    "augment",
    "snntx.augmentations",
    shipped={
        "mixup": "snntx.train.augment.mixing",
        "cutmix": "snntx.train.augment.mixing",
        "eventmix": "snntx.train.augment.mixing",
        "randaugment": "snntx.train.augment.policies",
        "nda": "snntx.train.augment.policies",
        "eventdrop": "snntx.train.augment.dropping",
    },
    fits=_no_augmentation,
    also=("none",),
)
"""What is done to training frames (:data:`snntx.train.augment.base.Augmentation`)."""
