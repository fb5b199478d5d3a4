"""Normalisation of sequences: running statistics, and stages that are run again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from snntx.train.network.layers import SpikingConv2d, SpikingPopulation
from snntx.train.network.neurons import Neuron
from snntx.train.network.norm import StepNorm
from snntx.train.network.recompute import run_stage

STEPS = 4
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def images() -> Tensor:
    return torch.randn(STEPS, 5, 2, 7, 6, generator=torch.Generator().manual_seed(0))


# Two steps of two samples: 1, 3 (mean 2, variance 2), then 2, 8 (mean 5, variance 18);
# together mean 7/2, variance 29/3. Every variance is unbiased.
@both_backends
@pytest.mark.parametrize(
    ("norm", "mean", "variance", "batches"),
    [
        ("per-step", 0.9 * 0.2 + 0.5, 0.9 * (0.9 + 0.2) + 1.8, 2),
        ("merged", 0.35, 0.9 + 0.1 * 29 / 3, 1),
    ],
)
def test_running_statistics_by_hand(
    backend: str, norm: str, mean: float, variance: float, batches: int
) -> None:
    layer = SpikingPopulation(1, neuron=Neuron(), norm=norm, backend=backend)
    assert layer.norm is not None
    currents = torch.tensor([1.0, 3.0, 2.0, 8.0]).view(2, 2, 1, 1, 1)
    layer(currents)
    assert layer.norm.running_mean.tolist() == pytest.approx([mean], rel=1e-6)
    assert layer.norm.running_var.tolist() == pytest.approx([variance], rel=1e-6)
    assert layer.norm.num_batches_tracked == batches

    layer(currents)  # the second time from where the first left them
    again = 0.9**batches * mean + mean
    assert layer.norm.running_mean.tolist() == pytest.approx([again], rel=1e-6)
    assert layer.norm.num_batches_tracked == 2 * batches


@both_backends
@pytest.mark.parametrize(("norm", "batches"), [("per-step", STEPS), ("merged", 1)])
def test_running_a_stage_again_leaves_the_statistics_alone(
    backend: str, norm: str, batches: int
) -> None:
    found: list[list[Tensor]] = []
    for keep in (True, False):
        torch.manual_seed(1)
        layer = SpikingConv2d(2, 3, neuron=Neuron(), norm=norm, backend=backend)
        calls: list[int] = []
        layer.conv.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        sequence = images().requires_grad_()
        spikes = run_stage(lambda x, layer=layer: layer(x).spikes, sequence, keep=keep)
        spikes.square().sum().backward()
        assert len(calls) == (1 if keep else 2)
        assert layer.norm is not None
        assert layer.norm.num_batches_tracked == batches
        grads = [x.grad for x in (sequence, *layer.parameters()) if x.grad is not None]
        found.append([spikes, *grads, *layer.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_step_norm_alone_equals_batch_norm_step_by_step() -> None:
    currents = images().double()
    for merged in (False, True):
        norm, reference = (
            StepNorm(2, "merged" if merged else "per-step").double(),
            nn.BatchNorm2d(2).double(),
        )
        found = norm(currents)
        if merged:
            expected = reference(currents.flatten(0, 1)).view_as(currents)
        else:
            expected = torch.stack([reference(current) for current in currents])
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(norm.state_dict(), dict(reference.state_dict()))
