"""Learning rates and decay groups: closed forms of the epoch, no state to save or restore.

``base_rate`` turns the recipe's rate into the one after the warm-up, ``learning_rate`` gives the
rate at which an epoch runs, ``rate_lines`` says both for people, ``parameter_groups`` feeds
optimizers.
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from ...errors import UsageError, nearest
from ..recipe.learning import Optim

REFERENCE_BATCH = 1024
SCHEDULES = ("cosine", "cosine-late", "step")


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
        cosine-late the same of epoch - 1, and base_lr in epoch 0 (Yao et al., ICCV 2023)
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
    passed = max(0, epoch - 1) if schedule == "cosine-late" else epoch
    return floor + 0.5 * (base_lr - floor) * (1 + math.cos(math.pi * passed / epochs))


def base_rate(settings: Optim, drawn: int | None = None) -> float:
    """Return the learning rate after the warm-up, as ``lr_scaling`` says.

    Args:
        settings: of the recipe.
        drawn: recordings that a batch really has; None for as many as ``batch_size``.
    """
    if settings.lr_scaling == "none":
        return settings.lr
    if drawn is None or settings.lr_scaling == "linear-nominal":
        drawn = settings.batch_size
    return scaled_lr(settings.lr, drawn)


def rate_lines(settings: Optim, drawn: int) -> list[str]:
    """Return what a user should know of the learning rate before the first step.

    Args:
        settings: of the recipe.
        drawn: recordings that a batch really has.
    """
    how = ""
    if settings.lr_scaling != "none":
        batch = drawn if settings.lr_scaling == "linear" else settings.batch_size
        how = f" x {batch} / {REFERENCE_BATCH}"
    lines = [
        f"learning rate {base_rate(settings, drawn):.4g}: lr = {settings.lr:g}{how} "
        f"(lr_scaling = {settings.lr_scaling})"
    ]
    if drawn != settings.batch_size:
        lines.append(
            f"batches of {drawn}, not {settings.batch_size}: there are no more to train on"
        )
    warmup = warmup_length(settings.epochs, settings.warmup_epochs)
    if warmup != settings.warmup_epochs:
        lines.append(
            f"warm-up of {warmup} epochs, not {settings.warmup_epochs}: at most a third of "
            f"epochs = {settings.epochs}"
        )
    return lines


def recipe_rate(settings: Optim, epoch: int, drawn: int | None = None) -> float:
    """Return the learning rate of one epoch of a recipe; ``drawn`` as :func:`base_rate` has it."""
    return learning_rate(
        epoch,
        base_lr=base_rate(settings, drawn),
        epochs=settings.epochs,
        schedule=settings.schedule,
        warmup_epochs=settings.warmup_epochs,
        warmup_lr=settings.warmup_lr,
        min_lr=settings.min_lr,
        decay_epochs=settings.decay_epochs,
        decay_rate=settings.decay_rate,
    )


def parameter_groups(
    model: nn.Module, weight_decay: float, decays: str = "weights"
) -> list[dict[str, Any]]:
    """Return the groups ``[no decay, decay]`` of the trainable parameters, in model order.

    Weights of two or more dimensions decay, biases, norms and coefficients do not; with ``all``
    every parameter is in the second group. One without a gradient never moves.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    least = 2 if decays == "weights" else 0
    return [
        {"params": [p for p in trainable if p.ndim < least], "weight_decay": 0.0},
        {"params": [p for p in trainable if p.ndim >= least], "weight_decay": weight_decay},
    ]
