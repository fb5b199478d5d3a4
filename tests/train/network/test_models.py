"""Models from the outside: shapes, sizes, the two branches, and the messages of wrong calls."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snntx.errors import UsageError
from snntx.train.checkpoints.reference import (
    load_reference_state,
    reference_constants,
    reference_view,
)
from snntx.train.network.create import TransferModel, create_model
from snntx.train.network.doors import MODELS
from snntx.train.network.layers import SpikingLayer
from snntx.train.network.model import TransferOutput
from snntx.train.network.norm import StepNorm
from snntx.train.network.surrogates import BackEIGate, QGate

GOLDEN = Path(__file__).parents[2] / "golden"
PUBLISHED = ("vgg", "resnet18", "scnn")
both_backends = pytest.mark.parametrize("backend", ["torch", "numba"])
every_model = pytest.mark.parametrize("name", MODELS.shipped())


def frames(model: TransferModel, batch: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    shape = (batch, model.steps, 2, *model.size)
    return torch.poisson(torch.full(shape, 0.7), generator=source)


def small(name: str = "nmnist", **options: Any) -> TransferModel:
    torch.manual_seed(0)
    return create_model(name, num_classes=3, steps=2, **options)


def tiny(name: str, backend: str, **options: Any) -> TransferModel:
    """A narrow model on small frames, every layer of which fires."""
    side = max(MODELS.get(name).least_size, 16)
    model = small(name, backend=backend, width=0.125, size=(side, side + 2), **options)
    gain = 4 if name == "scnn" else 2  # nothing normalises there
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=gain / math.sqrt(module.weight[0].numel()))
        elif isinstance(module, StepNorm):
            nn.init.uniform_(module.bias, 0, 0.5)
    return model


@pytest.mark.parametrize(
    ("name", "features"), [("vgg", 18432), ("resnet18", 512), ("scnn", 300), ("nmnist", 256)]
)
def test_output_shapes(name: str, features: int) -> None:
    model = small(name)
    with torch.no_grad():
        output = model(frames(model, 2), frames(model, 2, seed=1))
    assert output.static_logits.shape == output.event_logits.shape == (2, 2, 3)
    assert output.static_features.shape == output.event_features.shape == (2, 2, features)


def trainable(model: TransferModel) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_references(name: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as golden:
        meta = json.loads(str(golden["meta_json"]))
        shapes = zip(golden["state_shapes"], golden["state_is_trainable"], strict=True)
        expected = sum(math.prod(json.loads(str(shape))) for shape, learnt in shapes if learnt)
    model = create_model(name, num_classes=meta["num_classes"], steps=meta["T"])
    assert trainable(model) == expected


def test_parameter_counts_by_hand() -> None:
    assert trainable(create_model("vgg", num_classes=101, steps=10)) == 10_153_684
    convolutions = 2 * 15 * 25 + 15 * 40 * 25
    heads = 640 * 300 + 300 + 300 * 1623 + 1623
    assert trainable(create_model("scnn", num_classes=1623, steps=12)) == convolutions + heads + 12
    convolutions, norms = 2 * 16 * 9 + 16 * 32 * 9, 2 * (16 + 32 + 256)
    nmnist = convolutions + norms + 2048 * 256 + 2 * (256 * 10 + 10) + 10
    assert trainable(create_model("nmnist", num_classes=10, steps=10)) == nmnist


@every_model
@pytest.mark.parametrize("num_classes", [2, 7])
def test_num_classes_is_that_of_both_heads(name: str, num_classes: int) -> None:
    model = create_model(name, num_classes=num_classes, steps=2, width=0.125).eval()
    assert [model.head(b).out_features for b in ("static", "event")] == [num_classes] * 2
    with torch.no_grad():
        output = model(frames(model, 1), frames(model, 1))
        alone = model.forward_event(frames(model, 1))
    for logits in (output.static_logits, output.event_logits, alone):
        assert logits.shape == (2, 1, num_classes)


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
    name: str, options: dict[str, Any], head: int, features: int
) -> None:
    model = small(name, **options)
    assert model.head("event").in_features == model.head("static").in_features == head
    with torch.no_grad():
        output = model(frames(model, 2), frames(model, 2))
    assert output.event_logits.shape == (2, 2, 3)
    assert output.event_features.shape == (2, 2, features)


@every_model
def test_frames_that_are_too_small_are_refused(name: str) -> None:
    least = MODELS.get(name).least_size
    model = small(name, width=0.125, size=(least, least))
    with torch.no_grad():
        assert model(frames(model, 2), frames(model, 2)).event_logits.isfinite().all()
    message = f"model {name}: size is {least - 1}, expected an integer of {least} or more"
    for size in ((least - 1, 48), (48, least - 1)):
        with pytest.raises(UsageError, match=message):
            small(name, size=size)


@both_backends
@every_model
def test_event_logits_alone_equal_those_of_both_branches(name: str, backend: str) -> None:
    model = tiny(name, backend).eval()
    event = frames(model, 2, seed=1)
    with torch.no_grad():
        both = model(frames(model, 2), event)
        alone = model.forward_event(event)
    torch.testing.assert_close(alone, both.event_logits, rtol=0, atol=0)


@both_backends
def test_event_only_forward_runs_each_layer_once_and_keeps_no_membrane(backend: str) -> None:
    model = small(backend=backend).eval()
    seen: list[Tensor | None] = []
    for module in model.modules():
        if isinstance(module, SpikingLayer):
            module.register_forward_hook(lambda _, __, output: seen.append(output.membrane))
    with torch.no_grad():
        model.forward_event(frames(model, 2))
    assert seen == [None, None, None]


@both_backends
def test_running_statistics_see_static_steps_then_event_steps(backend: str) -> None:
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


Results = dict[str, Tensor]


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
def test_both_heads_and_the_encoder_get_gradients(name: str) -> None:
    model = tiny(name, "auto")
    found = train_once(model, frames(model, 3), frames(model, 3, seed=1))
    silent = [name for name, value in found.items() if name.startswith("by ") and not value.any()]
    assert silent == []
    assert torch.equal(model.coefficient, torch.ones(2))
    assert model.coefficient.grad is None


@every_model
def test_backends_train_alike(name: str) -> None:
    found = []
    for backend in ("torch", "numba"):
        model = tiny(name, backend)
        found.append(train_once(model, frames(model, 3), frames(model, 3, seed=1)))
    assert_same(found[1], found[0], tolerance=2e-5)


@both_backends
@every_model
def test_running_stages_again_changes_no_result(name: str, backend: str) -> None:
    found, calls = [], []
    for keep in (True, False):
        model = tiny(name, backend, keep_activations=keep)
        layers = [module for module in model.modules() if isinstance(module, SpikingLayer)]
        ran: list[int] = []
        layers[0].register_forward_hook(lambda *_, ran=ran: ran.append(1))
        found.append(train_once(model, frames(model, 3), frames(model, 3, seed=1)))
        calls.append(len(ran))
    assert calls == [2, 4]
    assert_same(found[1], found[0], tolerance=0)


@both_backends
@every_model
@pytest.mark.parametrize("still", [[0, 2], [0, 1, 2]], ids=["some", "all"])
@pytest.mark.parametrize("keep", [True, False])
def test_marking_constant_samples_changes_no_result(
    name: str, backend: str, still: list[int], keep: bool
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


def test_constant_samples_go_through_the_first_convolution_once() -> None:
    model = tiny("resnet18", "auto")
    rows: list[int] = []
    model.get_submodule("stem").register_forward_hook(lambda _, x, __: rows.append(len(x[0])))
    with torch.no_grad():
        model(frames(model, 3), frames(model, 3), torch.tensor([True, False, True]))
    assert rows == [2, 2, 6]  # static: two samples once, one at two steps; then events


def test_domain_features() -> None:
    resnet = tiny("resnet18", "torch").eval()
    with torch.no_grad():
        output = resnet(frames(resnet, 2), frames(resnet, 2, seed=1))
        logits = resnet.head("event")(output.event_features)
    torch.testing.assert_close(output.event_logits, logits)  # what the heads get

    for name, last in (("vgg", "features.7"), ("scnn", "hidden"), ("nmnist", "hidden")):
        model = tiny(name, "torch").eval()
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


@both_backends
@every_model
def test_every_population_learns_its_own_leak_and_threshold(name: str, backend: str) -> None:
    model = tiny(name, backend, kind="plif", learn_threshold=True)
    layers = [n for n, module in model.named_modules() if isinstance(module, SpikingLayer)]
    found = train_once(model, frames(model, 3), frames(model, 3, seed=1))
    for layer in layers:
        for parameter in ("leak_logit", "threshold"):
            assert found[f"by {layer}.{parameter}"].shape == ()
            assert found[f"by {layer}.{parameter}"] != 0


@pytest.mark.parametrize("norm", ["merged", "none"])
def test_norm_option_reaches_every_layer(norm: str) -> None:
    model = small("vgg", width=0.125, norm=norm)
    norms = [layer.norm for layer in model.modules() if isinstance(layer, SpikingLayer)]
    assert len(norms) == 8
    for each in norms:
        assert each is None if norm == "none" else isinstance(each, StepNorm) and each.merged


def assert_normal(weight: Tensor, deviation: float) -> None:
    draws = weight.detach().double().flatten() / deviation
    spread = 5 / math.sqrt(draws.numel())  # five standard errors, or more
    assert abs(draws.mean().item()) < spread
    assert abs(draws.std().item() - 1) < spread
    assert abs((draws.abs() < 1).double().mean().item() - 0.6827) < spread


def assert_uniform(weight: Tensor, bound: float) -> None:
    draws = weight.detach().double().flatten() / bound
    spread = 5 / math.sqrt(draws.numel())
    assert draws.abs().max() <= 1
    assert abs(draws.mean().item()) < spread
    assert abs((draws.abs() < 0.5).double().mean().item() - 0.5) < spread


def test_resnet18_starts_from_kaiming_normal_by_fan_out() -> None:
    convolutions = [m for m in small("resnet18").modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 16 + 3
    for conv in convolutions:
        area = math.prod(conv.kernel_size)
        assert_normal(conv.weight, math.sqrt(2 / (conv.out_channels * area)))


def test_scnn_starts_from_kaiming_normal_by_fan_in_and_uniform_weights() -> None:
    torch.manual_seed(0)
    model = create_model("scnn", num_classes=1623, steps=2)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert (len(convolutions), len(linears)) == (2, 2)
    for conv in convolutions:
        assert_normal(conv.weight, math.sqrt(2 / conv.weight[0].numel()))
    for linear in linears:
        assert_uniform(linear.weight, 0.1)
        assert_uniform(linear.bias, 1 / math.sqrt(linear.in_features))


@pytest.mark.parametrize("name", ["vgg", "nmnist"])
def test_other_models_start_as_torch_does(name: str) -> None:
    for module in small(name).modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert_uniform(module.weight, 1 / math.sqrt(module.weight[0].numel()))
        elif isinstance(module, StepNorm):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()


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
        ({"name": "vg"}, "unknown model 'vg'; did you mean 'vgg'"),
        ({"num_classes": 1}, "num_classes is 1, expected an integer of 2 or more"),
        ({"steps": 0}, "steps is 0, expected an integer of 1 or more"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"width": 0.0}, "model nmnist: width is 0.0, expected a positive factor"),
        ({"width": math.nan}, "width is nan"),
        ({"size": (34, 33.5)}, "size is 33.5, expected an integer of 4 or more"),
        ({"norm": "batch"}, "unknown norm 'batch', known: per-step, merged, none"),
        ({"backend": "cuda"}, "unknown backend 'cuda', known: auto, torch, numba, triton"),
        ({"treshold": 0.5}, "unknown option 'treshold'.*did you mean 'threshold'"),
        ({"kind": "lef"}, "unknown kind 'lef'.*did you mean 'lif'"),
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


@pytest.mark.parametrize("name", PUBLISHED)
def test_reference_state_round_trip(name: str) -> None:
    source, target = (create_model(name, num_classes=3, steps=2, width=0.25) for _ in range(2))
    with torch.no_grad():
        source.coefficient.copy_(torch.tensor([0.25, -1.0]))
        source(frames(source, 2), frames(source, 2))  # moves the running statistics
    before = target.state_dict()
    assert any(not torch.equal(t, before[n]) for n, t in source.state_dict().items())
    load_reference_state(target, reference_state(source))
    for tensor_name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[tensor_name]), tensor_name


@pytest.mark.parametrize("name", PUBLISHED)
def test_reference_state_has_the_references_names(name: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as golden:
        meta = json.loads(str(golden["meta_json"]))
        names, shapes = golden["state_names"], golden["state_shapes"]
        stored = {str(n): tuple(json.loads(str(s))) for n, s in zip(names, shapes, strict=True)}
    model = create_model(name, num_classes=meta["num_classes"], steps=meta["T"])
    assert {n: tuple(t.shape) for n, t in reference_state(model).items()} == stored


def test_reference_state_that_does_not_fit_changes_nothing() -> None:
    model = small("vgg", width=0.125)
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
