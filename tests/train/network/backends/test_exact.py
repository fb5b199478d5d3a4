"""Layers in float64: the compiled loops against the readable path, gradients included."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.tests import asa_golden as golden
from snntx.train.network.layers import SpikingConv2d, SpikingPopulation
from snntx.train.network.neurons import Neuron
from snntx.train.network.surrogates import create_surrogate

PLIF = Neuron(
    kind="plif",
    threshold=1.0,
    detach_reset=False,
    learn_threshold=True,
    surrogate=create_surrogate("atan"),
    fires="at",
)
UNDECAYED = golden.LIF
RESTING = Neuron(
    kind="lif-undecayed",
    tau=1 / 0.6,
    detach_reset=False,
    learn_threshold=True,
    surrogate=create_surrogate("sigmoid"),
    rest=0.1,
    offset=0.05,
)
MEMBRANE = Neuron(kind="lif-undecayed", tau=1 / 0.7, threshold=0.3, sends="membrane")
EXCESS = Neuron(
    kind="plif",
    reset="soft",
    threshold=0.3,
    detach_reset=False,
    learn_threshold=True,
    sends="excess",
)
LAYERS: tuple[dict[str, Any], ...] = (
    {"norm": "merged"},
    {"norm": "per-step", "pool": 2},
    {"norm": "merged", "pool_before": 2, "bias": True},
    {"norm": "none", "pool": 3},
)


def results(neuron: Neuron, layer: dict[str, Any], backend: str) -> list[Tensor]:
    """What a layer sends and keeps, and every gradient."""
    torch.manual_seed(1)
    made = SpikingConv2d(3, 5, neuron=neuron, backend=backend, **layer).double()
    if neuron.kind == "plif":
        made.leak_logit.data.fill_(0.3)
    frames = (torch.randn(6, 2, 3, 7, 7, dtype=torch.float64) * 2).requires_grad_()
    out = made(frames, membrane=True)
    assert out.membrane is not None
    parts = out.spikes, out.membrane
    torch.autograd.backward(parts, [torch.randn(part.shape, dtype=part.dtype) for part in parts])
    assert frames.grad is not None
    grads = [each.grad for each in made.parameters()]
    assert all(each is not None for each in grads)
    return [*parts, frames.grad, *(each for each in grads if each is not None)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda each: "-".join(map(str, each.values())))
@pytest.mark.parametrize(
    "neuron", [Neuron(), PLIF, UNDECAYED, RESTING, MEMBRANE, EXCESS], ids=lambda each: each.kind
)
def test_compiled_loops_compute_float64_as_the_readable_path_does(
    neuron: Neuron, layer: dict[str, Any]
) -> None:
    pairs = zip(results(neuron, layer, "torch"), results(neuron, layer, "numba"), strict=True)
    for exact, found in pairs:
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("neuron", [RESTING, MEMBRANE, EXCESS], ids=lambda each: each.sends)
def test_graded_neurons_compute_other_types_as_the_readable_path_does(
    neuron: Neuron, dtype: torch.dtype
) -> None:
    sent = []
    for backend in ("torch", "numba"):
        torch.manual_seed(2)
        made = SpikingPopulation(3, neuron=neuron, norm="none", backend=backend)
        currents = torch.randn(5, 2, 3, 6, 6).to(dtype).requires_grad_()
        out = made(currents).spikes
        out.sum().backward()
        assert currents.grad is not None
        sent.append((out, currents.grad))
    for exact, found in zip(*sent, strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found, exact)
