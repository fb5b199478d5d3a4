"""The shipped models, each for itself: shapes, sizes, options, and the messages of wrong calls.

What all of them share is in ``test_contract``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.network.create import TransferModel, create_model
from snntx.train.network.layers import SpikingLayer
from snntx.train.network.norm import StepNorm
from snntx.train.network.surrogates import BackEIGate, QGate

Frames = Callable[..., Tensor]
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])


def small(name: str = "nmnist", **options: Any) -> TransferModel:
    torch.manual_seed(0)
    return create_model(name, num_classes=3, steps=2, **options)


@pytest.mark.parametrize(
    ("name", "features"), [("vgg", 18432), ("resnet18", 512), ("scnn", 300), ("nmnist", 256)]
)
def test_output_shapes(frames: Frames, name: str, features: int) -> None:
    model = small(name)
    with torch.no_grad():
        output = model(frames(model, 2), frames(model, 2, seed=1))
    assert output.static_logits.shape == output.event_logits.shape == (2, 2, 3)
    assert output.static_features.shape == output.event_features.shape == (2, 2, features)


def trainable(model: TransferModel) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_parameter_counts_by_hand() -> None:
    assert trainable(create_model("vgg", num_classes=101, steps=10)) == 10_153_684
    convolutions = 2 * 15 * 25 + 15 * 40 * 25
    heads = 640 * 300 + 300 + 300 * 1623 + 1623
    assert trainable(create_model("scnn", num_classes=1623, steps=12)) == convolutions + heads + 12
    convolutions, norms = 2 * 16 * 9 + 16 * 32 * 9, 2 * (16 + 32 + 256)
    nmnist = convolutions + norms + 2048 * 256 + 2 * (256 * 10 + 10) + 10
    assert trainable(create_model("nmnist", num_classes=10, steps=10)) == nmnist


@pytest.mark.parametrize(
    ("name", "options", "head", "features"),
    [
        ("vgg", {"size": (32, 64)}, 512 * 2 * 4, 512 * 4 * 8),
        ("vgg", {"width": 0.5, "size": (50, 31)}, 256 * 3 * 1, 256 * 6 * 3),
        ("vgg", {"width": 0.25, "size": (16, 16)}, 128, 128 * 2 * 2),
        ("resnet18", {"width": 0.25, "size": (9, 33)}, 128, 128),
        ("resnet18", {"width": 0.125, "size": (8, 8)}, 64, 64),
        ("scnn", {"width": 2.0, "size": (34, 40)}, 600, 600),
        ("scnn", {"width": 0.5, "size": (16, 16)}, 150, 150),
        ("nmnist", {"width": 1.5, "size": (28, 30)}, 384, 384),
        ("nmnist", {"width": 0.001, "size": (4, 5)}, 1, 1),
    ],
)
def test_width_and_size_make_their_own_head(
    frames: Frames, name: str, options: dict[str, Any], head: int, features: int
) -> None:
    model = small(name, **options)
    assert model.head("event").in_features == model.head("static").in_features == head
    with torch.no_grad():
        output = model(frames(model, 2), frames(model, 2))
    assert output.event_logits.shape == (2, 2, 3)
    assert output.event_features.shape == (2, 2, features)


@both_backends
def test_event_only_forward_runs_each_layer_once_and_keeps_no_membrane(
    frames: Frames, backend: str
) -> None:
    model = small(backend=backend).eval()
    seen: list[Tensor | None] = []
    for module in model.modules():
        if isinstance(module, SpikingLayer):
            module.register_forward_hook(lambda _, __, output: seen.append(output.membrane))
    with torch.no_grad():
        model.forward_event(frames(model, 2))
    assert seen == [None, None, None]


@both_backends
def test_running_statistics_see_static_steps_then_event_steps(frames: Frames, backend: str) -> None:
    model = small(backend=backend).train()
    static, event = frames(model, 4), 3 * frames(model, 4, seed=1)
    with torch.no_grad():
        model(static, event)
    layer = model.get_submodule("first")
    norm = layer.get_submodule("norm")
    assert isinstance(norm, StepNorm)

    running = torch.zeros(norm.num_features)
    for branch in (static, event):
        for step in branch.transpose(0, 1):
            response = layer.get_submodule("conv")(step)
            running = 0.9 * running + 0.1 * response.mean((0, 2, 3)).detach()
    torch.testing.assert_close(norm.running_mean, running)
    assert norm.num_batches_tracked == 2 * model.steps


def test_constant_samples_go_through_the_first_convolution_once(frames: Frames) -> None:
    model = small("resnet18", width=0.125, size=(16, 18))
    rows: list[int] = []
    model.get_submodule("stem").register_forward_hook(lambda _, x, __: rows.append(len(x[0])))
    with torch.no_grad():
        model(frames(model, 3), frames(model, 3), torch.tensor([True, False, True]))
    assert rows == [2, 2, 6]  # static: two samples once, one at two steps; then events


def test_domain_features(frames: Frames) -> None:
    resnet = small("resnet18", width=0.125, size=(16, 18)).eval()
    with torch.no_grad():
        output = resnet(frames(resnet, 2), frames(resnet, 2, seed=1))
        logits = resnet.head("event")(output.event_features)
    torch.testing.assert_close(output.event_logits, logits)  # what the heads get

    for name, last in (("vgg", "features.7"), ("scnn", "hidden"), ("nmnist", "hidden")):
        model = small(name, width=0.125, size=(16, 18)).eval()
        kept: list[Tensor] = []
        model.get_submodule(last).register_forward_hook(
            lambda _, __, layer, kept=kept: kept.append(layer.membrane.flatten(2))
        )
        with torch.no_grad():
            output = model(frames(model, 2), frames(model, 2, seed=1))
        assert torch.equal(output.static_features, kept[0])  # membranes after the reset
        assert torch.equal(output.event_features, kept[1])
        assert output.event_features.amax() <= 0.5


def test_scnn_shares_its_head_and_normalises_nothing() -> None:
    model = small("scnn", norm="merged")
    assert model.head("static") is model.head("event")
    assert not any(isinstance(module, StepNorm) for module in model.modules())


def test_neuron_options_reach_every_layer() -> None:
    options: dict[str, Any] = {
        "tau": 3.0,
        "threshold": 0.7,
        "surrogate": "qgate",
        "alpha": 1.5,
        "reset": "soft",
    }
    model = small(**options, detach_reset=False)
    neurons = {module.neuron for module in model.modules() if isinstance(module, SpikingLayer)}
    (neuron,) = neurons
    assert (neuron.tau, neuron.threshold, neuron.surrogate) == (3.0, 0.7, QGate(1.5))
    assert (neuron.reset, neuron.detach_reset) == ("soft", False)
    assert small("scnn").neuron.surrogate == BackEIGate()
    assert small("scnn", surrogate="qgate").neuron.surrogate == QGate()


@pytest.mark.parametrize("norm", ["merged", "none"])
def test_norm_option_reaches_every_layer(norm: str) -> None:
    model = small("vgg", width=0.125, norm=norm)
    norms = [layer.norm for layer in model.modules() if isinstance(layer, SpikingLayer)]
    assert len(norms) == 8
    for each in norms:
        assert (
            each is None if norm == "none" else isinstance(each, StepNorm) and each.kind == "merged"
        )


@pytest.mark.parametrize(
    ("shape", "branch"),
    [
        ((2, 3, 2, 34, 34), "static"),
        ((2, 2, 1, 34, 34), "event"),
        ((2, 2, 2, 28, 34), "event"),
        ((2, 2, 2, 34), "static"),
        ((0, 2, 2, 34, 34), "event"),
    ],
)
def test_wrong_frames_are_named(frames: Frames, shape: tuple[int, ...], branch: str) -> None:
    model = small()
    good, wrong = frames(model, 2), torch.zeros(shape)
    found = "x".join(map(str, shape))
    with pytest.raises(UsageError, match=f"{branch} frames are {found}, expected Bx2x2x34x34"):
        model(*((wrong, good) if branch == "static" else (good, wrong)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"name": "vg"}, "unknown model 'vg'; did you mean 'vgg'"),
        ({"num_classes": 1}, "num_classes is 1, expected an integer of 2 or more"),
        ({"steps": 0}, "steps is 0, expected an integer of 1 or more"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"width": 0.0}, "model nmnist: width is 0.0, expected a positive factor"),
        ({"width": math.nan}, "width is nan"),
        ({"size": (34, 33.5)}, "size is 33.5, expected an integer of 4 or more"),
        (
            {"norm": "batch"},
            "unknown norm 'batch', known: per-step, per-step-own, per-step-pooled, merged, none",
        ),
        ({"backend": "cuda"}, "unknown backend 'cuda', known: auto, torch, numba, triton"),
        ({"treshold": 0.5}, "unknown option 'treshold'.*did you mean 'threshold'"),
        ({"kind": "lef"}, "unknown kind 'lef'.*did you mean 'lif'"),
        ({"surrogate": "qgates"}, "unknown surrogate 'qgates'"),
    ],
)
def test_wrong_calls_say_what_to_do(call: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model(**{"name": "nmnist", "num_classes": 10, "steps": 4, **call})
