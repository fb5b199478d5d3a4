"""The kernels against the neurons' definition: run by ``test_triton_fused.py``.

On the CPU these need ``TRITON_INTERPRET=1`` before Triton is imported, so they run in a process
of their own; without it they compute on CUDA. Sizes are no multiples of a tile.
"""

import itertools
import os
import random
from typing import NamedTuple

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from snntx.train.network.backends import triton_fused as triton_backend
from snntx.train.network.backends.interface import (
    Affine,
    Arrived,
    Fired,
    Gradients,
    Layer,
    Normalised,
    Population,
)
from snntx.train.network.backends.order import dense, is_channels_last
from snntx.train.network.doors import SURROGATES
from snntx.train.network.neurons import Dynamics, Trace, run_neurons
from snntx.train.network.surrogates import QGate, Surrogate, create_surrogate

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
DYNAMICS = [Dynamics(*each) for each in itertools.product((True, False), repeat=3)]
GRADIENT_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 2**-10}


class Case(NamedTuple):
    """One layer: its shape, order and type, its norm (of G groups) and its neurons."""

    steps: int = 5
    batch: int = 2
    channels: int = 5
    height: int = 5
    columns: int = 7
    last: bool = True
    dtype: torch.dtype = torch.float32
    norm: str = "batch"
    shared: bool = False
    pool: int = 1
    tau: float = 2.0
    threshold: float = 0.5
    dynamics: Dynamics = Dynamics()
    surrogate: Surrogate = QGate()
    membrane: bool = True

    @property
    def groups(self) -> int:
        """Return G."""
        return 1 if self.shared else self.steps


class Inputs(NamedTuple):
    """Inputs of a case: current, weight, bias, mean and variance, what comes back."""

    current: Tensor
    weight: Tensor
    bias: Tensor
    mean: Tensor
    variance: Tensor
    grad_values: Tensor
    grad_membrane: Tensor


class Run(NamedTuple):
    """What the definition gives: pooled spikes, membranes, gradients by name."""

    values: Tensor
    membrane: Tensor
    gradients: dict[str, Tensor]
    affine: Affine
    normalised: Normalised


def draw(case: Case) -> Inputs:
    """Return random inputs."""
    source = torch.Generator().manual_seed(11)
    shape = (case.steps, case.batch, case.channels, case.height, case.columns)
    pooled = (*shape[:3], case.height // case.pool, case.columns // case.pool)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=source).to(DEVICE)

    per_channel = (case.groups, 1, case.channels, 1, 1)
    return Inputs(
        dense(normal(*shape).to(case.dtype), last=case.last),
        normal(case.channels).abs() + 0.5,
        normal(case.channels),
        normal(*per_channel),
        normal(*per_channel).square() + 0.5,
        dense(normal(*pooled).abs().to(case.dtype), last=case.last),
        dense(normal(*shape).abs(), last=case.last),
    )


def define(case: Case, inputs: Inputs, dtype: torch.dtype) -> Run:
    """Compute a case step by step, in float32 or, for its gradients, in float64."""
    leaves = {
        "current": inputs.current.to(dtype),
        "weight": inputs.weight.to(dtype),
        "bias": inputs.bias.to(dtype),
        "leak": torch.tensor(1 / case.tau, dtype=torch.float32, device=DEVICE).to(dtype),
        "threshold": torch.tensor(case.threshold, dtype=torch.float32, device=DEVICE).to(dtype),
    }
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in leaves.items()}
    current = y = leaves["current"]
    over = (0, 1, 3, 4) if case.shared else (1, 3, 4)
    mean, variance = inputs.mean.to(dtype), inputs.variance.to(dtype)
    if case.norm == "batch":
        mean = current.mean(over, keepdim=True)
        variance = (current - mean).square().mean(over, keepdim=True)
    rstd = (variance + 1e-5).rsqrt()
    scale = leaves["weight"][:, None, None] * rstd
    shift = leaves["bias"][:, None, None] - mean * scale
    if case.norm != "none":
        y = current * scale + shift
    else:
        del leaves["weight"], leaves["bias"]
    trace: Trace = run_neurons(
        y,
        leak=leaves["leak"],
        threshold=leaves["threshold"],
        surrogate=case.surrogate,
        dynamics=case.dynamics,
    )
    values = trace.spikes
    if case.pool > min(case.height, case.columns):
        values = values[..., : case.height // case.pool, : case.columns // case.pool]
    elif case.pool > 1:
        values = functional.avg_pool2d(values.flatten(0, 1), case.pool)
        values = values.view(case.steps, case.batch, *values.shape[1:])
    loss = (values * inputs.grad_values.to(dtype)).sum()
    if case.membrane:
        loss = loss + (trace.membrane * inputs.grad_membrane.to(dtype)).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    shape = (case.groups, case.channels)
    rows = [each.detach().reshape(shape).float() for each in (scale, shift, mean, rstd)]
    return Run(
        values.detach(),
        trace.membrane.detach(),
        dict(zip(leaves, gradients, strict=True)),
        Affine(rows[0], rows[1]),
        Normalised(rows[2], rows[3], inputs.weight, case.norm == "batch"),
    )


def fused(case: Case, inputs: Inputs, run: Run) -> tuple[Fired, Gradients]:
    """Compute a case with the kernels."""
    leak = torch.tensor(1 / case.tau, device=DEVICE, requires_grad=True)
    threshold = torch.tensor(case.threshold, device=DEVICE, requires_grad=True)
    alpha, code = case.surrogate.alpha, case.surrogate.code
    assert code is not None
    population = Population(leak, threshold, case.dynamics, code, alpha)
    affine = None if case.norm == "none" else run.affine
    normalised = None if case.norm == "none" else run.normalised
    layer = Layer(inputs.current, affine, population, case.pool)
    arrived = Arrived(inputs.grad_values, inputs.grad_membrane if case.membrane else None)
    fired = triton_backend.forward(layer, membrane=case.membrane)
    return fired, triton_backend.backward(layer, arrived, normalised)


def check(case: Case) -> None:
    """Compare the kernels with the definition."""
    inputs = draw(case)
    run, exact = define(case, inputs, torch.float32), define(case, inputs, torch.float64)
    fired, gradients = fused(case, inputs, run)
    # Triton's interpreter cuts bfloat16 off instead of rounding, where ninths are inexact
    slack = 2**-7 if case.dtype == torch.bfloat16 and case.pool == 3 else 0
    assert torch.allclose(fired.values.float(), run.values, rtol=slack, atol=0)
    assert torch.equal(fired.codes, (run.values * case.pool**2).round().to(torch.uint8))
    assert fired.values.dtype == case.dtype
    assert fired.codes.stride() == fired.values.stride()
    if case.membrane:
        assert torch.equal(fired.membrane, run.membrane)
        assert is_channels_last(fired.membrane) == is_channels_last(inputs.current)
    assert gradients.current.dtype == case.dtype
    assert is_channels_last(gradients.current) == is_channels_last(inputs.current)
    # a spike that float64 tips over makes another gradient
    exact = exact if torch.equal(exact.values.float(), run.values) else run
    for name, expected in exact.gradients.items():
        got = getattr(gradients, name)
        tolerance = GRADIENT_TOLERANCE[case.dtype] if name == "current" else 1e-5
        assert got.shape == expected.shape, name
        assert (got - expected).abs().max() <= tolerance * expected.abs().max(), name


def cover() -> list[Case]:
    """Return cases in which every option meets several others, at little cost."""
    draw = random.Random(3)
    return [
        Case(
            steps=draw.choice((1, 2, 5)),
            last=draw.random() < 0.5,
            norm=draw.choice(("none", "given", "batch", "batch")),
            shared=draw.random() < 0.5,
            pool=draw.choice((1, 2, 3)),
            tau=draw.choice((1.0, 2.0, 4.0)),
            threshold=draw.choice((0.3, 0.5, 1.0)),
            dynamics=dynamics,
            surrogate=create_surrogate(name, alpha=1.5),
            membrane=draw.random() < 0.7,
        )
        for dynamics, name in zip(2 * DYNAMICS, 3 * SURROGATES.shipped(), strict=False)
    ]


@pytest.mark.parametrize("case", cover(), ids=str)
def test_equals_the_definition(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("last", "pool"), [(True, 2), (False, 1)])
def test_half_precision_keeps_float32_membranes(dtype: torch.dtype, last: bool, pool: int) -> None:
    check(Case(steps=3, dtype=dtype, last=last, pool=pool))


@pytest.mark.parametrize(
    ("steps", "dtype"), [(25, torch.float32), (8, torch.bfloat16), (13, torch.bfloat16)]
)
def test_long_sequences_go_back_in_spans(steps: int, dtype: torch.dtype) -> None:
    check(Case(steps=steps, batch=1, height=3, columns=3, dtype=dtype, norm="given"))


@pytest.mark.parametrize("last", [True, False])
def test_sizes_beyond_one_tile(last: bool) -> None:
    check(Case(steps=2, channels=17, height=5, columns=15, last=last, pool=2))


def test_a_layer_without_pixels() -> None:
    check(Case(steps=2, batch=33, channels=21, height=1, columns=1))


def test_windows_larger_than_the_layer_give_nothing() -> None:
    check(Case(steps=2, height=2, columns=3, pool=4))


def test_gradients_come_with_any_strides() -> None:
    case = Case(steps=2, pool=2)
    inputs = draw(case)
    run = define(case, inputs, torch.float32)
    _, whole = fused(case, inputs, run)
    turned = inputs._replace(
        grad_values=dense(inputs.grad_values, last=False),
        grad_membrane=inputs.grad_membrane.transpose(3, 4).contiguous().transpose(3, 4),
    )
    _, strided = fused(case, turned, run)
    assert all(map(torch.equal, whole, strided))


@pytest.mark.slow
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("name", SURROGATES.shipped())
@pytest.mark.parametrize("dynamics", DYNAMICS, ids=str)
def test_every_surrogate_and_reset(dynamics: Dynamics, name: str, last: bool) -> None:
    check(Case(steps=3, batch=1, dynamics=dynamics, surrogate=create_surrogate(name), last=last))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    case=st.builds(
        Case,
        steps=st.sampled_from((1, 2, 5, 14)),
        batch=st.integers(1, 3),
        channels=st.integers(1, 20),
        height=st.integers(1, 9),
        columns=st.integers(1, 9),
        last=st.booleans(),
        dtype=st.sampled_from((torch.float32, torch.bfloat16)),
        norm=st.sampled_from(("none", "given")),
        shared=st.booleans(),
        pool=st.sampled_from((1, 2, 3)),
        tau=st.floats(1, 8, width=32),
        threshold=st.floats(0.125, 2, width=32),
        dynamics=st.sampled_from(DYNAMICS),
        surrogate=st.sampled_from(
            [create_surrogate(name) for name in ("qgate", "atan", "sigmoid")]
        ),
    )
)
def test_any_layer(case: Case) -> None:
    check(case)
