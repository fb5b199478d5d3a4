"""Frames for networks, the same on every call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snntx.train.network.model import TransferModel


@pytest.fixture
def frames() -> Callable[..., Tensor]:
    """Function of a model, a batch size and a seed that draws ``(B, T, 2, H, W)``."""

    def draw(model: TransferModel, batch: int, seed: int = 0) -> Tensor:
        source = torch.Generator().manual_seed(seed)
        shape = (batch, model.steps, 2, *model.size)
        return torch.poisson(torch.full(shape, 0.7), generator=source)

    return draw
