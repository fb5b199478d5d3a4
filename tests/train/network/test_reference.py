"""The published networks by the reference implementation's names and counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from snntx.errors import UsageError
from snntx.train.checkpoints.reference import (
    load_reference_state,
    reference_constants,
    reference_view,
)
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel

GOLDEN = Path(__file__).parents[2] / "golden"
PUBLISHED = ("vgg", "resnet18", "scnn")
Frames = Callable[..., Tensor]


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_references(name: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as golden:
        meta = json.loads(str(golden["meta_json"]))
        shapes = zip(golden["state_shapes"], golden["state_is_trainable"], strict=True)
        expected = sum(math.prod(json.loads(str(shape))) for shape, learnt in shapes if learnt)
    model = create_model(name, num_classes=meta["num_classes"], steps=meta["T"])
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == expected


def reference_state(model: TransferModel) -> dict[str, Tensor]:
    state = reference_view(model, model.state_dict())
    constants = {name: torch.tensor(v) for name, v in reference_constants(model).items()}
    return {name: tensor.clone() for name, tensor in (state | constants).items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_reference_state_round_trip(frames: Frames, name: str) -> None:
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
    model = create_model("vgg", num_classes=3, steps=2, width=0.125)
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
        load_reference_state(create_model("nmnist", num_classes=3, steps=2), {})
