"""The neuron against numbers worked out by hand: voltages, slopes and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.layers import ConvNormLIF, LinearNormLIF, average_pool, resolve_backend
from snntx.train.neurons import LIFParameters, lif, lif_step, lif_steps
from snntx.train.surrogates import QGate, create_surrogate, qgate_slope


def run(current: Tensor, tau: float = 2.0) -> tuple[Tensor, Tensor]:
    return lif(current, tau=tau, threshold=0.5, surrogate=QGate())


def test_voltage_trace_by_hand() -> None:
    # tau = 2: u = (m + x) / 2.         u = 0.4, 0.5, 0.65 -> spike, 0.2, 0.8 -> spike, 0.0
    current = torch.tensor([0.8, 0.6, 0.8, 0.4, 1.4, 0.0], dtype=torch.float64).view(6, 1)
    spikes, membrane = run(current)
    assert spikes.flatten().tolist() == [0, 0, 1, 0, 1, 0]
    expected = torch.tensor([0.4, 0.5, 0.0, 0.2, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(membrane.flatten(), expected, rtol=0, atol=1e-15)


def test_membrane_at_the_threshold_stays_silent() -> None:
    spikes, membrane = run(torch.tensor([[1.0], [0.5]]))
    assert spikes.flatten().tolist() == [0, 0]
    assert membrane.flatten().tolist() == [0.5, 0.5]


def test_leak_follows_tau() -> None:
    # tau = 4: u = m + (x - m) / 4, from x = 0.8, 0, 0
    _, membrane = run(torch.tensor([[0.8], [0.0], [0.0]], dtype=torch.float64), tau=4.0)
    expected = torch.tensor([0.2, 0.15, 0.1125], dtype=torch.float64)
    torch.testing.assert_close(membrane.flatten(), expected, rtol=0, atol=1e-15)


def test_one_step_from_a_charged_membrane() -> None:
    spikes, membrane = lif_step(
        torch.tensor([0.8, 0.2]),
        torch.tensor([0.4, 0.4]),
        tau=2.0,
        threshold=0.5,
        surrogate=QGate(),
    )
    assert spikes.tolist() == [1, 0]
    torch.testing.assert_close(membrane, torch.tensor([0.0, 0.3]))


def test_steps_draw_their_currents_on_demand() -> None:
    drawn: list[int] = []

    def currents() -> Iterator[Tensor]:
        for step in range(3):
            drawn.append(step)
            yield torch.ones(1)

    steps = lif_steps(currents(), tau=2.0, threshold=0.5, surrogate=QGate())
    next(steps)
    assert drawn == [0]


@pytest.mark.parametrize(
    ("v", "slope"),
    [(0.0, 2.0), (0.25, 1.0), (-0.25, 1.0), (0.5, 0.0), (-0.5, 0.0), (0.75, 0.0), (-3.0, 0.0)],
)
def test_surrogate_slope_by_hand(v: float, slope: float) -> None:
    voltage = torch.tensor(v, dtype=torch.float64, requires_grad=True)
    spike = QGate()(voltage)
    (grad,) = torch.autograd.grad(spike, voltage)
    assert spike.item() == float(v > 0)
    assert grad.item() == slope


@pytest.mark.parametrize("alpha", [0.5, 2.0, 4.0])
def test_surrogate_slope_has_unit_area(alpha: float) -> None:
    v = torch.linspace(-3, 3, 60001, dtype=torch.float64)
    assert torch.trapezoid(qgate_slope(v, alpha), v).item() == pytest.approx(1, abs=1e-6)


def test_gradient_passes_silent_steps_and_stops_at_the_reset() -> None:
    # u = 0.4, 0.6 (spike), 0.3; slopes 2 - 4|v| = 1.6, 1.6, 1.2.
    current = torch.tensor([[0.8], [0.8], [0.6]], dtype=torch.float64, requires_grad=True)
    spikes, membrane = run(current)
    assert spikes.flatten().tolist() == [0, 1, 0]

    # ds2/dx2 = 1.6/2; ds2/dx1 = 1.6 * du2/dm1 * dm1/dx1 = 1.6/2/2; step 3 comes later.
    (grad,) = torch.autograd.grad(spikes[1], current, torch.ones(1).double(), retain_graph=True)
    torch.testing.assert_close(grad.flatten(), torch.tensor([0.4, 0.8, 0.0]).double())

    # The reset gate is detached, so m3 = u3 sees x3 alone: with an attached gate m2 = u2 (1 - s2)
    # would add -u2 ds2/dx2 = -0.6 * 0.8 and reach x1 and x2.
    (grad,) = torch.autograd.grad(membrane[2], current, torch.ones(1).double())
    torch.testing.assert_close(grad.flatten(), torch.tensor([0.0, 0.0, 0.5]).double())


def test_membrane_gradient_skips_neurons_that_just_fired() -> None:
    current = torch.tensor([[0.8, 2.0]], dtype=torch.float64, requires_grad=True)
    _, membrane = run(current)
    (grad,) = torch.autograd.grad(membrane.sum(), current)
    assert grad.flatten().tolist() == [0.5, 0.0]


def test_layer_normalises_each_step_on_its_own_batch() -> None:
    torch.manual_seed(0)
    layer = ConvNormLIF(2, 3, neuron=LIFParameters())
    sequence = torch.randn(4, 5, 2, 6, 6)
    spikes, membrane = layer(sequence, membrane=True)

    reference = torch.nn.BatchNorm2d(3)
    currents = torch.stack([reference(layer.conv(step)) for step in sequence])
    expected = lif(currents, tau=2.0, threshold=0.5, surrogate=QGate())
    torch.testing.assert_close(spikes, expected.spikes)
    torch.testing.assert_close(membrane, expected.membrane)
    torch.testing.assert_close(layer.norm.running_mean, reference.running_mean)
    torch.testing.assert_close(layer.norm.running_var, reference.running_var)
    assert layer.norm.num_batches_tracked == 4


def test_linear_layer_keeps_no_membrane_unless_asked() -> None:
    layer = LinearNormLIF(6, 3, neuron=LIFParameters()).eval()
    sequence = torch.randn(4, 1, 6)
    assert layer(sequence).membrane is None
    with_membrane = layer(sequence, membrane=True)
    assert with_membrane.membrane.shape == with_membrane.spikes.shape == (4, 1, 3)


def test_average_pool_drops_the_odd_border() -> None:
    sequence = torch.arange(9.0).view(1, 1, 1, 3, 3)
    assert average_pool(sequence).flatten().tolist() == [2.0]


def test_backend_auto_is_torch_and_others_are_refused() -> None:
    assert resolve_backend("auto") == resolve_backend("torch") == "torch"
    with pytest.raises(UsageError, match=r"unknown backend 'triton', known: auto, torch"):
        resolve_backend("triton")


def test_unknown_surrogate_names_the_nearest() -> None:
    assert create_surrogate("qgate", alpha=3.0) == QGate(3.0)
    with pytest.raises(UsageError, match=r"unknown surrogate 'qgat'.*did you mean 'qgate'"):
        create_surrogate("qgat")


@pytest.mark.parametrize(
    ("tau", "threshold", "message"),
    [(0.5, 0.5, "tau is 0.5"), (2.0, 0.0, "threshold is 0.0"), (float("nan"), 0.5, "tau is nan")],
)
def test_impossible_neurons_are_refused(tau: float, threshold: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LIFParameters(tau=tau, threshold=threshold)


def test_impossible_surrogate_is_refused() -> None:
    with pytest.raises(UsageError, match="alpha is -1"):
        QGate(-1.0)
