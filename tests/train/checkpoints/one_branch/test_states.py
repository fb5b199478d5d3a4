"""States of the networks of Yao et al. and of SpikingJelly's: recognised, read, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.errors import SnntxError, UsageError, shell_word
from snntx.tests import asa_golden as golden
from snntx.train.checkpoints.initialise import initial_weights
from snntx.train.checkpoints.published import Published
from snntx.train.checkpoints.reference import reference_view
from snntx.train.checkpoints.weights import open_weights
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model
from snntx.train.network.model import TransferModel

CPU = torch.device("cpu")


def written(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, path)
    return path


def of_case(path: Path, name: str) -> tuple[Path, TransferModel]:
    case = golden.cases()[name]
    made = create_model(**golden.options(case))
    return written(path, golden.state(case, made)), made


def read(path: Path) -> Published:
    return open_weights(path).published()


def smallest(**options: Any) -> TransferModel:
    return create_model(**{"name": "asa3", "num_classes": 11, "steps": 8, **options})


@pytest.mark.parametrize(
    ("case", "model", "steps", "options"),
    [
        ("A_no", "asa3", None, {"conv_channels": (64, 128, 128)}),
        (
            "A_r4",
            "asa3",
            8,
            {
                "conv_channels": (64, 128, 128),
                "attention": Attention(mode="reference", reduction=3),
            },
        ),
        (
            "D_asa",
            "asa3",
            8,
            {"conv_channels": (32, 32, 32), "attention": Attention(mode="reference", reduction=2)},
        ),
        ("B_no", "asa5", None, {"conv_channels": (128,) * 5}),
        (
            "C_asa",
            "asa5",
            6,
            {
                "conv_channels": (64, 128, 128, 128, 128),
                "kind": "lif",
                "spike_pool": "average",
                "attention": Attention(mode="reference"),
            },
        ),
    ],
)
def test_what_a_state_says_of_its_network(
    case: str, model: str, steps: int | None, options: dict[str, Any], tmp_path: Path
) -> None:
    path, _ = of_case(tmp_path / "net.pth", case)
    found = read(path)
    assert open_weights(path).kind == "state"
    assert (found.model, found.steps, found.options) == (model, steps, options)
    config = golden.cases()[case]
    assert found.classes == config.get("num_classes", 11)
    built = found.build_model(CPU, (32, 32), config["T"]).double()
    frames, _ = golden.frames(case, config)
    given = frames.transpose(-1, -2) if built.layout == "xy" else frames
    with torch.no_grad():
        assert built.forward_event(given).mean(0).shape == (len(frames), found.classes)
    expected = golden.network(config, "torch")
    for name, value in built.state_dict().items():
        if not name.startswith(("static_head", "coefficient")):
            assert torch.equal(value, expected.state_dict()[name].to(value)), name


def test_a_network_that_is_read_computes_the_published_numbers(tmp_path: Path) -> None:
    path, _ = of_case(tmp_path / "net.pth", "B_asa")
    frames, _ = golden.frames("B_asa", golden.cases()["B_asa"])
    built = read(path).build_model(CPU, (32, 32)).double()
    with torch.no_grad():
        out = built.forward_event(frames).mean(0)
    wanted = torch.from_numpy(golden.stored("asa_nets")["B_asa_eval_out"])
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-6)  # its values were float32's


def test_spikingjellys_network_is_no_transfer_network(tmp_path: Path) -> None:
    made = create_model("sew-resnet18", num_classes=4, steps=2, width=0.02)
    state = dict(reference_view(made, made.state_dict()))
    found = read(written(tmp_path / "sew.pth", state))
    assert (found.model, found.steps, found.classes) == ("sew-resnet18", None, 4)
    ours = create_model("resnet18", num_classes=4, steps=2, width=0.02)
    state = dict(reference_view(ours, ours.state_dict()))
    with pytest.raises(SnntxError, match="every neuron should have the same threshold"):
        read(written(tmp_path / "transfer.pth", state))


def test_a_scoring_of_an_impossible_shape_is_refused(tmp_path: Path) -> None:
    case = golden.cases()["A_r4"]
    state = golden.state(case, create_model(**golden.options(case)))
    for shape, name in (((5, 8), "fc.0"), ((8, 7), "fc")):
        for layer in range(3):
            state.pop(f"ConvAttLIFs.{layer}.attn.fc.0.weight", None)
        bad = {**state, f"ConvAttLIFs.0.attn.{name}.weight": torch.zeros(shape)}
        path = written(tmp_path / "bad.pth", bad)
        with pytest.raises(SnntxError) as caught:
            read(path)
        expected = "(T // r, T)" if name == "fc.0" else "(T, T)"
        assert str(caught.value) == (
            f"{path}: ConvAttLIFs.0.attn.{name}.weight should be {expected}, found {shape}"
        )


def test_a_fresh_network_takes_its_weights(tmp_path: Path) -> None:
    path, _ = of_case(tmp_path / "net.pth", "A_asa")
    model = smallest(attention=Attention(), layout="xy")
    fresh = model.state_dict()["static_head.linear.weight"].clone()
    assert initial_weights(model, path) == [
        "static_head: left fresh, the source has one branch",
        "15 of its tensors are in no computation of the published code: left out",
    ]
    assert torch.equal(model.state_dict()["static_head.linear.weight"], fresh)
    wanted = golden.network(golden.cases()["A_asa"], "torch").state_dict()
    for name in ("convolutions.1.conv.weight", "event_head.linear.bias", "hidden.linear.weight"):
        assert torch.equal(model.state_dict()[name], wanted[name].float())
    others = smallest(attention=Attention(), layout="xy", num_classes=5)
    notes = initial_weights(others, path)
    assert "event_head: left fresh, the source tells 11 classes apart, this run 5" in notes


@pytest.mark.parametrize(
    ("case", "options", "way"),
    [
        ("A_asa", {"attention": Attention()}, {"layout": "xy"}),
        ("A_asa", {"layout": "xy"}, {"attention": "asa"}),
        ("A_no", {"layout": "xy", "attention": Attention()}, {"attention": "none"}),
        (
            "A_r4",
            {"layout": "xy", "attention": Attention(reduction=2)},
            {"attention_reduction": "3"},
        ),
        ("A_no", {"layout": "xy", "norm": "per-step"}, {"norm": "merged"}),
        ("A_no", {"layout": "xy", "kind": "plif"}, {"neuron": "lif-undecayed"}),
        (
            "C_asa",
            {"name": "asa5", "size": (32, 32), "steps": 6, "attention": Attention()},
            {
                "neuron": "lif",
                "spike_pool": "average",
                "conv_channels": "[64,128,128,128,128]",
            },
        ),
    ],
)
def test_another_network_is_refused_with_the_settings_that_make_it_fit(
    case: str, options: dict[str, Any], way: dict[str, str], tmp_path: Path
) -> None:
    path, _ = of_case(tmp_path / "net.pth", case)
    with pytest.raises(UsageError) as caught:
        initial_weights(smallest(**options), path)
    settings = " ".join(f"--set {shell_word(f'{name}={value}')}" for name, value in way.items())
    assert str(caught.value) == (
        f"{path}: is of another network than this recipe's; train it with {settings}"
    )
    mended = dict(options)
    for name, value in way.items():
        if name == "attention":
            mended["attention"] = Attention() if value == "asa" else None
        elif name == "attention_reduction":
            mended["attention"] = Attention(reduction=int(value))
        elif name == "conv_channels":
            mended[name] = json.loads(value)
        else:
            mended["kind" if name == "neuron" else name] = value
    assert initial_weights(smallest(**mended), path)
