"""The CPU backend against the readable neurons: spikes bit for bit, gradients to 1e-5."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from snntx.train.network.backends import numba_fused as numba_backend
from snntx.train.network.backends.interface import Affine, Arrived, Layer, Normalised, Population
from snntx.train.network.backends.operators import norm_neuron
from snntx.train.network.doors import SURROGATES
from snntx.train.network.neurons import LIF, Dynamics, run_neurons
from snntx.train.network.surrogates import QGate, Surrogate, create_surrogate

EPSILON = 1e-5


class Case(NamedTuple):
    """One layer's call."""

    shape: tuple[int, int, int, int, int] = (5, 3, 7, 6, 5)
    norm: str = "per-step"
    dynamics: Dynamics = LIF
    surrogate: Surrogate = QGate()
    tau: float = 2.0
    threshold: float = 0.5
    pool: int = 1
    membrane: bool = True
    channels_last: bool = True
    dtype: torch.dtype = torch.float32
    seed: int = 0


def make(case: Case) -> dict[str, Tensor]:
    """Current, weight, bias, leak, threshold and the gradients that arrive."""
    draw = torch.Generator().manual_seed(case.seed)
    steps, batch, channels, height, width = case.shape
    current = 1.5 * torch.randn(case.shape, generator=draw) + 0.5
    if case.channels_last:
        flat = current.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        current = flat.view(case.shape)
    pooled = (steps, batch, channels, height // case.pool, width // case.pool)
    made = {
        "current": current.to(case.dtype),
        "weight": 1 + 0.2 * torch.randn(channels, generator=draw),
        "bias": 0.3 + 0.1 * torch.randn(channels, generator=draw),
        "leak": torch.tensor(1 / case.tau),
        "threshold": torch.tensor(case.threshold),
    }
    made = {name: value.detach().requires_grad_() for name, value in made.items()}
    made["grad_values"] = torch.randn(pooled, generator=draw).to(case.dtype)
    made["grad_membrane"] = torch.randn(case.shape, generator=draw)
    return made


def backward(
    case: Case, made: dict[str, Tensor], values: Tensor, membrane: Tensor
) -> dict[str, Tensor]:
    outputs, grads = [values], [made["grad_values"].to(values.dtype)]
    if case.membrane:
        outputs, grads = [*outputs, membrane], [*grads, made["grad_membrane"].to(membrane.dtype)]
    names = ["current", "leak", "threshold"]
    names += ["weight", "bias"] if case.norm != "none" else []
    found = torch.autograd.grad(outputs, [made[name] for name in names], grads, allow_unused=True)
    none = torch.zeros(())
    return {n: none if g is None else g for n, g in zip(names, found, strict=True)}


def contract(case: Case, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The same by plain PyTorch, computed in ``dtype``."""
    made = make(case)
    current, leak, threshold, weight, bias = (
        made[name].to(dtype) for name in ("current", "leak", "threshold", "weight", "bias")
    )
    if case.norm != "none":
        over = (0, 1, 3, 4) if case.norm == "merged" else (1, 3, 4)
        if case.norm == "given":
            mean, variance = (x.to(dtype) for x in given_statistics(case))
        else:
            variance, mean = torch.var_mean(current.double(), over, correction=0, keepdim=True)
            mean, variance = (x[:, 0, :, 0, 0].to(dtype) for x in (mean, variance))
        scale = weight * (variance + EPSILON).rsqrt()
        shift = bias - mean * scale
        current = current * scale[:, None, :, None, None] + shift[:, None, :, None, None]
    trace = run_neurons(
        current,
        leak=leak,
        threshold=threshold,
        surrogate=case.surrogate,
        dynamics=case.dynamics,
    )
    spikes = functional.avg_pool2d(trace.spikes.flatten(0, 1), case.pool)
    values = spikes.view(*case.shape[:2], *spikes.shape[1:])
    grads = backward(case, made, values, trace.membrane)
    return {"values": values.detach(), "membrane": trace.membrane.detach(), **grads}


def given_statistics(case: Case) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(case.seed + 1)
    channels = case.shape[2]
    mean = 0.5 + 0.1 * torch.randn((1, channels), generator=draw)
    return mean, 2 + torch.rand((1, channels), generator=draw)


def fused(case: Case) -> dict[str, Tensor]:
    made = make(case)
    normed = case.norm != "none"
    mean, variance = given_statistics(case) if case.norm == "given" else (None, None)
    out = norm_neuron(
        made["current"],
        made["weight"] if normed else None,
        made["bias"] if normed else None,
        mean,
        variance,
        made["leak"],
        made["threshold"],
        groups=case.shape[0] if case.norm == "per-step" else 1,
        epsilon=EPSILON,
        dynamics=case.dynamics,
        surrogate=case.surrogate,
        pool=case.pool,
        membrane=case.membrane,
        backend="numba",
    )
    assert out.codes.dtype == torch.uint8
    unit = 1 / case.pool**2
    assert torch.equal(out.codes.to(case.dtype) * unit, out.values.detach())
    grads = backward(case, made, out.values, out.membrane)
    return {"values": out.values.detach(), "membrane": out.membrane.detach(), **grads}


def check(case: Case, tolerance: float = 1e-5) -> None:
    expected, found = contract(case), fused(case)
    assert found["values"].dtype == found["current"].dtype == case.dtype
    torch.testing.assert_close(found["values"].float(), expected["values"], rtol=0, atol=0)
    if case.membrane:
        torch.testing.assert_close(found["membrane"], expected["membrane"], rtol=1e-5, atol=1e-6)
    exact = contract(case, torch.float64)
    if torch.equal(exact["values"].float(), expected["values"]):  # no spike hangs on rounding
        expected = exact  # whose sums of cancelling terms have lost nothing
    for name in expected.keys() - {"values", "membrane"}:
        largest = expected[name].abs().max().item()
        if name in ("leak", "threshold"):  # sums over everything, of either sign
            largest = max(largest, made_scale(case))
        torch.testing.assert_close(
            found[name].float(),
            expected[name].float(),
            rtol=0,
            atol=tolerance * max(largest, 0.1),  # where terms cancel, rounding is theirs
            msg=f"gradient of {name}",
        )


def made_scale(case: Case) -> float:
    """A bound of rounding in a sum over all neurons and steps."""
    return float(torch.tensor(case.shape).prod().sqrt())


DYNAMICS = [Dynamics(a, b, c) for a in (True, False) for b in (True, False) for c in (True, False)]


@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("surrogate", [create_surrogate(each) for each in SURROGATES.shipped()])
def test_every_neuron_and_surrogate(dynamics: Dynamics, surrogate: Surrogate) -> None:
    check(Case(dynamics=dynamics, surrogate=surrogate, pool=2, seed=3))


@pytest.mark.parametrize("norm", ["per-step", "merged", "given", "none"])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("membrane", [True, False])
def test_every_norm_and_order(norm: str, channels_last: bool, membrane: bool) -> None:
    check(Case(norm=norm, channels_last=channels_last, membrane=membrane))


SIZES = [
    (1, 1, 1, 1, 2),
    (1, 2, 3, 1, 1),
    (4, 9, 70, 1, 1),
    (2, 2, 33, 5, 3),
    (3, 2, 1500, 2, 3),
    (17, 1, 2, 9, 8),
    (2, 1, 1, 3, 1200),
]


@pytest.mark.parametrize(
    ("shape", "pool"),
    [(each, pool) for each in SIZES for pool in (1, 2, 3) if min(each[3:]) >= pool],
)
def test_sizes_that_fit_no_tile(shape: tuple[int, int, int, int, int], pool: int) -> None:
    check(Case(shape=shape, pool=pool))


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (6, 4, 20, 7, 7))),
    norm=st.sampled_from(["per-step", "merged", "given", "none"]),
    dynamics=st.sampled_from(DYNAMICS),
    tau=st.floats(1, 10),
    threshold=st.floats(0.1, 2),
    pool=st.integers(1, 2),
    seed=st.integers(0, 9),
)
@example(  # one channel, whose bias's gradient is a twentieth of its terms
    shape=(6, 1, 1, 1, 5),
    norm="per-step",
    dynamics=Dynamics(decay_input=False, soft_reset=False, detach_reset=False),
    tau=8.0,
    threshold=0.3125,
    pool=1,
    seed=0,
)
def test_any_layer(shape: Any, **options: Any) -> None:
    steps, batch, channels, height, width = shape
    # a norm of few values amplifies rounding without bound
    shape = (steps, batch + 3, channels, height + 1, width + 1)
    check(Case(shape=shape, **options))


@pytest.mark.parametrize("norm", ["per-step", "given", "none"])
def test_bfloat16_currents_and_float32_membranes(norm: str) -> None:
    check(Case(norm=norm, dtype=torch.bfloat16, pool=2, shape=(5, 3, 20, 8, 6)), tolerance=1e-2)


def test_no_result_depends_on_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    case = Case(shape=(4, 5, 40, 9, 9))
    try:
        torch.set_num_threads(1)
        alone = fused(case)
        torch.set_num_threads(2)
        both = fused(case)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(alone[name], both[name]) for name in alone)


def test_statistics_of_a_far_mean() -> None:
    current = 300 + 20 * torch.randn(3, 4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    for groups, over in ((3, (1, 3, 4)), (1, (0, 1, 3, 4))):
        mean, variance = numba_backend.statistics(current, groups)
        exact = torch.var_mean(current.double(), over, correction=0)
        torch.testing.assert_close(mean.double().squeeze(0), exact[1], rtol=1e-6, atol=0)
        torch.testing.assert_close(variance.double().squeeze(0), exact[0], rtol=1e-5, atol=0)


def test_gradients_of_values_alone_or_membranes_alone() -> None:
    made = make(Case())
    population = Population(made["leak"].detach(), made["threshold"].detach(), LIF, 0, 2.0)
    ones = torch.ones(5, 7)
    affine, normalised = Affine(ones, 0 * ones), Normalised(0 * ones, ones, ones[0], False)
    layer = Layer(made["current"], affine, population)
    values, membrane = made["grad_values"], made["grad_membrane"]
    both, one, other = (
        numba_backend.backward(layer, arrived, normalised).current
        for arrived in (
            Arrived(values, membrane),
            Arrived(values, None),
            Arrived(0 * values, membrane),
        )
    )
    torch.testing.assert_close(both, one + other)


@pytest.mark.parametrize("norm", ["per-step", "none"])
def test_the_operator_is_registered_whole(norm: str) -> None:
    case = Case(shape=(2, 3, 4, 4, 4), norm=norm)
    made = make(case)
    normed = norm != "none"
    torch.library.opcheck(
        torch.ops.snntx.norm_neuron.default,
        (
            made["current"],
            made["weight"] if normed else None,
            made["bias"] if normed else None,
            None,
            None,
            made["leak"],
            made["threshold"],
            2,
            EPSILON,
            *LIF,
            0,
            2.0,
            2,
            True,
            "numba",
        ),
    )
