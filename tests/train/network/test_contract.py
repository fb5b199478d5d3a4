"""What every network keeps, shipped or not: its name, its branches, its gradients, its state.

The tests run over the names that the door knows, and over a network of our own.
"""

from __future__ import annotations

import inspect
import io
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snntx.errors import UsageError
from snntx.train.network.create import create_model
from snntx.train.network.doors import MODELS
from snntx.train.network.layers import SpikingConv2d, SpikingLayer, SpikingLinear
from snntx.train.network.model import (
    POLARITIES,
    Encoding,
    ModelOptions,
    TransferModel,
    TransferOutput,
)
from snntx.train.network.norm import StepNorm
from snntx.train.network.recompute import run_stage
from snntx.train.network.synapses import Activity


class TwoLayers(TransferModel):
    """A convolution and a hidden layer, whose membrane is the domain feature."""

    frame_size = (16, 16)
    least_size = 2

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        channels, hidden = self.wide(16), self.wide(64)
        self.conv = SpikingConv2d(POLARITIES, channels, pool=2, **self.layer_options)
        height, width = (side // 2 for side in self.size)
        self.hidden = SpikingLinear(channels * height * width, hidden, **self.layer_options)
        self.make_heads(hidden)

    def encode(self, frames: Tensor, *, features: bool, constant: Tensor | None) -> Encoding:
        spikes = run_stage(self._convolve, frames, constant, keep=self.keeps_activations)
        return Encoding(*self.hidden(spikes, membrane=features))

    def _convolve(self, frames: Tensor, constant: Tensor | None) -> Activity:
        activity: Activity = self.conv(frames, constant=constant).activity.flatten()
        return activity


class Headless(TransferModel):
    """A network that lacks what a network needs."""


OWN = f"{__name__}:TwoLayers"
Frames = Callable[..., Tensor]
Results = dict[str, Tensor]
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])
every_model = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "resnet34" else name
        for name in MODELS.names()
    ]
    + [pytest.param(OWN, id="own")],
)


def small(name: str, seed: int = 0, **options: Any) -> TransferModel:
    torch.manual_seed(seed)
    return create_model(name, num_classes=3, steps=2, **options)


def tiny(name: str, backend: str, **options: Any) -> TransferModel:
    """A narrow model on small frames, every layer of which fires."""
    side = max(MODELS.get(name).least_size, 16)
    if "threshold" in MODELS.get(name).neuron_defaults:  # one for wider layers
        options = {"threshold": 0.5, "surrogate": "sigmoid", **options}
    model = small(name, backend=backend, width=0.125, size=(side, side + 2), **options)
    normed = any(isinstance(module, StepNorm) for module in model.modules())
    gain = 2 if normed else 4
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=gain / math.sqrt(module.weight[0].numel()))
        elif isinstance(module, StepNorm):
            nn.init.uniform_(module.bias, 0, 0.5)
    return model


def train_once(
    model: TransferModel, static: Tensor, event: Tensor, constant: Tensor | None = None
) -> Results:
    """Outputs, gradients and running statistics of one training pass."""
    output: TransferOutput = model.train()(static, event, constant)
    sum((part.square().mean() for part in output), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    found = {**output._asdict(), **dict(model.named_buffers())}
    for name, parameter in model.named_parameters():
        if name != "coefficient":
            assert parameter.grad is not None, name
            found[f"by {name}"] = parameter.grad
    return found


def assert_same(found: Results, expected: Results, *, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        atol = tolerance * max(1.0, value.abs().max().item())
        torch.testing.assert_close(found[name], value, rtol=0, atol=atol, msg=name)


@every_model
def test_a_network_bears_the_name_by_which_it_is_found(name: str) -> None:
    model = small(name, width=0.125)
    assert model.name == name
    assert type(model) is MODELS.get(name)


def test_a_network_of_our_own_is_short() -> None:
    assert inspect.getsource(TwoLayers).count("\n") < 40


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("Headless", "lacks encode, frame_size"),
        ("small", r"is no subclass of snntx\.train\.network\.model\.TransferModel"),
        ("SpikingLinear", r"is no subclass of snntx\.train\.network\.model\.TransferModel"),
    ],
)
def test_what_is_no_network_is_refused(part: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"model '{re.escape(__name__)}:{part}' .*: {message}"):
        small(f"{__name__}:{part}")


@every_model
@pytest.mark.parametrize("num_classes", [2, 7])
def test_num_classes_is_that_of_both_heads(frames: Frames, name: str, num_classes: int) -> None:
    model = create_model(name, num_classes=num_classes, steps=2, width=0.125).eval()
    with torch.no_grad():
        output = model(frames(model, 1), frames(model, 1))
        alone = model.forward_event(frames(model, 1))
    for logits in (output.static_logits, output.event_logits, alone):
        assert logits.shape == (2, 1, num_classes)


@every_model
def test_frames_that_are_too_small_are_refused(frames: Frames, name: str) -> None:
    least = MODELS.get(name).least_size
    model = small(name, width=0.125, size=(least, least))
    with torch.no_grad():
        assert model(frames(model, 2), frames(model, 2)).event_logits.isfinite().all()
    message = (
        f"model {re.escape(name)}: size is {least - 1}, expected an integer of {least} or more"
    )
    for size in ((least - 1, 48), (48, least - 1)):
        with pytest.raises(UsageError, match=message):
            small(name, size=size)


@both_backends
@every_model
def test_one_branch_alone_has_the_logits_of_both(frames: Frames, name: str, backend: str) -> None:
    model = tiny(name, backend).eval()
    static, event = frames(model, 2), frames(model, 2, seed=1)
    with torch.no_grad():
        both = model(static, event)
        alone = model.forward_static(static), model.forward_event(event)
    assert both.event_logits.any()
    torch.testing.assert_close(alone, both[:2], rtol=0, atol=0)


@every_model
def test_both_heads_and_the_encoder_get_gradients(frames: Frames, name: str) -> None:
    model = tiny(name, "auto")
    found = train_once(model, frames(model, 3), frames(model, 3, seed=1))
    assert [each for each, value in found.items() if not value.isfinite().all()] == []
    silent = [each for each, value in found.items() if each.startswith("by ") and not value.any()]
    assert silent == []
    assert torch.equal(model.coefficient, torch.ones(2))
    assert model.coefficient.grad is None


@every_model
def test_a_saved_state_gives_the_same_logits(frames: Frames, name: str) -> None:
    source, target = (tiny(name, "auto", seed=seed) for seed in (0, 1))
    static, event = frames(source, 3), frames(source, 3, seed=1)
    with torch.no_grad():
        source.coefficient.copy_(torch.tensor([0.25, -1.0]))
        source(static, event)  # moves the running statistics
    file = io.BytesIO()
    torch.save(source.state_dict(), file)
    file.seek(0)
    with torch.no_grad():
        before = target.eval()(static, event)
        target.load_state_dict(torch.load(file, weights_only=True))
        expected, found = source.eval()(static, event), target(static, event)
    assert not torch.equal(before.event_logits, expected.event_logits)
    assert torch.equal(target.coefficient, source.coefficient)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@every_model
def test_backends_train_alike(frames: Frames, name: str) -> None:
    found = []
    for backend in ("torch", "numba"):
        model = tiny(name, backend)
        found.append(train_once(model, frames(model, 3), frames(model, 3, seed=1)))
    assert_same(found[1], found[0], tolerance=2e-5)


@both_backends
@every_model
def test_running_stages_again_changes_no_result(frames: Frames, name: str, backend: str) -> None:
    found, calls = [], []
    for keep in (True, False):
        model = tiny(name, backend, keep_activations=keep)
        layers = [module for module in model.modules() if isinstance(module, SpikingLayer)]
        ran: list[int] = []
        layers[0].register_forward_pre_hook(lambda *_, ran=ran: ran.append(1))
        found.append(train_once(model, frames(model, 3), frames(model, 3, seed=1)))
        calls.append(len(ran))
    assert calls == [2, 4]
    assert_same(found[1], found[0], tolerance=0)


@both_backends
@every_model
@pytest.mark.parametrize("still", [[0, 2], [0, 1, 2]], ids=["some", "all"])
@pytest.mark.parametrize("keep", [True, False])
def test_marking_constant_samples_changes_no_result(
    frames: Frames, name: str, backend: str, still: list[int], keep: bool
) -> None:
    constant = torch.zeros(3, dtype=torch.bool)
    constant[still] = True
    dtype = torch.float64 if backend == "torch" else torch.float32
    found = []
    for mask in (None, constant):
        model = tiny(name, backend, keep_activations=keep).to(dtype)
        static, event = (frames(model, 3, seed=seed).to(dtype) for seed in (0, 1))
        static[still] = static[still, :1]
        found.append(train_once(model, static, event, mask))
    assert_same(found[1], found[0], tolerance=2e-5 if dtype == torch.float32 else 1e-12)


@both_backends
@every_model
def test_every_population_learns_its_own_leak_and_threshold(
    frames: Frames, name: str, backend: str
) -> None:
    model = tiny(name, backend, kind="plif", learn_threshold=True)
    layers = [n for n, module in model.named_modules() if isinstance(module, SpikingLayer)]
    found = train_once(model, frames(model, 3), frames(model, 3, seed=1))
    for layer in layers:
        for parameter in ("leak_logit", "threshold"):
            assert found[f"by {layer}.{parameter}"].shape == ()
            assert found[f"by {layer}.{parameter}"] != 0
