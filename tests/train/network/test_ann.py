"""Networks of ReLU units (``neuron = "relu"``): the same layers, without spikes or time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from snntx.cli import run
from snntx.errors import UsageError
from snntx.train.measure.firing import SpikeCounts
from snntx.train.measure.operations import OperationCounts
from snntx.train.network.create import create_model
from snntx.train.network.layers import SpikingLayer
from snntx.train.network.models.nmnist import TransferNMNIST
from snntx.train.network.neurons import Neuron

CARD = "simulated-digits"


def normed(layer: SpikingLayer, drive: Tensor) -> Tensor:
    norm = layer.norm
    assert norm is not None
    return F.batch_norm(drive, None, None, norm.weight, norm.bias, True, 0.1, norm.eps)


def plainly(model: TransferNMNIST, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Logits ``(T, B, C)`` and the last layer's pre-activation of an nmnist network in training."""
    logits, features = [], []
    for each in frames.unbind(1):
        for layer in (model.first, model.second):
            drive = F.conv2d(each, layer.conv.weight, padding=1)
            drive = normed(layer, drive)
            each = F.avg_pool2d(F.relu(drive), 2)
        drive = normed(model.hidden, F.linear(each.flatten(1), model.hidden.linear.weight))
        features.append(drive)
        logits.append(model.head("event")(F.relu(drive)))
    return torch.stack(logits), torch.stack(features)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_plain_network_forward_and_gradient(backend: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"num_classes": 4, "steps": 3, "width": 0.25, "size": (10, 10)}
    model = create_model("nmnist", kind="relu", backend=backend, **options)
    assert isinstance(model, TransferNMNIST)
    model.to(dtype).train()
    frames = torch.rand(5, 3, 2, 10, 10, dtype=dtype)
    output = model(frames, frames)
    logits, features = plainly(model, frames)
    close, loose = (1e-10, 1e-10) if dtype == torch.float64 else (1e-5, 1e-3)
    torch.testing.assert_close(output.event_logits, logits, rtol=close, atol=close)
    torch.testing.assert_close(output.event_features, features, rtol=close, atol=close)
    weights = [p for n, p in model.named_parameters() if "head" not in n and p.requires_grad]
    weights = [p for p in weights if p.ndim > 0 and p is not model.coefficient]
    ours = torch.autograd.grad(output.event_logits.square().sum(), weights, allow_unused=True)
    theirs = torch.autograd.grad(logits.square().sum(), weights, allow_unused=True)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=loose, atol=loose)


def test_no_step_knows_of_another() -> None:
    torch.manual_seed(0)
    model = create_model("nmnist", num_classes=4, steps=4, width=0.25, kind="relu").eval()
    frames = torch.rand(2, 4, 2, 34, 34)
    with torch.inference_mode():
        forwards = model.forward_event(frames)
        backwards = model.forward_event(frames.flip(1))
    torch.testing.assert_close(forwards, backwards.flip(0))


@pytest.mark.parametrize("name", ["vgg", "scnn", "resnet18", "sew-resnet18", "asa3", "asa5"])
def test_every_network_has_one(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, steps=2, width=0.1, kind="relu").train()
    frames = torch.rand(2, 2, 2, *model.size)
    output = model(frames, frames)
    assert torch.isfinite(output.event_logits).all()
    output.event_logits.sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert any(grad.abs().sum() > 0 for grad in grads)
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_its_units_have_no_membrane_to_update() -> None:
    updates = {}
    for kind in ("relu", "lif"):
        torch.manual_seed(0)
        model = create_model("nmnist", num_classes=3, steps=2, width=0.1, kind=kind).eval()
        with OperationCounts(model) as counts, torch.inference_mode():
            model.forward_event(torch.rand(2, 2, 2, 34, 34))
        updates[kind] = counts.operations().membrane_updates
    assert updates["relu"] == 0 < updates["lif"]


def test_it_has_no_firing_rate() -> None:
    model = create_model("nmnist", num_classes=3, steps=2, width=0.1, kind="relu").eval()
    with SpikeCounts(model) as counted, torch.inference_mode():
        model.forward_event(torch.rand(2, 2, 2, 34, 34))
    assert counted.firing() is None


@pytest.mark.parametrize("more", [{"learn_threshold": True}, {"sends": "excess"}])
def test_what_it_does_not_have_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="kind relu has no threshold"):
        Neuron(kind="relu", **more)


def test_it_is_trained_measured_and_started_from(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = ["--cache", str(small_cache / "cache"), "--device", "cpu"]
    tiny = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "recordings_per_class=0",
            "draws_per_epoch=32", "neuron=relu")  # fmt: skip
    words = [word for each in tiny for word in ("--set", each)]
    first, second = tmp_path / "images", tmp_path / "both"
    images = ["--set", "method=static-only", "--out", str(first)]
    assert run(["train", CARD, *cache, *words, *images]) == 0
    both = ["--set", "method=sliding", "--set", f"initial={first}", "--out", str(second)]
    assert run(["train", CARD, *cache, *words, *both]) == 0
    capsys.readouterr()
    assert run(["evaluate", str(second), *cache, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "firing" not in told
    assert run(["compare", str(second), "--metric", "nasfr"]) == 2
    assert "(neuron = relu)" in capsys.readouterr().err
