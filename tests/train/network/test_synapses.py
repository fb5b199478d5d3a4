"""Connections: codes that stand for values, and frames that never change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snntx.train.network.layers import LayerOutput, SpikingConv2d, SpikingLinear
from snntx.train.network.neurons import Neuron

STEPS, BATCH = 4, 5
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def images() -> Tensor:
    return torch.randn(STEPS, BATCH, 2, 7, 6, generator=torch.Generator().manual_seed(0))


def convolution(backend: str) -> SpikingConv2d:
    torch.manual_seed(1)
    return SpikingConv2d(2, 3, pool=2, neuron=Neuron(), backend=backend)


@both_backends
def test_codes_are_the_same_numbers_in_a_byte(backend: str) -> None:
    activity = convolution(backend)(images()).activity
    if backend == "torch":
        assert activity.codes is None
    else:
        assert activity.codes is not None
        assert activity.codes.dtype == torch.uint8
        assert torch.equal(activity.codes * activity.unit, activity.values)


class Chain(nn.Module):
    """Two convolutions, the second fed by pooled spikes, and a linear layer with a bias."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        torch.manual_seed(2)
        options: dict[str, Any] = {"neuron": Neuron(), "backend": backend}
        self.first = SpikingConv2d(2, 4, pool=2, **options)
        self.second = SpikingConv2d(4, 6, stride=2, kernel=3, padding=1, norm="none", **options)
        self.third = SpikingLinear(6 * 2 * 2, 5, norm="none", **options)

    def forward(self, sequence: Tensor) -> LayerOutput:
        activity = self.second(self.first(sequence).activity).activity.flatten()
        output: LayerOutput = self.third(activity, membrane=True)
        return output


def test_layers_fed_by_codes_have_the_gradients_of_layers_fed_by_values() -> None:
    found: list[dict[str, Tensor]] = []
    for backend in ("torch", "numba"):
        chain = Chain(backend)
        with torch.no_grad():
            for layer in (chain.second.conv, chain.third.linear):
                layer.weight.mul_(8)  # or the last layer stays silent
        output = chain(images())
        assert output.membrane is not None
        (output.spikes.mean() + output.membrane.square().sum()).backward()
        grads = {n: p.grad for n, p in chain.named_parameters() if p.grad is not None}
        found.append({"spikes": output.spikes, "membrane": output.membrane, **grads})
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) == 2 + 6
    for name, value in found[0].items():
        assert value.any(), name
        torch.testing.assert_close(found[1][name], value, rtol=1e-5, atol=1e-5, msg=name)


@both_backends
@pytest.mark.parametrize("still", [[], [0, 3], [0, 1, 2, 3, 4]], ids=["none", "some", "all"])
def test_frames_that_never_change_are_convolved_once(backend: str, still: list[int]) -> None:
    sequence = images()
    sequence[:, still] = sequence[:1, still]
    constant = torch.zeros(BATCH, dtype=torch.bool)
    constant[still] = True
    found = []
    for mask in (None, constant):
        layer = convolution(backend)
        rows: list[int] = []
        layer.conv.register_forward_hook(lambda _, x, __, rows=rows: rows.append(len(x[0])))
        output = layer(sequence, constant=mask, membrane=True)
        output.spikes.square().sum().backward()
        found.append([output.spikes, output.membrane, layer.conv.weight.grad, *layer.buffers()])
    assert sum(rows) == len(still) + STEPS * (BATCH - len(still))
    for plain, once in zip(*found, strict=True):
        torch.testing.assert_close(once, plain, rtol=1e-5, atol=1e-5)
