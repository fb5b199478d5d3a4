"""What networks start from: the distributions of their fresh weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel
from snntx.train.network.norm import StepNorm


def fresh(name: str, num_classes: int = 3) -> TransferModel:
    torch.manual_seed(0)
    return create_model(name, num_classes=num_classes, steps=2)


def assert_normal(weight: Tensor, deviation: float) -> None:
    draws = weight.detach().double().flatten() / deviation
    spread = 5 / math.sqrt(draws.numel())  # five standard errors, or more
    assert abs(draws.mean().item()) < spread
    assert abs(draws.std().item() - 1) < spread
    assert abs((draws.abs() < 1).double().mean().item() - 0.6827) < spread


def assert_uniform(weight: Tensor, bound: float) -> None:
    draws = weight.detach().double().flatten() / bound
    spread = 5 / math.sqrt(draws.numel())
    assert draws.abs().max() <= 1
    assert abs(draws.mean().item()) < spread
    assert abs((draws.abs() < 0.5).double().mean().item() - 0.5) < spread


def test_resnet18_starts_from_kaiming_normal_by_fan_out() -> None:
    convolutions = [m for m in fresh("resnet18").modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 16 + 3
    for conv in convolutions:
        area = math.prod(conv.kernel_size)
        assert_normal(conv.weight, math.sqrt(2 / (conv.out_channels * area)))


def test_scnn_starts_from_kaiming_normal_by_fan_in_and_uniform_weights() -> None:
    model = fresh("scnn", num_classes=1623)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert (len(convolutions), len(linears)) == (2, 2)
    for conv in convolutions:
        assert_normal(conv.weight, math.sqrt(2 / conv.weight[0].numel()))
    for linear in linears:
        assert_uniform(linear.weight, 0.1)
        assert_uniform(linear.bias, 1 / math.sqrt(linear.in_features))


@pytest.mark.parametrize("name", ["vgg", "nmnist"])
def test_other_models_start_as_torch_does(name: str) -> None:
    for module in fresh(name).modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert_uniform(module.weight, 1 / math.sqrt(module.weight[0].numel()))
        elif isinstance(module, StepNorm):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
