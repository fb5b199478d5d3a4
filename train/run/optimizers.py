"""Optimizers by name: AdamW, Adam and SGD are torch's, Lamb is the package pytorch_optimizer's."""

from __future__ import annotations

from typing import Any

import torch

from ...errors import UsageError
from ..recipe.learning import Optim


def make_optimizer(groups: list[dict[str, Any]], settings: Optim) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over parameter groups that carry their weight decay.

    AdamW has betas (0.9, 0.999) and ε 1e-8 (Loshchilov and Hutter, ICLR 2019); Adam has the same,
    and decay added to the gradient (L2); SGD has ``momentum`` and decay added likewise; Lamb is
    You et al.'s (ICLR 2020), without its clipping of the whole gradient, which is ``clip_norm``.

    Raises:
        UsageError: Lamb is asked for and its package is not installed.
    """
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
    if settings.optimizer == "lamb":
        try:
            from pytorch_optimizer import Lamb
        except ImportError as error:
            raise UsageError(
                "optimizer lamb needs the package pytorch_optimizer: pip install 'snntx[lamb]'"
            ) from error
        lamb: torch.optim.Optimizer = Lamb(groups, lr=settings.lr, max_grad_norm=0.0)
        return lamb
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, lr=settings.lr, betas=(0.9, 0.999), eps=1e-8)
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.999), eps=1e-8)
