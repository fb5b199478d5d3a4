"""Spiking layers: normalisation, pooling, membranes, what they learn; both CPU backends.

What a layer computes is compared with plain PyTorch and the neurons of ``test_neurons``.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snntx.errors import UsageError
from snntx.train.network.layers import (
    LayerOutput,
    SpikingConv2d,
    SpikingLinear,
    SpikingPopulation,
)
from snntx.train.network.neurons import Neuron, Trace, run_neurons
from snntx.train.network.norm import KINDS, StepNorm
from snntx.train.network.pools import average_pool

STEPS, BATCH, CHANNELS = 4, 5, 3
NORMS = ("per-step", "per-step-own", "per-step-pooled", "merged", "none")
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])
every_norm = pytest.mark.parametrize("norm", NORMS)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def images(seed: int = 0) -> Tensor:
    return draw(STEPS, BATCH, 2, 7, 6, seed=seed)


def convolution(backend: str, **options: Any) -> SpikingConv2d:
    torch.manual_seed(1)
    layer = SpikingConv2d(
        2, CHANNELS, backend=backend, steps=STEPS, **{"neuron": Neuron(), **options}
    )
    if layer.norm is not None:
        nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
        nn.init.uniform_(layer.norm.bias, 0, 0.5)
    return layer


def published(currents: Tensor) -> Trace:
    neuron = Neuron()
    return run_neurons(currents, leak=0.5, threshold=0.5, surrogate=neuron.surrogate)


def assert_trace(output: LayerOutput, expected: Trace) -> None:
    assert torch.equal(output.spikes, expected.spikes)
    assert output.membrane is not None
    torch.testing.assert_close(output.membrane, expected.membrane)


@both_backends
def test_layer_normalises_each_step_on_its_own_batch(backend: str) -> None:
    layer = convolution(backend)
    sequence = images()
    output = layer(sequence, membrane=True)

    assert layer.norm is not None
    reference = nn.BatchNorm2d(CHANNELS)
    with torch.no_grad():
        reference.weight.copy_(layer.norm.weight)
        reference.bias.copy_(layer.norm.bias)
    assert_trace(output, published(torch.stack([reference(layer.conv(x)) for x in sequence])))
    torch.testing.assert_close(layer.norm.running_mean, reference.running_mean)
    torch.testing.assert_close(layer.norm.running_var, reference.running_var)
    assert layer.norm.num_batches_tracked == STEPS


@both_backends
def test_merged_norm_takes_all_steps_together(backend: str) -> None:
    layer = convolution(backend, norm="merged")
    sequence = images()
    output = layer(sequence, membrane=True)
    assert layer.norm is not None
    currents = functional.batch_norm(
        layer.conv(sequence.flatten(0, 1)),
        None,
        None,
        layer.norm.weight,
        layer.norm.bias,
        training=True,
    )
    assert_trace(output, published(currents.view(STEPS, BATCH, CHANNELS, 7, 6)))


@both_backends
def test_without_a_norm_the_currents_drive_the_neurons(backend: str) -> None:
    layer = convolution(backend, norm="none")
    sequence = 4 * images()
    currents: Tensor = layer.conv(sequence.flatten(0, 1))
    expected = published(currents.view(STEPS, BATCH, CHANNELS, 7, 6))
    assert expected.spikes.any()
    assert_trace(layer(sequence, membrane=True), expected)
    assert [name for name, _ in layer.named_parameters()] == ["conv.weight"]


@both_backends
@pytest.mark.parametrize("norm", ["per-step", "merged"])
def test_evaluation_uses_running_statistics_for_every_step(backend: str, norm: str) -> None:
    layer = SpikingPopulation(CHANNELS, neuron=Neuron(), norm=norm, backend=backend).eval()
    assert layer.norm is not None
    with torch.no_grad():  # 2 (x - mean) / 2 - 1/2
        layer.norm.running_mean.copy_(torch.tensor([-2.0, 0.0, 0.5]))
        layer.norm.running_var.fill_(4 - 1e-5)
        layer.norm.weight.fill_(2)
        layer.norm.bias.fill_(-0.5)
    currents = draw(STEPS, 1, CHANNELS, 4, 3)
    kept = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    mean = layer.norm.running_mean[:, None, None]
    assert_trace(layer(currents, membrane=True), published(currents - mean - 0.5))
    assert all(torch.equal(kept[name], tensor) for name, tensor in layer.state_dict().items())


@every_norm
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_backends_agree_on_outputs_gradients_and_statistics(
    norm: str, pool: int, training: bool
) -> None:
    found = []
    for backend in ("torch", "numba"):
        layer = convolution(backend, norm=norm, pool=pool).train(training)
        sequence = images().requires_grad_()
        output = layer(sequence, membrane=True)
        assert output.membrane is not None
        pull = draw(*output.spikes.shape, seed=2), draw(*output.membrane.shape, seed=3)
        inputs = dict(layer.named_parameters()) | {"sequence": sequence}
        grads = torch.autograd.grad([output.spikes, output.membrane], [*inputs.values()], pull)
        values = {"spikes": output.spikes, "membrane": output.membrane, **layer.state_dict()}
        found.append(values | {f"by {n}": g for n, g in zip(inputs, grads, strict=True)})
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-5, atol=2e-5, msg=name)


@both_backends
@pytest.mark.parametrize("pool", [2, 3])
def test_pooled_spikes_are_averages_and_membranes_stay_whole(backend: str, pool: int) -> None:
    whole = convolution(backend)(images(), membrane=True)
    pooled = convolution(backend, pool=pool)(images(), membrane=True)
    height, width = 7 // pool, 6 // pool
    assert pooled.spikes.shape == (STEPS, BATCH, CHANNELS, height, width)
    assert pooled.membrane.shape == (STEPS, BATCH, CHANNELS, 7, 6)
    torch.testing.assert_close(pooled.membrane, whole.membrane, rtol=0, atol=0)
    rows, columns = height * pool, width * pool  # the rest is dropped
    windows = whole.spikes[..., :rows, :columns].unflatten(-1, (width, pool))
    expected = windows.unflatten(-3, (height, pool)).mean((-1, -3))
    torch.testing.assert_close(pooled.spikes, expected, rtol=1e-6, atol=0)


def test_average_pool_drops_the_odd_border() -> None:
    sequence = torch.arange(9.0).view(1, 1, 1, 3, 3)
    assert average_pool(sequence).flatten().tolist() == [2.0]
    assert average_pool(sequence, 3).flatten().tolist() == [4.0]
    assert average_pool(sequence, 1) is sequence


@both_backends
def test_linear_layer_keeps_no_membrane_unless_asked(backend: str) -> None:
    layer = SpikingLinear(6, 3, neuron=Neuron(), backend=backend).eval()
    sequence = draw(4, 1, 6)
    assert layer(sequence).membrane is None
    with_membrane = layer(sequence, membrane=True)
    assert with_membrane.membrane.shape == with_membrane.spikes.shape == (4, 1, 3)


@both_backends
@every_norm
def test_linear_layer_has_a_bias_where_nothing_normalises(backend: str, norm: str) -> None:
    layer = SpikingLinear(6, CHANNELS, neuron=Neuron(), norm=norm, steps=STEPS, backend=backend)
    assert (layer.linear.bias is not None) == (norm == "none")
    sequence = 3 * draw(STEPS, BATCH, 6)
    currents: Tensor = layer.linear(sequence)
    if norm.startswith("per-step"):
        reference = nn.BatchNorm1d(CHANNELS)
        currents = torch.stack([reference(current) for current in currents])
    elif norm == "merged":
        flat = functional.batch_norm(currents.flatten(0, 1), None, None, training=True)
        currents = flat.view_as(currents)
    expected = published(currents)
    assert expected.spikes.any()
    assert_trace(layer(sequence, membrane=True), expected)


@both_backends
@pytest.mark.parametrize(
    ("neuron", "current", "by_leak", "by_threshold"),
    [  # two steps, as in test_neurons
        (Neuron(kind="plif"), [1.25, 0.75], 0.28125, None),
        (Neuron(kind="plif", detach_reset=False), [1.25, 0.75], 0.0615234375, None),
        (Neuron(kind="plif", reset="soft"), [1.25, 0.625], 0.421875, None),
        (Neuron(learn_threshold=True), [1.25, 0.75], None, -1.5),
        (Neuron(learn_threshold=True, reset="soft"), [1.25, 0.625], None, -2.25),
        (Neuron(kind="if", learn_threshold=True, reset="soft"), [0.625, 0.25], None, -3.0),
    ],
)
def test_learnable_leak_and_threshold_by_hand(
    backend: str,
    neuron: Neuron,
    current: list[float],
    by_leak: float | None,
    by_threshold: float | None,
) -> None:
    layer = SpikingPopulation(1, neuron=neuron, norm="none", backend=backend)
    spikes = layer(torch.tensor(current).view(2, 1, 1, 1, 1)).spikes
    assert spikes.flatten().tolist() == [1, 0]
    spikes[1].sum().backward()
    grads = {n: p.grad.item() for n, p in layer.named_parameters() if p.grad is not None}
    expected = {"leak_logit": by_leak, "threshold": by_threshold}
    assert grads == {n: pytest.approx(v, rel=1e-6) for n, v in expected.items() if v is not None}
    assert grads.keys() == layer.state_dict().keys()


def test_neurons_that_learn_nothing_are_in_no_state() -> None:
    layer = SpikingPopulation(CHANNELS, neuron=Neuron(tau=3.0), norm="none")
    assert not layer.state_dict()
    assert not list(layer.parameters())
    assert layer.leak.item() == pytest.approx(1 / 3)
    assert layer.threshold.item() == 0.5


@both_backends
@every_norm
def test_autocast_sends_half_precision_spikes_and_keeps_whole_membranes(
    backend: str, norm: str
) -> None:
    layer = convolution(backend, norm=norm, pool=2)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(images(), membrane=True)
        output.spikes.sum().backward()
    assert output.spikes.dtype == torch.bfloat16
    assert output.membrane.dtype == torch.float32
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())


def test_double_precision_is_the_readable_path() -> None:
    sequence = images().double()
    auto, plain = (
        convolution(name).double()(sequence, membrane=True) for name in ("auto", "torch")
    )
    assert auto.membrane.dtype == torch.float64
    assert torch.equal(auto.membrane, plain.membrane)
    with pytest.raises(UsageError, match="not float16; use backend torch"):
        convolution("numba").half()(sequence.half())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "perstep"}, "unknown norm 'perstep', known: .*; did you mean 'per-step'"),
        ({"backend": "nunba"}, "unknown backend 'nunba', known: auto, .*; did you mean 'numba'"),
    ],
)
def test_wrong_names_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SpikingConv2d(2, 3, neuron=Neuron(), **options)  # type: ignore[arg-type]


def test_running_statistics_of_every_kind_by_hand() -> None:
    """Steps of mean 0, 2 and 4 and variance 1: what one batch makes of 0 and 1."""
    pattern = torch.tensor([-1.0, 1.0]).repeat(5000)
    currents = torch.stack([pattern + 2.0 * step for step in range(3)])[:, :, None]
    kept = [0.9**2 * 0.0 + 0.9 * 0.2 + 0.4, [0.0, 0.2, 0.4], 0.2, 0.2]
    pooled = 0.9 + 0.1 * (1 + 8 / 3)
    spread = [1.0, [1.0, 1.0, 1.0], pooled, pooled]
    moved = [3, 1, 1, 1]
    for kind, mean, variance, count in zip(KINDS, kept, spread, moved, strict=True):
        norm = StepNorm(1, kind, steps=3)
        found = norm(currents)
        torch.testing.assert_close(
            norm.running_mean.squeeze(), torch.tensor(mean), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            norm.running_var.squeeze(), torch.tensor(variance), atol=1e-3, rtol=0
        )
        assert int(norm.num_batches_tracked) == count
        if kind != "merged":
            assert found.mean((1, 2)).abs().max() < 1e-5
