"""Statistics and edges of the CUDA backend: run by ``test_triton_fused.py`` as well."""

import os

import pytest
import torch

from snntx.errors import UsageError
from snntx.train.network.backends import triton_fused as triton_backend
from snntx.train.network.backends.interface import Arrived, Layer, Population
from snntx.train.network.backends.order import is_channels_last
from snntx.train.network.create import create_model
from snntx.train.network.neurons import Dynamics

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("distance", [0, 10])
def test_statistics_are_exact_far_from_zero(last: bool, groups: int, distance: int) -> None:
    draw = torch.Generator().manual_seed(5)
    current = torch.randn(4, 3, 19, 9, 11, generator=draw) + distance
    current = current.to(DEVICE)
    if last:
        current = current.movedim(2, -1).contiguous().movedim(-1, 2)
    over = (0, 1, 3, 4) if groups == 1 else (1, 3, 4)
    exact = current.double()
    mean = exact.mean(over).reshape(groups, -1)
    variance = exact.var(over, correction=0).reshape(groups, -1)
    got = triton_backend.statistics(current, groups)
    assert [each.dtype for each in got] == [torch.float32] * 2
    assert (got[0] - mean).abs().max() <= 1e-6 * (mean.abs() + variance.sqrt()).max()
    assert ((got[1] - variance) / variance).abs().max() <= 1e-6


def test_statistics_of_bfloat16() -> None:
    draw = torch.Generator().manual_seed(5)
    current = torch.randn(2, 3, 5, 4, 4, generator=draw).to(DEVICE, torch.bfloat16)
    mean, variance = triton_backend.statistics(current, 2)
    exact = current.double()
    assert torch.allclose(mean.double(), exact.mean((1, 3, 4)), atol=1e-6)
    assert torch.allclose(variance.double(), exact.var((1, 3, 4), correction=0), rtol=1e-6)


def test_a_strided_current_is_refused() -> None:
    current = torch.zeros(2, 1, 3, 4, 6, device=DEVICE)[..., ::2]
    with pytest.raises(UsageError, match="expected contiguous or channels-last"):
        triton_backend.statistics(current, 1)


@pytest.mark.parametrize(("current", "spike"), [(0.5, 0.0), (0.5 + 2**-24, 1.0)])
def test_a_membrane_at_the_threshold_stays_silent(current: float, spike: float) -> None:
    leak, threshold = (torch.tensor(number, device=DEVICE) for number in (1.0, 0.5))
    population = Population(leak, threshold, Dynamics(), 0, 2.0)
    layer = torch.full((1, 1, 1, 1, 2), current, device=DEVICE)
    fired = triton_backend.forward(Layer(layer, None, population), membrane=True)
    assert torch.equal(fired.values, torch.full_like(layer, spike))
    assert torch.equal(fired.membrane, torch.full_like(layer, (1 - spike) * current))


@pytest.mark.parametrize("last", [True, False])
def test_a_current_of_one_step_for_all_is_as_one_of_many(last: bool) -> None:
    draw = torch.Generator().manual_seed(5)
    once = torch.randn(3, 5, 4, 6, generator=draw).to(DEVICE)
    if last:
        once = once.contiguous(memory_format=torch.channels_last)
    repeated, dense = once.expand(4, *once.shape), torch.stack([once] * 4)
    half = torch.tensor(0.5, device=DEVICE)
    population = Population(half, half, Dynamics(), 0, 2.0)
    found = []
    for current in (repeated, dense):
        mean, variance = triton_backend.statistics(current, 4)
        layer = Layer(current, None, population, 2)
        fired = triton_backend.forward(layer, membrane=True)
        assert is_channels_last(fired.membrane) == last
        ones = Arrived(torch.ones_like(fired.values), torch.ones_like(fired.membrane))
        gradients = triton_backend.backward(layer, ones, None)
        found.append((mean, variance, *fired, *gradients))
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("norm", ["per-step", "none"])
@pytest.mark.parametrize("still", [(True, True), (True, False), (False, False)], ids=str)
def test_a_network_takes_images_that_do_not_change_over_time(
    still: tuple[bool, bool], norm: str
) -> None:
    draw = torch.Generator().manual_seed(5)
    static, event = 20 * torch.rand(2, 2, 3, 2, 8, 8, generator=draw).to(DEVICE)
    constant = torch.tensor(still)
    static[constant.to(DEVICE)] = static[constant.to(DEVICE), :1]
    outputs = []
    for backend in ("torch", "triton"):
        torch.manual_seed(1)
        model = create_model(
            "nmnist", num_classes=3, steps=3, size=(8, 8), norm=norm, width=0.2, backend=backend
        )
        model.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
        output = model(static, event, constant)
        output.static_logits.sum().backward()
        gradient = dict(model.named_parameters())["first.conv.weight"].grad
        assert gradient is not None
        assert gradient.abs().max() > 0
        outputs.append((*output, gradient / gradient.abs().max()))
    for expected, got in zip(*outputs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
