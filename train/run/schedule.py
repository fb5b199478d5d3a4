"""Learning rates and decay groups: closed forms of the epoch, no state to save or restore.

``scaled_lr`` turns the recipe's rate into the base rate of a batch size, ``learning_rate``
gives the rate at which an epoch runs, ``parameter_groups`` feeds AdamW.
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from ...errors import UsageError, nearest
from ..recipe.learning import Optim

REFERENCE_BATCH = 1024
SCHEDULES = ("cosine", "step")


def scaled_lr(lr: float, batch_size: int) -> float:
    """Return ``lr · batch_size / 1024``, the linear scaling rule."""
    return lr * batch_size / REFERENCE_BATCH


def warmup_length(epochs: int, warmup_epochs: int) -> int:
    """Return the epochs that warm up: as asked, but a third of the run at most.

    A run of one or two epochs therefore has no warm-up and starts at the base rate.
    """
    return min(warmup_epochs, epochs // 3)


def learning_rate(
    epoch: int,
    *,
    base_lr: float,
    epochs: int,
    schedule: str = "cosine",
    warmup_epochs: int = 5,
    warmup_lr: float = 1e-6,
    min_lr: float = 1e-5,
    decay_epochs: int = 40,
    decay_rate: float = 0.1,
) -> float:
    """Return the learning rate of ``epoch`` (0-based) in a run of ``epochs``.

    With ``w = warmup_length(epochs, warmup_epochs)``::

        epoch < w   warmup_lr + epoch · (base_lr - warmup_lr) / w
        cosine      min_lr + (base_lr - min_lr) · (1 + cos(π · epoch / epochs)) / 2
        step        base_lr · decay_rate ^ (epoch // decay_epochs)

    The warm-up covers the first epochs of the curve and does not shift it. ``warmup_lr`` and
    ``min_lr`` are absolute, and neither lifts the rate above a smaller ``base_lr``.
    """
    if schedule not in SCHEDULES:
        known = ", ".join(SCHEDULES)
        raise UsageError(
            f"unknown schedule '{schedule}', known: {known}{nearest(schedule, SCHEDULES)}"
        )
    if not 0 <= epoch < epochs:
        raise UsageError(f"schedule: epoch is {epoch}, expected 0 to {epochs - 1}")
    warmup = warmup_length(epochs, warmup_epochs)
    if epoch < warmup:
        start = min(warmup_lr, base_lr)
        return start + epoch * (base_lr - start) / warmup
    if schedule == "step":
        return base_lr * decay_rate ** (epoch // decay_epochs)
    floor = min(min_lr, base_lr)
    return floor + 0.5 * (base_lr - floor) * (1 + math.cos(math.pi * epoch / epochs))


def recipe_rate(settings: Optim, epoch: int) -> float:
    """Return the learning rate of one epoch of a recipe."""
    return learning_rate(
        epoch,
        base_lr=scaled_lr(settings.lr, settings.batch_size),
        epochs=settings.epochs,
        schedule=settings.schedule,
        warmup_epochs=settings.warmup_epochs,
        warmup_lr=settings.warmup_lr,
        min_lr=settings.min_lr,
        decay_epochs=settings.decay_epochs,
        decay_rate=settings.decay_rate,
    )


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's groups ``[no decay, decay]`` of the trainable parameters, in model order.

    Weights of two or more dimensions decay; biases, norms and coefficients do not.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
    ]
