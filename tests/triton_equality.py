"""The kernels against the neurons' definition: run by ``test_triton_backend.py``.

On the CPU these need ``TRITON_INTERPRET=1`` before Triton is imported, so they run in a process
of their own; without it they compute on CUDA. Sizes are no multiples of a tile.
"""

import itertools
import os
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntx.errors import UsageError
from snntx.train.backends import triton_backend
from snntx.train.backends.interface import Affine, Fired, Gradients, Normalised, Population
from snntx.train.neurons import Dynamics, Trace, run_neurons
from snntx.train.surrogates import SURROGATES, Surrogate
from torch import Tensor
from torch.nn import functional

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
DYNAMICS = [Dynamics(*each) for each in itertools.product((True, False), repeat=3)]
GRADIENT_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 2**-10}


class Case(NamedTuple):
    """One layer: its shape, order and type, its norm (of G groups) and its neurons."""

    steps: int = 5
    batch: int = 2
    channels: int = 5
    height: int = 7
    columns: int = 9
    last: bool = True
    dtype: torch.dtype = torch.float32
    norm: str = "batch"
    shared: bool = False
    pool: int = 1
    tau: float = 2.0
    threshold: float = 0.5
    dynamics: Dynamics = Dynamics()
    surrogate: Surrogate = SURROGATES["qgate"]()
    membrane: bool = True

    @property
    def groups(self) -> int:
        """Return G."""
        return 1 if self.shared else self.steps


class Layer(NamedTuple):
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


def order(tensor: Tensor, last: bool) -> Tensor:
    """Return ``(T, B, C, H, W)`` in channels-last order, or contiguous."""
    if not last:
        return tensor.contiguous()
    return tensor.movedim(2, -1).contiguous().movedim(-1, 2)


def layer(case: Case) -> Layer:
    """Return random inputs."""
    draw = torch.Generator().manual_seed(11)
    shape = (case.steps, case.batch, case.channels, case.height, case.columns)
    pooled = (*shape[:3], case.height // case.pool, case.columns // case.pool)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=draw).to(DEVICE)

    per_channel = (case.groups, 1, case.channels, 1, 1)
    return Layer(
        order(normal(*shape).to(case.dtype), case.last),
        normal(case.channels).abs() + 0.5,
        normal(case.channels),
        normal(*per_channel),
        normal(*per_channel).square() + 0.5,
        order(normal(*pooled).abs().to(case.dtype), case.last),
        order(normal(*shape).abs(), case.last),
    )


def define(case: Case, given: Layer, dtype: torch.dtype) -> Run:
    """Compute a case step by step, in float32 or, for its gradients, in float64."""
    leaves = {
        "current": given.current.to(dtype),
        "weight": given.weight.to(dtype),
        "bias": given.bias.to(dtype),
        "leak": torch.tensor(1 / case.tau, dtype=torch.float32, device=DEVICE).to(dtype),
        "threshold": torch.tensor(case.threshold, dtype=torch.float32, device=DEVICE).to(dtype),
    }
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in leaves.items()}
    current = y = leaves["current"]
    over = (0, 1, 3, 4) if case.shared else (1, 3, 4)
    mean, variance = given.mean.to(dtype), given.variance.to(dtype)
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
    if case.pool > 1:
        values = functional.avg_pool2d(values.flatten(0, 1), case.pool)
        values = values.unflatten(0, (case.steps, case.batch))
    loss = (values * given.grad_values.to(dtype)).sum()
    if case.membrane:
        loss = loss + (trace.membrane * given.grad_membrane.to(dtype)).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    shape = (case.groups, case.channels)
    rows = [each.detach().reshape(shape).float() for each in (scale, shift, mean, rstd)]
    return Run(
        values.detach(),
        trace.membrane.detach(),
        dict(zip(leaves, gradients, strict=True)),
        Affine(rows[0], rows[1]),
        Normalised(rows[2], rows[3], given.weight, case.norm == "batch"),
    )


def fused(case: Case, given: Layer, run: Run) -> tuple[Fired, Gradients]:
    """Compute a case with the kernels."""
    leak = torch.tensor(1 / case.tau, device=DEVICE, requires_grad=True)
    threshold = torch.tensor(case.threshold, device=DEVICE, requires_grad=True)
    alpha, code = case.surrogate.alpha, case.surrogate.code
    population = Population(leak, threshold, case.dynamics, code, alpha)
    affine = None if case.norm == "none" else run.affine
    normalised = None if case.norm == "none" else run.normalised
    fired = triton_backend.forward(
        given.current, affine, population, pool=case.pool, membrane=case.membrane
    )
    gradients = triton_backend.backward(
        given.grad_values,
        given.grad_membrane if case.membrane else None,
        given.current,
        affine,
        normalised,
        population,
        pool=case.pool,
    )
    return fired, gradients


def check(case: Case) -> None:
    """Compare the kernels with the definition."""
    given = layer(case)
    run, exact = define(case, given, torch.float32), define(case, given, torch.float64)
    fired, gradients = fused(case, given, run)
    assert torch.equal(fired.values, run.values.to(case.dtype))
    assert torch.equal(fired.codes, (run.values * case.pool**2).round().to(torch.uint8))
    assert fired.values.dtype == case.dtype
    assert fired.codes.stride() == fired.values.stride()
    if case.membrane:
        assert torch.equal(fired.membrane, run.membrane)
        assert fired.membrane.stride() == given.current.stride()
    assert gradients.current.dtype == case.dtype
    assert gradients.current.stride() == given.current.stride()
    # spikes that rounding tips over make another gradient: not what is compared here
    assert torch.equal(exact.values.float(), run.values)
    for name, expected in exact.gradients.items():
        got = getattr(gradients, name).double()
        tolerance = GRADIENT_TOLERANCE[case.dtype] if name == "current" else 1e-5
        assert got.shape == expected.shape, name
        assert (got - expected).abs().max() <= tolerance * expected.abs().max(), name
