"""Neurons against numbers worked out by hand: voltages, slopes and gradients.

The inputs are sums of powers of two, so that every number below is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.network.neurons import Neuron, Trace, neuron_step, neuron_steps, run_neurons
from snntx.train.network.surrogates import QGate


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1)


def run(
    neuron: Neuron,
    current: Tensor,
    *,
    leak: float | Tensor | None = None,
    threshold: float | Tensor | None = None,
) -> Trace:
    return run_neurons(
        current,
        leak=neuron.leak if leak is None else leak,
        threshold=neuron.threshold if threshold is None else threshold,
        surrogate=neuron.surrogate,
        dynamics=neuron.dynamics,
    )


# lif and plif, tau = 4: u = 3/4 m + 1/4 x
# lif-undecayed, tau = 2: u = 1/2 m + x
# if: u = m + x
TRACES = {
    ("lif", "hard"): (
        4.0,
        [1.0, 2.0, 0.5, 4.0, 0.0, -1.0],
        [0, 1, 0, 1, 0, 0],
        [0.25, 0.0, 0.125, 0.0, 0.0, -0.25],  # u = 0.25, 0.6875, 0.125, 1.09375, 0, -0.25
    ),
    ("lif", "soft"): (
        4.0,
        [1.0, 2.0, 0.5, 4.0, 0.0, -1.0],
        [0, 1, 0, 1, 1, 0],  # u = 0.25, 0.6875, 0.265625, 1.19921875, 0.5244140625, ...
        [0.25, 0.1875, 0.265625, 0.69921875, 0.0244140625, -0.231689453125],
    ),
    ("lif-undecayed", "hard"): (
        2.0,
        [0.25, 0.5, 0.125, 1.0, 0.0, -0.25],
        [0, 1, 0, 1, 0, 0],
        [0.25, 0.0, 0.125, 0.0, 0.0, -0.25],  # u = 0.25, 0.625, 0.125, 1.0625, 0, -0.25
    ),
    ("lif-undecayed", "soft"): (
        2.0,
        [0.25, 0.5, 0.125, 1.0, 0.0, -0.25],
        [0, 1, 0, 1, 0, 0],  # u = 0.25, 0.625, 0.1875, 1.09375, 0.296875, -0.1015625
        [0.25, 0.125, 0.1875, 0.59375, 0.296875, -0.1015625],
    ),
    ("if", "hard"): (
        2.0,
        [0.25, 0.25, 0.125, 0.5, 0.0, -0.25],
        [0, 0, 1, 0, 0, 0],  # u = 0.25, 0.5 (at the threshold), 0.625, 0.5, 0.5, 0.25
        [0.25, 0.5, 0.0, 0.5, 0.5, 0.25],
    ),
    ("if", "soft"): (
        2.0,
        [0.25, 0.25, 0.125, 0.5, 0.0, -0.25],
        [0, 0, 1, 1, 0, 0],  # u = 0.25, 0.5, 0.625, 0.625, 0.125, -0.125
        [0.25, 0.5, 0.125, 0.125, 0.125, -0.125],
    ),
}
TRACES |= {("plif", reset): TRACES["lif", reset] for reset in ("hard", "soft")}


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize(("kind", "reset"), TRACES)
def test_voltage_trace_by_hand(kind: str, reset: str, detach: bool) -> None:
    tau, current, spikes, membrane = TRACES[kind, reset]
    neuron = Neuron(kind=kind, tau=tau, reset=reset, detach_reset=detach)
    trace = run(neuron, column(current))
    assert trace.spikes.flatten().tolist() == spikes
    assert trace.membrane.flatten().tolist() == membrane


def test_published_neuron_by_hand() -> None:
    # tau = 2: u = (m + x) / 2.         u = 0.4, 0.5, 0.65 -> spike, 0.2, 0.8 -> spike, 0.0
    trace = run(Neuron(), column([0.8, 0.6, 0.8, 0.4, 1.4, 0.0]))
    assert trace.spikes.flatten().tolist() == [0, 0, 1, 0, 1, 0]
    expected = column([0.4, 0.5, 0.0, 0.2, 0.0, 0.0])
    torch.testing.assert_close(trace.membrane, expected, rtol=0, atol=1e-15)


def test_membrane_at_the_threshold_stays_silent() -> None:
    spikes, membrane = run(Neuron(), torch.tensor([[1.0], [0.5]]))
    assert spikes.flatten().tolist() == [0, 0]
    assert membrane.flatten().tolist() == [0.5, 0.5]


def test_time_constant_of_one_step_forgets_everything() -> None:
    trace = run(Neuron(tau=1.0), column([0.5, 0.25, 1.0, 0.25]))
    assert trace.spikes.flatten().tolist() == [0, 0, 1, 0]
    assert trace.membrane.flatten().tolist() == [0.5, 0.25, 0.0, 0.25]


def test_threshold_is_where_it_fires_and_what_a_soft_reset_takes() -> None:
    trace = run(Neuron(kind="if", threshold=2.0, reset="soft"), column([1.5, 1.5, 1.0, 0.25]))
    assert trace.spikes.flatten().tolist() == [0, 1, 0, 1]
    assert trace.membrane.flatten().tolist() == [1.5, 1.0, 2.0, 0.25]


def test_every_neuron_of_a_population_runs_by_itself() -> None:
    source = torch.Generator().manual_seed(0)
    current = torch.randn(5, 2, 3, 4, 2, generator=source, dtype=torch.float64) * 2
    spikes, membrane = run(Neuron(), current)
    assert spikes.shape == membrane.shape == current.shape
    alone = run(Neuron(), current[:, 1:, 2, 3, 0])
    assert torch.equal(spikes[:, 1:, 2, 3, 0], alone.spikes)
    assert torch.equal(membrane[:, 1:, 2, 3, 0], alone.membrane)


def test_one_step_from_a_charged_membrane() -> None:
    spikes, membrane = neuron_step(
        torch.tensor([0.75, 0.25]),
        torch.tensor([0.375, 0.375]),
        leak=0.5,
        threshold=0.5,
        surrogate=QGate(),
    )
    assert spikes.tolist() == [1, 0]
    assert membrane.tolist() == [0.0, 0.3125]


def test_steps_draw_their_currents_on_demand() -> None:
    drawn: list[int] = []

    def currents() -> Iterator[Tensor]:
        for step in range(3):
            drawn.append(step)
            yield torch.ones(1)

    steps = neuron_steps(currents(), leak=0.5, threshold=0.5, surrogate=QGate())
    next(steps)
    assert drawn == [0]


# Two steps, threshold 1/2, slope f(v) = 2 - 4|v|. The first fires: u1 = 5/8, f1 = 3/2. The
# second does not: u2 = 3/8, f2 = 3/2. With u = a m + b x the chain is, for g = dm1/du1,
#   ds2/dx2 = f2 b                ds2/dx1 = f2 a g b
#   hard:  m = u (1 - s)          g = 0,  not detached  -u1 f1         = -15/16
#   soft:  m = u - s / 2          g = 1,  not detached  1 - f1 / 2     =   1/4
# A threshold moves m1 by q = dm1/dθ and both distances: ds2/dθ = f2 (a q - 1), with
#   hard:  q = 0,   not detached  u1 f1      = 15/16
#   soft:  q = -1,  not detached  -1 + f1/2  = -1/4
CASES = {  # kind, reset, detached: x1, x2, ds2/dx1, ds2/dx2, ds2/dθ
    ("lif", "hard", True): (1.25, 0.75, 0.0, 0.75, -1.5),
    ("lif", "hard", False): (1.25, 0.75, -0.3515625, 0.75, -0.796875),
    ("lif", "soft", True): (1.25, 0.625, 0.375, 0.75, -2.25),
    ("lif", "soft", False): (1.25, 0.625, 0.09375, 0.75, -1.6875),
    ("lif-undecayed", "hard", True): (0.625, 0.375, 0.0, 1.5, -1.5),
    ("lif-undecayed", "hard", False): (0.625, 0.375, -0.703125, 1.5, -0.796875),
    ("lif-undecayed", "soft", True): (0.625, 0.3125, 0.75, 1.5, -2.25),
    ("lif-undecayed", "soft", False): (0.625, 0.3125, 0.1875, 1.5, -1.6875),
    ("if", "hard", True): (0.625, 0.375, 0.0, 1.5, -1.5),
    ("if", "hard", False): (0.625, 0.375, -1.40625, 1.5, -0.09375),
    ("if", "soft", True): (0.625, 0.25, 1.5, 1.5, -3.0),
    ("if", "soft", False): (0.625, 0.25, 0.375, 1.5, -1.875),
}
CASES |= {("plif", *key[1:]): case for key, case in CASES.items() if key[0] == "lif"}


@pytest.mark.parametrize(("kind", "reset", "detach"), CASES)
def test_gradient_of_a_spike_by_hand(kind: str, reset: str, detach: bool) -> None:
    first, second, *expected = CASES[kind, reset, detach]
    neuron = Neuron(kind=kind, reset=reset, detach_reset=detach)
    current = column([first, second]).requires_grad_()
    threshold = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    spikes, _ = run(neuron, current, threshold=threshold)
    assert spikes.flatten().tolist() == [1, 0]
    by_current, by_threshold = torch.autograd.grad(spikes[1].sum(), [current, threshold])
    assert [*by_current.flatten().tolist(), by_threshold.item()] == expected


@pytest.mark.parametrize(
    ("reset", "detach", "expected"),
    [  # dm2/dx = b g2 (a g1, 1) with a = b = 1/2 and g2 = dm2/du2
        ("hard", True, [0.0, 0.5]),  # g2 = 1
        ("hard", False, [-0.1025390625, 0.21875]),  # g2 = 1 - u2 f2 = 7/16
        ("soft", True, [0.25, 0.5]),  # g2 = 1
        ("soft", False, [0.015625, 0.125]),  # g2 = 1 - f2 / 2 = 1/4
    ],
)
def test_gradient_of_a_membrane_by_hand(reset: str, detach: bool, expected: list[float]) -> None:
    first, second, *_ = CASES["lif", reset, detach]
    current = column([first, second]).requires_grad_()
    _, membrane = run(Neuron(reset=reset, detach_reset=detach), current)
    (grad,) = torch.autograd.grad(membrane[1].sum(), current)
    assert grad.flatten().tolist() == expected


@pytest.mark.parametrize(
    ("reset", "detach", "expected"),
    [  # du2/dk = (x2 - m1) + (1 - k) g du1/dk, du1/dk = x1; ds2/dk = f2 du2/dk; dk/dw = k (1 - k)
        ("hard", True, 1.5 * 0.75 / 4),
        ("hard", False, 1.5 * (0.75 - 0.5859375) / 4),
        ("soft", True, 1.5 * (0.5 + 0.625) / 4),
        ("soft", False, 1.5 * (0.5 + 0.15625) / 4),
    ],
)
def test_gradient_of_a_learnable_leak_by_hand(reset: str, detach: bool, expected: float) -> None:
    first, second, *_ = CASES["plif", reset, detach]
    neuron = Neuron(kind="plif", reset=reset, detach_reset=detach)
    logit = torch.tensor(neuron.leak_logit, dtype=torch.float64, requires_grad=True)
    spikes, _ = run(neuron, column([first, second]), leak=torch.sigmoid(logit))
    (grad,) = torch.autograd.grad(spikes[1].sum(), logit)
    assert grad.item() == expected


def test_gradient_passes_silent_steps_and_stops_at_the_reset() -> None:
    # u = 0.4, 0.6 (spike), 0.3; slopes 2 - 4|v| = 1.6, 1.6, 1.2.
    current = column([0.8, 0.8, 0.6]).requires_grad_()
    spikes, membrane = run(Neuron(), current)
    assert spikes.flatten().tolist() == [0, 1, 0]

    # ds2/dx2 = 1.6/2; ds2/dx1 = 1.6 * du2/dm1 * dm1/dx1 = 1.6/2/2; step 3 comes later.
    (grad,) = torch.autograd.grad(spikes[1].sum(), current, retain_graph=True)
    torch.testing.assert_close(grad, column([0.4, 0.8, 0.0]))

    # The reset's spike is detached, so m3 = u3 sees x3 alone: attached, m2 = u2 (1 - s2)
    # would add -u2 ds2/dx2 = -0.6 * 0.8 and reach x1 and x2.
    (grad,) = torch.autograd.grad(membrane[2].sum(), current)
    torch.testing.assert_close(grad, column([0.0, 0.0, 0.5]))


def test_membrane_gradient_skips_neurons_that_just_fired() -> None:
    current = torch.tensor([[0.8, 2.0]], dtype=torch.float64, requires_grad=True)
    _, membrane = run(Neuron(), current)
    (grad,) = torch.autograd.grad(membrane.sum(), current)
    assert grad.flatten().tolist() == [0.5, 0.0]


@pytest.mark.parametrize("tau", [1.5, 2.0, 20.0])
def test_learnable_leak_starts_at_the_time_constant(tau: float) -> None:
    neuron = Neuron(kind="plif", tau=tau)
    assert neuron.leak == 1 / tau
    assert 1 / (1 + math.exp(-neuron.leak_logit)) == pytest.approx(1 / tau, rel=1e-15)
    assert Neuron(kind="if", tau=tau).leak == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0.5}, "neuron: tau is 0.5, expected 1 step or more"),
        ({"tau": math.nan}, "tau is nan"),
        ({"tau": math.inf}, "tau is inf"),
        ({"kind": "plif", "tau": 1.0}, r"tau is 1\.0, expected more than 1 step"),
        ({"threshold": 0.0}, "neuron: threshold is 0.0, expected a positive number"),
        ({"threshold": -0.5}, "threshold is -0.5"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"threshold": math.inf}, "threshold is inf"),
        (
            {"kind": "plf"},
            "unknown kind 'plf', known: lif, plif, lif-undecayed, if, relu; did you mean 'plif'",
        ),
        ({"reset": "sot"}, "unknown reset 'sot', known: hard, soft; did you mean 'soft'"),
    ],
)
def test_impossible_neurons_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Neuron(**options)
