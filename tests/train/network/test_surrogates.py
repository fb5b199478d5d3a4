"""Surrogates against slopes worked out by hand, and what comes in by their door."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.network.doors import SURROGATES
from snntx.train.network.layers import SpikingLinear
from snntx.train.network.neurons import Neuron
from snntx.train.network.surrogates import (
    ATan,
    BackEIGate,
    Gate,
    QGate,
    Rectangular,
    Sigmoid,
    Surrogate,
    create_surrogate,
)


@pytest.mark.parametrize(
    ("surrogate", "v", "slope"),
    [
        (QGate(), 0.0, 2.0),
        (QGate(), 0.25, 1.0),
        (QGate(), -0.125, 1.5),
        (QGate(), 0.5, 0.0),
        (QGate(), -3.0, 0.0),
        (QGate(1.0), 0.5, 0.5),
        (QGate(1.0), -1.0, 0.0),
        (QGate(4.0), 0.125, 2.0),
        (Gate(), 0.0, 1.0),
        (Gate(), -0.4375, 1.0),
        (Gate(), 0.5, 0.0),
        (Gate(), -0.5, 0.0),
        (Gate(4.0), 0.1875, 1.0),
        (Gate(4.0), 0.25, 0.0),
        (BackEIGate(), 0.0, 1.0),
        (BackEIGate(), 0.5, 0.0),
        (BackEIGate(8.0), 0.4375, 1.0),
        (BackEIGate(0.25), -0.5, 0.0),
        (ATan(), 0.0, 1.0),
        (ATan(), 1 / math.pi, 0.5),
        (ATan(), -2 / math.pi, 0.2),
        (ATan(4.0), 0.5 / math.pi, 1.0),
        (Sigmoid(), 0.0, 0.5),
        (Sigmoid(), math.log(3) / 2, 0.375),  # σ = 3/4
        (Sigmoid(), -math.log(3) / 2, 0.375),
        (Sigmoid(4.0), math.log(4) / 4, 0.64),  # σ = 4/5
        (Rectangular(), 0.0, 0.5),
        (Rectangular(), -0.9375, 0.5),
        (Rectangular(), 1.0, 0.0),
        (Rectangular(0.5), 0.1875, 2.0),
        (Rectangular(0.5), -0.25, 0.0),
    ],
)
def test_surrogate_slope_by_hand(surrogate: Surrogate, v: float, slope: float) -> None:
    voltage = torch.tensor(v, dtype=torch.float64, requires_grad=True)
    spike = surrogate(voltage)
    (grad,) = torch.autograd.grad(3 * spike, voltage)
    assert spike.item() == float(v > 0)
    assert grad.item() == pytest.approx(3 * slope, abs=1e-14)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("kind", [QGate, ATan, Sigmoid, Rectangular])
def test_surrogate_slope_has_unit_area(kind: type[Surrogate], alpha: float) -> None:
    v = torch.linspace(-16, 16, 200001, dtype=torch.float64).sinh()  # tails reach 4 million
    assert torch.trapezoid(kind(alpha).slope(v), v).item() == pytest.approx(1, abs=5e-4)


@pytest.mark.parametrize("name", SURROGATES.shipped())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_surrogates_keep_the_number_type(name: str, dtype: torch.dtype) -> None:
    v = torch.tensor([-1.0, 0.0, 2.0**-20, 1.0], dtype=dtype, requires_grad=True)
    spikes = create_surrogate(name)(v)
    (grad,) = torch.autograd.grad(spikes.sum(), v)
    assert spikes.tolist() == [0, 0, 1, 1]
    assert spikes.dtype == grad.dtype == dtype


def test_surrogates_have_names_and_numbers_of_their_own() -> None:
    created = [create_surrogate(name, alpha=3.0) for name in SURROGATES.shipped()]
    assert [surrogate.name for surrogate in created] == SURROGATES.shipped()
    assert {surrogate.code for surrogate in created} == {0, 1, 2, 3, 4, 5}
    assert all(surrogate.alpha == 3.0 for surrogate in created)


@pytest.mark.parametrize("alpha", [-1.0, 0.0, math.nan, math.inf])
def test_impossible_surrogates_are_refused(alpha: float) -> None:
    message = f"surrogate qgate: alpha is {alpha}, expected a positive number"
    with pytest.raises(UsageError, match=message):
        create_surrogate("qgate", alpha=alpha)


def test_unknown_surrogate_names_the_nearest() -> None:
    assert create_surrogate("qgate", alpha=3.0) == QGate(3.0)
    with pytest.raises(UsageError, match=r"unknown surrogate 'qgat'; did you mean 'qgate'\?"):
        create_surrogate("qgat")


class Slope(Surrogate):
    """A surrogate of our own: a slope of α everywhere."""

    def slope(self, v: Tensor) -> Tensor:
        return torch.full_like(v, self.alpha)


class Sloped:
    """No surrogate."""


class Unfinished(Surrogate):
    """A surrogate without a slope."""


def test_a_surrogate_of_our_own_drives_a_layer() -> None:
    surrogate = create_surrogate(f"{__name__}:Slope", alpha=3.0)
    layer = SpikingLinear(1, 1, neuron=Neuron(surrogate=surrogate), norm="none")
    with torch.no_grad():
        layer.linear.weight.fill_(1)
    spikes = layer(torch.full((1, 2, 1), 0.5)).spikes
    spikes.sum().backward()
    assert surrogate == Slope(3.0)
    assert layer.linear.weight.grad is not None
    assert layer.linear.weight.grad.item() == 2 * 3.0 * 0.5 * 0.5  # samples, α, 1/τ, input


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Sloped", r"is no subclass of snntx\.train\.network\.surrogates\.Surrogate"),
        ("math", r"is no subclass of snntx\.train\.network\.surrogates\.Surrogate"),
        ("Unfinished", "lacks slope"),
    ],
)
def test_what_is_no_surrogate_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"surrogate '{__name__}:{name}' .*{message}"):
        create_surrogate(f"{__name__}:{name}")
