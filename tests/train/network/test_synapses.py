"""Connections: codes that stand for values, and frames that never change."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snntx.train.network.layers import LayerOutput, SpikingConv2d, SpikingLinear
from snntx.train.network.neurons import Neuron
from snntx.train.network.synapses import Activity, convolve

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


CRASHES = """
import torch
from snntx.train.network.synapses import Activity, convolve

torch.set_num_threads(2)
conv = torch.nn.Conv2d(8, 16, 1, 2, bias=False)
for _ in range(60):
    flat = torch.randn(9, 8, 16, 18).contiguous(memory_format=torch.channels_last)
    values = flat.view(3, 3, 8, 16, 18).requires_grad_()
    currents = convolve(Activity(values), conv)
    torch.testing.assert_close(currents.flatten(0, 1), conv(values.flatten(0, 1)))
    currents.square().sum().backward()
    others = [torch.randn(1000) for _ in range(20)]
"""


def test_a_convolution_that_torch_itself_cannot_do_safely_is_done_otherwise() -> None:
    done = subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_is_the_same_convolution_with_its_codes_too() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 3, 1, 2, bias=True)
    codes = torch.randint(0, 4, (2, 2, 5, 7, 6), dtype=torch.uint8)
    wanted = conv((codes / 4).flatten(0, 1)).view(2, 2, 3, 4, 3)
    values = (codes / 4).requires_grad_()
    found = convolve(Activity(values, codes, 0.25), conv)
    torch.testing.assert_close(found, wanted)
    by = torch.autograd.grad(found.square().sum(), (values, conv.weight))
    again = (codes / 4).requires_grad_()
    plain = conv(again.flatten(0, 1)).square().sum()
    torch.testing.assert_close(by, torch.autograd.grad(plain, (again, conv.weight)))
