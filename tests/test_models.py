"""Models from the outside: shapes, sizes, the two branches, and the messages of wrong calls."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snntx.errors import UsageError
from snntx.train.layers import SpikingLayer
from snntx.train.models import MODELS, TransferModel, create_model
from snntx.train.reference import load_reference_state, reference_constants, reference_view
from snntx.train.surrogates import QGate


def frames(model: TransferModel, batch: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    shape = (batch, model.steps, 2, *model.frame_size)
    return torch.poisson(torch.full(shape, 0.7), generator=source)


def small(name: str = "nmnist", **options: Any) -> TransferModel:
    torch.manual_seed(0)
    return create_model(name, num_classes=3, steps=2, **options)


@pytest.mark.parametrize(("name", "features"), [("vgg", 18432), ("nmnist", 256)])
def test_output_shapes(name: str, features: int) -> None:
    model = small(name)
    with torch.no_grad():
        output = model(frames(model, 2), frames(model, 2, seed=1))
    assert output.static_logits.shape == output.event_logits.shape == (2, 2, 3)
    assert output.static_features.shape == output.event_features.shape == (2, 2, features)


def test_parameter_counts() -> None:
    def count(name: str, num_classes: int) -> int:
        model = create_model(name, num_classes=num_classes, steps=10)
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    assert count("vgg", 101) == 10_153_684
    convolutions, norms = 2 * 16 * 9 + 16 * 32 * 9, 2 * (16 + 32 + 256)
    assert count("nmnist", 10) == convolutions + norms + 2048 * 256 + 2 * (256 * 10 + 10) + 10


@pytest.mark.parametrize("name", MODELS)
def test_event_logits_alone_equal_those_of_both_branches(name: str) -> None:
    model = small(name).eval()
    event = frames(model, 2, seed=1)
    with torch.no_grad():
        both = model(frames(model, 2), event)
        alone = model.forward_event(event)
    torch.testing.assert_close(alone, both.event_logits, rtol=0, atol=0)


def test_event_only_forward_runs_each_layer_once_and_keeps_no_membrane() -> None:
    model = small().eval()
    seen: list[Tensor | None] = []
    for module in model.modules():
        if isinstance(module, SpikingLayer):
            module.register_forward_hook(lambda _, __, output: seen.append(output.membrane))
    with torch.no_grad():
        model.forward_event(frames(model, 2))
    assert seen == [None, None, None]


def test_running_statistics_see_static_steps_then_event_steps() -> None:
    model = small().train()
    static, event = frames(model, 4), 3 * frames(model, 4, seed=1)
    with torch.no_grad():
        model(static, event)
    layer = model.get_submodule("first")
    norm = layer.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None

    running = torch.zeros(norm.num_features)
    for branch in (static, event):
        for step in branch.transpose(0, 1):
            response = layer.get_submodule("conv")(step)
            running = 0.9 * running + 0.1 * response.mean((0, 2, 3)).detach()
    torch.testing.assert_close(norm.running_mean, running)
    assert norm.num_batches_tracked == 2 * model.steps


def test_both_heads_and_the_encoder_get_gradients() -> None:
    model = small()
    output = model(frames(model, 3), frames(model, 3, seed=1))
    sum(part.square().mean() for part in output).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == ["coefficient"]
    assert torch.equal(model.coefficient, torch.ones(2))


def test_neuron_options_reach_every_layer() -> None:
    model = small(tau=3.0, threshold=0.7, surrogate="qgate", alpha=1.5)
    neurons = {module.neuron for module in model.modules() if isinstance(module, SpikingLayer)}
    (neuron,) = neurons
    assert (neuron.tau, neuron.threshold, neuron.surrogate) == (3.0, 0.7, QGate(1.5))


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
def test_wrong_frames_are_named(shape: tuple[int, ...], branch: str) -> None:
    model = small()
    good, wrong = frames(model, 2), torch.zeros(shape)
    found = "x".join(map(str, shape))
    with pytest.raises(UsageError, match=f"{branch} frames are {found}, expected Bx2x2x34x34"):
        model(*((wrong, good) if branch == "static" else (good, wrong)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"name": "resnet18"}, "'resnet18' is not available in this release, which has: vgg, nm"),
        ({"name": "scnn"}, "'scnn' is not available"),
        ({"name": "vg"}, "unknown model 'vg', available: vgg, nmnist; did you mean 'vgg'"),
        ({"num_classes": 1}, "num_classes is 1, expected an integer of 2 or more"),
        ({"steps": 0}, "steps is 0, expected an integer of 1 or more"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"backend": "cuda"}, "unknown backend 'cuda'"),
        ({"treshold": 0.5}, "unknown option 'treshold'.*did you mean 'threshold'"),
        ({"surrogate": "qgates"}, "unknown surrogate 'qgates'"),
    ],
)
def test_wrong_calls_say_what_to_do(call: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model(**{"name": "nmnist", "num_classes": 10, "steps": 4, **call})


def reference_state(model: TransferModel) -> dict[str, Tensor]:
    state = reference_view(model, model.state_dict())
    constants = {name: torch.tensor(v) for name, v in reference_constants(model).items()}
    return {name: tensor.clone() for name, tensor in (state | constants).items()}


def test_reference_state_round_trip() -> None:
    source, target = small("vgg"), create_model("vgg", num_classes=3, steps=2)
    with torch.no_grad():
        source.coefficient.copy_(torch.tensor([0.25, -1.0]))
    load_reference_state(target, reference_state(source))
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name]), name


def test_reference_state_that_does_not_fit_changes_nothing() -> None:
    model = small("vgg")
    state = reference_state(model)
    with torch.no_grad():
        model.coefficient.fill_(7.0)

    lacking = {name: tensor for name, tensor in state.items() if name != "coefficient.1"}
    with pytest.raises(UsageError, match=r"missing coefficient\.1, unexpected rgb_fc$"):
        load_reference_state(model, lacking | {"rgb_fc": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"rgb_fc\.1\.bias \(4,\) instead of \(3,\)"):
        load_reference_state(model, state | {"rgb_fc.1.bias": torch.zeros(4)})
    with pytest.raises(UsageError, match=r"feature\.3\.node\.threshold 1\.0 instead of 0\.5"):
        load_reference_state(model, state | {"feature.3.node.threshold": torch.tensor(1.0)})
    with pytest.raises(UsageError, match=r"feature\.0\.node\.act_fun\.alpha 3\.0 instead of 2\.0"):
        load_reference_state(model, state | {"feature.0.node.act_fun.alpha": torch.tensor(3.0)})
    assert model.coefficient.tolist() == [7.0, 7.0]


def test_models_without_a_counterpart_refuse_a_reference_state() -> None:
    with pytest.raises(UsageError, match="model nmnist: the reference implementation has no"):
        load_reference_state(small(), {})
