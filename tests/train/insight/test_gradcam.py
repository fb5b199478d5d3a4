"""Grad-CAM by step, restated plainly in float64 from the paper's two equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.insight.gradcam import grad_cam, layer_names
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.layers import LayerOutput
from snntx.train.network.model import TransferModel

STEPS, BATCH = 3, 2
BRANCHES = ("event", "static")


def network(name: str = "nmnist", **options: object) -> TransferModel:
    torch.manual_seed(3)
    options = {"width": 0.2, "threshold": 0.05, "backend": "torch", **options}
    model = create_model(name, num_classes=3, steps=STEPS, **options)  # type: ignore[arg-type]
    return model.double().eval()


def frames_of(model: TransferModel) -> Tensor:
    generator = torch.Generator().manual_seed(8)
    size = model.size[::-1] if model.layout == "xy" else model.size
    shape = (BATCH, STEPS, 2, *size)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 3


def plain(
    model: TransferModel, frames: Tensor, name: str, branch: str, target: int
) -> NDArray[np.float64]:
    """Selvaraju et al. (2017), equations 1 and 2, in loops over samples, steps and channels."""
    kept: list[Tensor] = []

    def keep(_: object, __: object, output: LayerOutput) -> None:
        kept.append(output.spikes)

    hook = model.get_submodule(name).register_forward_hook(keep)
    forward = model.forward_event if branch == "event" else model.forward_static
    scores = forward(frames).sum(0)[:, target] / STEPS
    hook.remove()
    [values] = kept
    maps = np.zeros((BATCH, STEPS, *values.shape[3:]))
    for sample in range(BATCH):  # each by its own score
        [slopes] = torch.autograd.grad(scores[sample], values, retain_graph=True)
        for step in range(STEPS):
            for channel in range(values.shape[2]):
                slope = slopes[step, sample, channel]
                weight = float(slope.sum()) / slope.numel()
                maps[sample, step] += weight * values[step, sample, channel].detach().numpy()
    return np.where(maps > 0, maps, 0)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("layer", ["first", "second"])
def test_it_is_the_papers_at_each_step(layer: str, branch: str) -> None:
    model = network()
    frames, some = frames_of(model), 0
    for target in range(3):
        maps, logits = grad_cam(model, frames, layer, torch.tensor([target] * BATCH), branch)
        expected = plain(model, frames, layer, branch, target)
        np.testing.assert_allclose(maps, expected, rtol=1e-10, atol=1e-15)
        some += int(np.count_nonzero(expected))
    assert some > 20
    forward = model.forward_event if branch == "event" else model.forward_static
    with torch.no_grad():
        torch.testing.assert_close(logits, forward(frames).mean(0))


def test_without_a_class_each_sample_has_its_own_answers() -> None:
    model = network()
    frames = frames_of(model)
    maps, logits = grad_cam(model, frames, "second", None, "event")
    for sample, answer in enumerate(logits.argmax(1).tolist()):
        expected = plain(model, frames, "second", "event", answer)[sample]
        np.testing.assert_allclose(maps[sample], expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("place", ["neuron", "spikes", "convolution"])
@pytest.mark.parametrize("branch", BRANCHES)
def test_networks_with_attention_have_maps(place: str, branch: str) -> None:
    model = network(attention=Attention(place=place))
    frames = frames_of(model)
    some = 0
    for target in range(3):
        maps, _ = grad_cam(model, frames, "second", torch.tensor([target] * BATCH), branch)
        expected = plain(model, frames, "second", branch, target)
        np.testing.assert_allclose(maps, expected, rtol=1e-9, atol=1e-15)
        some += int(np.count_nonzero(expected))
    assert some


@pytest.mark.parametrize("options", [{"keep_activations": False}, {"backend": "numba"}])
def test_other_ways_to_compute_give_the_same(options: dict[str, object]) -> None:
    sizes = {"width": 0.05, "size": (16, 16)}
    kept, model = network("vgg", **sizes), network("vgg", **sizes, **options)
    frames = frames_of(kept)
    maps, _ = grad_cam(model, frames, "features.1", torch.tensor([0, 0]), "event")
    expected = plain(kept, frames, "features.1", "event", 0)
    np.testing.assert_allclose(maps, expected, rtol=1e-6, atol=1e-12)
    assert np.any(expected)
    assert model.keeps_activations == options.get("keep_activations", True)
    assert not any(each._forward_hooks for each in model.modules())
    assert all(each.grad is None for each in model.parameters())


def test_maps_stand_as_the_frames_do() -> None:
    model = network(size=(20, 12))
    model.lay_out("xy")
    frames = frames_of(model)
    maps, _ = grad_cam(model, frames, "first", torch.tensor([0, 0]), "event")
    turned = plain(model, frames, "first", "event", 0).swapaxes(2, 3)
    assert maps.shape[2:] == (10, 6)
    np.testing.assert_allclose(maps, turned, rtol=1e-9, atol=1e-15)


def test_weights_that_are_not_trained_do_not_matter() -> None:
    model = network()
    frames = frames_of(model)
    expected = grad_cam(model, frames, "second", None, "event")[0]
    model.requires_grad_(False)
    assert torch.equal(grad_cam(model, frames, "second", None, "event")[0], expected)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("secnd", r"--layer secnd: .* no such layer; did you mean 'second'\? .*first, second"),
        ("hidden", r"--layer hidden: sends no pixels.* of: first, second$"),
        ("static_head", r"--layer static_head: does not run by itself in the event branch"),
    ],
)
def test_a_layer_without_maps_is_refused_with_those_that_there_are(name: str, told: str) -> None:
    model = network()
    assert layer_names(model) == ["first", "second", "hidden"]
    with pytest.raises(UsageError, match=told):
        grad_cam(model, frames_of(model), name, None, "event")
    assert not any(each._forward_hooks for each in model.modules())


def test_an_answer_that_does_not_depend_on_the_layer_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = network()

    def apart(*_: object) -> Tensor:
        return model.coefficient.expand(STEPS, BATCH, 3)

    monkeypatch.setattr(model, "classify", apart)
    with pytest.raises(UsageError, match=r"no gradient of the static branch's score reaches it"):
        grad_cam(model, frames_of(model), "second", None, "static")
