"""Published checkpoints: recognised by their weights, and refused where they do not fit."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.errors import SnntxError, UsageError
from snntx.tests import published_files as files
from snntx.train.checkpoints.published import Published, reference_model
from snntx.train.checkpoints.reference import reference_view
from snntx.train.checkpoints.weights import open_weights
from snntx.train.network.create import create_model

CPU = torch.device("cpu")


layouts = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def load_published(path: Path) -> Published:
    return open_weights(path).published()


def refuse(path: Path, *parts: str) -> str:
    """Loading fails with one line that names the file."""
    with pytest.raises(SnntxError) as caught:
        load_published(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


# what a file holds


@layouts
@pytest.mark.parametrize("name", ["scnn", "resnet18", "vgg", "nmnist-published", "resnet34"])
def test_golden_names_are_recognised(name: str, legacy: bool, tmp_path: Path) -> None:
    state, meta = files.golden_state(name)
    side = {"nmnist-published": 34}.get(name, 48)
    args = files.arguments(name, steps=meta["T"], classes=meta["num_classes"], event_size=side)
    path = files.write(tmp_path / "model_best.pth.tar", state, args, legacy=legacy)
    found = load_published(path)
    assert (found.model, found.steps, found.classes) == (name, meta["T"], meta["num_classes"])
    assert (found.threshold, found.alpha, found.tau) == (0.5, 2.0, 2.0)
    assert (found.seed, found.epoch, found.metric) == (1024, 8, 92.64)
    assert found.size == (None if name == "scnn" else side)
    model = found.build_model(CPU)
    assert not model.training
    assert model.size == (meta["H"], meta["H"])
    assert model.neuron.surrogate.name == ("backeigate" if name == "scnn" else "qgate")
    for theirs, tensor in reference_view(model, model.state_dict()).items():
        assert torch.equal(tensor, state[theirs]), theirs


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_a_network_within_another_is_told_by_all_of_its_modules(name: str, tmp_path: Path) -> None:
    state = files.state_of(create_model(name, num_classes=4, steps=2, width=0.02))
    assert reference_model(state) == name
    lacking = {each: value for each, value in state.items() if not each.startswith("layer2.1.")}
    assert reference_model(lacking) == name


def test_steps_classes_and_constants_are_read_off_the_state(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=4, steps=2, threshold=0.25, alpha=3.0)
    state = files.state_of(model)
    found = load_published(files.write(tmp_path / "a.pth.tar", state, argparse.Namespace()))
    assert (found.model, found.steps, found.classes) == ("resnet18", 2, 4)
    assert (found.threshold, found.alpha) == (0.25, 3.0)
    assert (found.size, found.seed, found.surrogate) == (None, None, None)
    frames = torch.rand(1, 2, 2, 48, 48)
    with torch.no_grad():
        expected = model.eval().forward_event(frames)
        assert torch.equal(found.build_model(CPU).forward_event(frames), expected)


def test_names_of_a_parallel_model(tmp_path: Path) -> None:
    state = files.state_of(files.small())
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    found = load_published(files.write_small(tmp_path / "a.pth.tar", prefixed))
    assert found.state.keys() == state.keys()


def test_a_bare_state_needs_no_command_line(tmp_path: Path) -> None:
    torch.save(files.state_of(files.small()), tmp_path / "a.pth")
    found = load_published(tmp_path / "a.pth")
    assert (found.model, found.epoch, found.metric) == ("scnn", None, None)


def test_averaged_weights_are_left_aside(tmp_path: Path) -> None:
    average = {name: tensor + 1 for name, tensor in files.state_of(files.small()).items()}
    found = load_published(files.write_small(tmp_path / "a.pth.tar", state_dict_ema=average))
    assert torch.equal(found.state["fc2.bias"], files.small().get_parameter("shared_head.bias"))


# what does not fit


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", "Transfer_VGG_SNN", "model 'Transfer_VGG_SNN' instead of 'Transfer_SCNN'"),
        ("step", 4, "step 4 instead of 3"),
        ("threshold", 0.4, "threshold 0.4 instead of 0.5"),
        ("node_type", "PLIFNode", "node_type 'PLIFNode' instead of 'LIFNode'"),
        ("step", True, "step True instead of 3"),
    ],
)
def test_a_command_line_that_contradicts_the_weights(
    name: str, value: Any, message: str, tmp_path: Path
) -> None:
    args = files.arguments("scnn", steps=3, classes=10, **{name: value})
    path = files.write(tmp_path / "a.pth.tar", files.state_of(files.small()), args)
    refuse(path, "its command line (args) does not fit its weights: ", message)


def test_classes_count_except_where_the_network_ignores_them(tmp_path: Path) -> None:
    args = files.arguments("scnn", steps=3, classes=1623)
    path = files.write(tmp_path / "a.pth.tar", files.state_of(files.small()), args)
    assert load_published(path).classes == 10
    torch.manual_seed(0)
    state = files.state_of(create_model("resnet18", num_classes=4, steps=2))
    args = files.arguments("resnet18", steps=2, classes=5)
    refuse(files.write(path, state, args), "num_classes 5 instead of 4")
    torch.manual_seed(0)
    state = files.state_of(create_model("nmnist-published", num_classes=10, steps=2, width=0.02))
    args = files.arguments("nmnist-published", steps=2, classes=101)  # the command line's default
    assert load_published(files.write(path, state, args)).classes == 10
    state["dvs_fc.0.weight"] = state["dvs_fc.0.weight"][:-1].clone()
    refuse(files.write(path, state, args), "dvs_fc.0.weight should be (10 x classes, inputs)")


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """The small state with tensors replaced (dots are written __) or dropped."""
    state = files.state_of(files.small())
    for name, value in changes.items():
        state.pop(name.replace("__", "."), None)
        if value is not None:
            state[name.replace("__", ".")] = value
    return dict(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc1__bias": None}, "names differ: missing fc1.bias"),
        ({"fc3__bias": torch.ones(2)}, "names differ: unexpected fc3.bias"),
        ({"fc1__weight": torch.ones(300, 640)}, "shapes differ: fc1.weight (300, 640) instead of"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    found = load_published(files.write_small(tmp_path / "a.pth.tar", changed(**changes)))
    with pytest.raises(SnntxError) as caught:
        found.build_model(CPU, (34, 34))
    assert str(caught.value).startswith(f"{found.path}: ")
    assert message in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefficient__1": None}, "coefficients should be numbered from 0, found 0, 2"),
        ({"fc2__weight": None}, "fc2.weight should be (classes, inputs), found None"),
        ({"fc2__weight": torch.ones(3)}, "fc2.weight should be (classes, inputs), found (3,)"),
        ({"node1__threshold": torch.tensor(0.75)}, "same threshold, found 0.5 to 0.75"),
        ({"fc1__bias": torch.full((300,), torch.nan)}, "fc1.bias holds a value that is not finite"),
        ({"fc1__bias": torch.ones(1).expand(300)}, "fc1.bias claims more values than the file"),
    ],
)
def test_a_state_that_cannot_be_read(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    refuse(files.write_small(tmp_path / "a.pth.tar", changed(**changes)), message)


def test_another_network(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "a.pth.tar")
    refuse(tmp_path / "a.pth.tar", "not the weights of Transfer_VGG_SNN", "begin with bias, weight")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected a checkpoint"),
        ({}, "holds no weights: expected tensors by name"),
        ({"state_dict": 3}, "holds no weights: expected tensors by name"),
        ({"state_dict": {"a": 3}}, "holds no weights: 'a' is a int, expected tensors by name"),
    ],
)
def test_something_else(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth.tar")
    refuse(tmp_path / "a.pth.tar", message)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such run directory or checkpoint"):
        load_published(tmp_path / "none.pth.tar")


def test_what_is_read_is_plain(tmp_path: Path) -> None:
    found = load_published(files.write_small(tmp_path / "a.pth.tar"))
    assert isinstance(found, Published)
    assert all(type(tensor) is Tensor for tensor in found.state.values())
