"""Operations of small networks, counted by hand: pixel by pixel, weight by weight."""

from __future__ import annotations

import itertools
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snntx.errors import SnntxError, UsageError
from snntx.train.measure import fanout, neurons
from snntx.train.measure.energy import energy
from snntx.train.measure.fanout import Counter, fan_out
from snntx.train.measure.firing import SpikeCounts
from snntx.train.measure.operations import OperationCounts, Operations
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.layers import SpikingConv2d, SpikingLayer, SpikingLinear
from snntx.train.network.model import POLARITIES, Encoding, ModelOptions, TransferModel
from snntx.train.network.neurons import Neuron

STEPS = 3
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def by_hand(values: Tensor, conv: nn.Conv2d, *, dense: bool = False) -> int:
    """Count a convolution's operations on one sample ``(C, H, W)``, one product at a time."""
    outputs, deep, tall, wide = conv.weight.shape
    (down, right), (top, left) = conv.stride, cast(tuple[int, int], conv.padding)
    (apart, beside), (channels, height, width) = conv.dilation, values.shape
    rows = (height + 2 * top - apart * (tall - 1) - 1) // down + 1
    columns = (width + 2 * left - beside * (wide - 1) - 1) // right + 1
    count = 0
    for out, row, column in itertools.product(range(outputs), range(rows), range(columns)):
        group = out // (outputs // conv.groups)
        for c, i, j in itertools.product(range(deep), range(tall), range(wide)):
            y, x = row * down - top + i * apart, column * right - left + j * beside
            if 0 <= y < height and 0 <= x < width:
                seen = values[group * (channels // conv.groups) + c, y, x] != 0
                count += int(dense or (bool(seen) and bool(conv.weight[out, c, i, j] != 0)))
    return count


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": 1},
        {"stride": 2},
        {"stride": (2, 3), "padding": (0, 2), "groups": 2},
        {"dilation": 2, "padding": 1, "groups": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["first", "last"])
def test_fan_outs_are_those_of_every_product(options: dict[str, Any], layout: str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, **options)
    with torch.no_grad():
        conv.weight[torch.rand_like(conv.weight) < 0.2] = 0
    values = (torch.rand(5, 4, 7, 6) < 0.3).float()
    geometry = conv.stride, conv.padding, conv.dilation, conv.groups
    fan = fan_out(torch.conv2d, (4, 7, 6), conv.weight, geometry)
    assert fan.dense == by_hand(values[0], conv, dense=True)
    if layout == "last":
        values = values.contiguous(memory_format=torch.channels_last)
    caused, strange = Counter(fan).count(values)
    assert caused.tolist() == [by_hand(each, conv) for each in values]
    assert strange == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("shape", [(7,), (6, 5, 4)])
def test_the_compiled_count_is_the_plain_one(
    dtype: torch.dtype, zeros: bool, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(1)
    flat = len(shape) == 1
    layer = nn.Linear(7, 9) if flat else nn.Conv2d(6, 3, 3)
    if zeros:
        with torch.no_grad():
            layer.weight[:, 2] = 0
    operation = nn.functional.linear if flat else torch.conv2d
    counter = Counter(fan_out(operation, shape, layer.weight))
    values = torch.randint(-2, 3, (2, 11, *shape)).to(dtype)
    if not flat:
        values = values.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    found = counter.count(values)
    plain = counter._plain(values.reshape(-1, *shape))
    assert torch.equal(found.caused, plain.caused)
    assert found.strange == plain.strange == int((values.abs() == 2).sum())


def test_other_types_are_counted_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(fan_out(nn.functional.linear, (3,), torch.ones(2, 3)))
    called = []
    plain = fanout.Counter._plain

    def watched(self: Counter, rows: Tensor) -> fanout.Arrived:
        called.append(1)
        return plain(self, rows)

    monkeypatch.setattr(fanout.Counter, "_plain", watched)
    found = counter.count(torch.tensor([[1, 0, 1]], dtype=torch.float16))
    assert (found.caused.tolist(), found.strange, called) == ([4], 0, [1])


def test_the_compiled_count_of_neurons_is_the_plain_one() -> None:
    torch.manual_seed(2)
    sent = (torch.rand(4, 3, 5000) < 0.2).float()
    membrane = torch.randint(0, 3, sent.shape).float()
    for ours, plain in zip(
        neurons._compiled(sent, membrane), neurons.counted(sent, membrane), strict=True
    ):
        np.testing.assert_array_equal(ours, plain)


# a network, followed by hand


class Small(TransferModel):
    """A convolution with stride and a pool, one with a border left out, a linear layer."""

    frame_size = (9, 8)

    def __init__(self, options: ModelOptions, pool: int = 2) -> None:
        super().__init__(options)
        layer = {**self.layer_options, "norm": "none"}
        self.first = SpikingConv2d(POLARITIES, 3, **layer)
        self.second = SpikingConv2d(3, 4, stride=2, pool=pool, **layer)
        rows, columns = 5 // pool, 4 // pool
        self.hidden = SpikingLinear(4 * rows * columns, 6, **layer)
        self.make_heads(6)

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        spikes = self.second(self.first(frames, constant=constant).activity).activity.flatten()
        return Encoding(*self.hidden(spikes, membrane=features))


def small(backend: str = "torch", pool: int = 2, **options: Any) -> Small:
    torch.manual_seed(5)
    neuron = Neuron(threshold=0.2)
    made = ModelOptions("small", 2, STEPS, neuron, "none", backend=backend, **options)
    return Small(made, pool).eval()


def frames(samples: int = 4, *, binary: bool = False) -> Tensor:
    torch.manual_seed(6)
    drawn = torch.poisson(torch.full((samples, STEPS, 2, 9, 8), 0.5))
    return drawn.clamp(max=1) if binary else drawn


def counted(model: TransferModel, given: Tensor, *, at_once: int = 99) -> Operations:
    counts = OperationCounts(model)
    with torch.inference_mode(), counts:
        for part in torch.split(given, at_once):
            model.forward_event(part)
    return counts.operations()


def followed(model: Small, given: Tensor, pool: int = 2) -> dict[str, Any]:
    """Follow the network step by step, and count whatever is to be counted."""
    samples, leak = len(given), 0.5
    synapses = {name: np.zeros(STEPS) for name in ("first", "second", "hidden", "head")}
    layers: dict[str, Any] = {
        name: {"updates": 0, "silent": np.zeros(STEPS), "fired": 0} for name in synapses
    }
    for sample in given:
        membranes: dict[str, Tensor] = {}
        for step, frame in enumerate(sample):
            values = frame
            for name in ("first", "second", "hidden"):
                layer = getattr(model, name)
                if name == "hidden":
                    values = values.flatten()
                    synapses[name][step] += int((values != 0).sum()) * 6
                    current = layer.linear.weight @ values + layer.linear.bias
                else:
                    synapses[name][step] += by_hand(values, layer.conv)
                    current = layer.conv(values[None])[0]
                before = membranes.get(name, torch.zeros_like(current))
                charged = before + (current - before) * leak
                spikes = (charged > 0.2).float()
                after = charged * (1 - spikes)
                changed = spikes.numel() if step == 0 else int((after != before).sum())
                membranes[name] = after
                layers[name]["updates"] += changed
                layers[name]["silent"][step] += int((spikes == 0).sum()) / spikes.numel()
                layers[name]["fired"] = layers[name]["fired"] + spikes
                values = spikes
                if name == "second":
                    values = nn.functional.avg_pool2d(spikes, pool)
            synapses["head"][step] += int((values != 0).sum()) * 2
    for found in layers.values():
        found["silent"] /= samples
    return {"synapses": {k: v / samples for k, v in synapses.items()}, "layers": layers}


@both_backends
@pytest.mark.parametrize("pool", [2, 3])
def test_a_network_is_counted_as_by_hand(backend: str, pool: int) -> None:
    model, given = small(backend, pool), frames()
    with torch.no_grad():
        model.second.conv.weight[1, :, 0] = 0
    expected, found = followed(model, given, pool), counted(model, given)
    names = ("first.conv", "second.conv", "hidden.linear", "event_head")
    assert found.samples == 4
    assert tuple(found.synapses) == names
    for name, hand in zip(names, expected["synapses"].values(), strict=True):
        assert found.synapses[name].by_step == pytest.approx(hand, rel=1e-12)
        assert found.synapses[name].effective == pytest.approx(hand.sum(), rel=1e-12)
    assert [each.binary for each in found.synapses.values()] == [False, True, False, True]
    assert found.macs == sum(found.synapses[name].effective for name in names[::2])
    assert found.acs == sum(found.synapses[name].effective for name in names[1::2])
    maps = torch.ones(2, 9, 8), torch.ones(3, 9, 8)
    convolved = [
        by_hand(each, layer.conv, dense=True)
        for each, layer in zip(maps, (model.first, model.second), strict=True)
    ]
    linear = model.hidden.linear.weight.numel() + 6 * 2
    assert found.dense == STEPS * (sum(convolved) + linear)
    silent, every, updates = 0.0, 0, 0.0
    for name, layer in found.layers.items():
        hand = expected["layers"][name]
        count = hand["fired"].numel()
        assert layer.neurons == count
        assert layer.by_step == pytest.approx(hand["silent"], rel=1e-12)
        assert layer.updates == hand["updates"] / 4
        assert layer.dead == int((hand["fired"] == 0).sum()) / count
        assert layer.saturated == int((hand["fired"] == 4 * STEPS).sum()) / count
        silent, every = silent + hand["silent"].mean() * count, every + count
        updates += hand["updates"] / 4
    assert found.activation_sparsity == pytest.approx(silent / every, rel=1e-12)
    assert found.membrane_updates == pytest.approx(updates, rel=1e-12)
    assert found.uncounted == ()


def test_weights_are_counted_without_what_events_do_not_need() -> None:
    model = small()
    with torch.no_grad():
        model.first.conv.weight.flatten()[:7] = 0
        model.head("static").weight.zero_()
    found = counted(model, frames())
    weights = [3 * 2 * 9, 4 * 3 * 9, 6 * 4 * 2 * 2, 2 * 6]
    assert found.connection_sparsity == 7 / sum(weights)
    biases, leaks_and_thresholds = 6 + 2, 3 * 2
    assert found.footprint == 4 * (sum(weights) + biases + leaks_and_thresholds)


def test_dead_and_saturated_neurons_are_told() -> None:
    model = small()
    with torch.no_grad():
        model.hidden.linear.weight.zero_()
        model.hidden.linear.bias.copy_(torch.tensor([9.0, 9.0, 9.0, -1.0, -1.0, 0.0]))
    hidden = counted(model, frames()).layers["hidden"]
    assert (hidden.dead, hidden.saturated) == (0.5, 0.5)
    assert hidden.updates == 6 + 2 * (STEPS - 1)  # those at 0 stay there; so do those that fire


@both_backends
def test_it_depends_neither_on_batches_nor_on_the_order_of_memory(backend: str) -> None:
    model, given = small(backend), frames()
    whole = counted(model, given)
    assert counted(model, given, at_once=1) == whole
    assert counted(model, given, at_once=3) == whole
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert counted(model, given) == whole


def test_frames_of_0_and_1_are_accumulated_and_one_count_of_2_makes_macs() -> None:
    model, given = small(), frames(binary=True)
    assert counted(model, given).synapses["first.conv"].binary
    given[3, 1, 0, 4, 4] = 2
    found = counted(model, given, at_once=1)
    assert not found.synapses["first.conv"].binary
    assert found.synapses["second.conv"].binary


@both_backends
@pytest.mark.parametrize("place", ["neuron", "spikes", "convolution"])
def test_attention_leaves_outputs_and_costs_macs(backend: str, place: str) -> None:
    torch.manual_seed(0)
    attention = Attention(place=place, reduction=2)
    model = create_model(
        "vgg", num_classes=3, steps=4, width=1 / 32, size=(16, 16), attention=attention,
        backend=backend, threshold=0.01,
    ).eval()  # fmt: skip
    given = torch.poisson(torch.full((2, 4, 2, 16, 16), 0.5))
    with torch.inference_mode():
        before = model.forward_event(given)
        with OperationCounts(model) as counts:
            assert torch.equal(model.forward_event(given), before)
        assert torch.equal(model.forward_event(given), before)
    found = counts.operations()
    assert len(found.attention) == 8
    sizes, widths = (16, 16, 8, 8, 4, 4, 2, 2), (2, 4, 8, 8, 16, 16, 16, 16)
    if place == "spikes":
        sizes = (16, 8, 8, 4, 4, 2, 2, 1)
    if place == "convolution":
        widths = (2, *widths[:-1])
    scoring = 4 * 2 + 2 * 4  # of a channel: from 4 steps to 2 and back
    expected = [  # two convolutions of two maps, with 3 n - 2 products of 3 n in each row
        width * scoring + 2 * 2 * (3 * side - 2) ** 2
        for width, side in zip(widths, sizes, strict=True)
    ]
    assert list(found.attention.values()) == expected
    reached = [each for each in found.synapses.values() if each.effective]
    spikes = [place == "neuron" and number % 2 == 1 for number in range(len(reached))]
    assert [each.binary for each in reached] == spikes  # every second layer gets averages
    assert len(reached) > 2
    assert sum(each.effective for each in found.synapses.values()) + sum(expected) == (
        pytest.approx(found.macs + found.acs)
    )


@pytest.mark.parametrize("name", ["resnet18", "sew-resnet18", "scnn", "asa3", "nmnist-published"])
@both_backends
def test_every_network_answers_as_before(name: str, backend: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, steps=2, width=0.05, backend=backend).eval()
    given = torch.poisson(torch.full((2, 2, 2, *model.size), 0.5))
    kept = {n: m.pool for n, m in model.named_modules() if isinstance(m, SpikingLayer)}
    with torch.inference_mode():
        before = model.forward_event(given)
        with OperationCounts(model) as counts:
            assert torch.equal(model.forward_event(given), before)
    found = counts.operations()
    assert found.uncounted == ()
    assert kept == {n: m.pool for n, m in model.named_modules() if isinstance(m, SpikingLayer)}
    assert set(found.layers) >= {name for name in kept if "static" not in name}


@both_backends
@pytest.mark.parametrize("place", [None, "neuron", "spikes", "convolution"])
def test_spikes_counted_inside_are_those_counted_alone(backend: str, place: str | None) -> None:
    torch.manual_seed(0)
    model = create_model(
        "vgg", num_classes=3, steps=4, width=1 / 32, size=(25, 19), threshold=0.01,
        backend=backend, attention=None if place is None else Attention(place=place),
    ).eval()  # fmt: skip
    given = torch.poisson(torch.full((2, 4, 2, 25, 19), 0.5))
    with torch.inference_mode():
        with SpikeCounts(model) as alone:
            model.forward_event(given)
        with OperationCounts(model), SpikeCounts(model) as inside:
            model.forward_event(given)
    assert inside.firing() == alone.firing()


def test_graded_neurons_send_macs() -> None:
    torch.manual_seed(0)
    model = create_model("asa3", num_classes=3, steps=2, width=0.1, sends="membrane").eval()
    found = counted(model, torch.poisson(torch.full((2, 2, 2, *model.size), 0.5)))
    assert not any(each.binary for each in found.synapses.values())
    assert found.acs == 0


def test_a_layer_that_fails_is_left_as_it_was() -> None:
    model = small()
    model.second.norm = nn.Module()  # type: ignore[assignment]
    with pytest.raises(Exception, match="Module"), torch.inference_mode(), OperationCounts(model):
        model.forward_event(frames())
    assert model.second.pool == 2
    assert not model.second._forward_hooks


def test_weights_that_no_known_operation_uses_are_named() -> None:
    class Other(Small):
        def classify(self, code: Any, branch: str) -> Tensor:
            logits: Tensor = code.values @ self.head("event").weight.t()
            return logits

    torch.manual_seed(5)
    model = Other(ModelOptions("other", 2, STEPS, Neuron(), "none", backend="torch")).eval()
    assert counted(model, frames()).uncounted == ("event_head.weight",)


def test_no_pass_is_an_error() -> None:
    with pytest.raises(SnntxError, match="model small: no pass was counted"):
        OperationCounts(small()).operations()


# energy


def test_energy_is_the_cited_one_unless_another_is_given() -> None:
    found = counted(small(), frames())
    cited = energy(found)
    assert cited.total_pj == pytest.approx(4.6 * found.macs + 0.9 * found.acs)
    assert cited.dense_pj == pytest.approx(4.6 * found.dense)
    other = energy(found, mac_pj=2, ac_pj=0.5)
    assert other.to_json()["pJ"] == pytest.approx(2 * found.macs + 0.5 * found.acs)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_energies_that_cannot_be_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match=r"--pj-ac .*: expected picojoules"):
        energy(counted(small(), frames(1)), ac_pj=value)


def test_json_has_neurobenchs_names() -> None:
    found = counted(small(), frames(1))
    told = found.to_json()
    assert told["SynapticOperations"] == {
        "Effective_MACs": found.macs,
        "Effective_ACs": found.acs,
        "Dense": found.dense,
    }
    assert {"Footprint", "ConnectionSparsity", "ActivationSparsity", "MembraneUpdates"} < set(told)
    assert told["neurons"]["hidden"]["ActivationSparsity"] == found.layers["hidden"].sparsity
    assert told["synapses"]["first.conv"]["operations"] == "MACs"


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "per-step"},
        {"norm": "per-step-own", "reset": "soft"},
        {"norm": "none", "kind": "if"},
        {"attention": Attention(place="spikes")},
    ],
    ids=str,
)
@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_layers_count_what_they_would_have_kept(
    options: dict[str, Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    options = {"size": (25, 19), "width": 1 / 16, "threshold": 0.1, **options}
    model = create_model("vgg", num_classes=3, steps=4, backend="numba", **options)
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.001, 0.1)
    model.eval()
    given = torch.poisson(torch.full((3, 4, 2, 25, 19), 0.5))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        itself = counted(model, given, at_once=2)
        monkeypatch.setattr(neurons, "_counts_itself", lambda layer, given: False)
        kept = counted(model, given, at_once=2)
    finally:
        torch.set_num_threads(before)
    assert itself == kept
    assert sum(layer.sparsity < 1 for layer in itself.layers.values()) > 3


def test_a_compiled_layer_in_half_precision_counts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = small("numba"), frames()
    found = []
    for keeps in (False, True):
        if keeps:
            monkeypatch.setattr(neurons, "_counts_itself", lambda layer, given: False)
        with torch.autocast("cpu", torch.bfloat16):
            found.append(counted(model, given))
    assert found[0] == found[1]
