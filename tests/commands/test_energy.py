"""The panel of ``snntx evaluate --energy``, and calls of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from snntx.cli import run
from snntx.commands.terminal.energy import print_cost
from snntx.train.measure.energy import Cost, energy
from snntx.train.measure.operations import OperationCounts
from snntx.train.network.attention.options import Attention
from snntx.train.network.create import create_model

CARD = "simulated-digits"


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("energy") / "run"
    settings = ("steps=3", "epochs=1", "batch_size=16", "width=0.25", "tensorboard=false")
    words = [word for setting in settings for word in ("--set", setting)]
    root = str(small_cache / "cache")
    assert run(["train", CARD, "--cache", root, "--out", str(out), "--device", "cpu", *words]) == 0
    return out


def test_the_panel_is_short_and_narrow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    torch.manual_seed(0)
    model = create_model(
        "resnet18", num_classes=3, steps=2, width=0.1, attention=Attention(place="convolution")
    ).eval()
    with torch.inference_mode(), OperationCounts(model) as counts:
        model.forward_event(torch.rand(2, 2, 2, *model.size))
    found = counts.operations()
    print_cost(Cost(found, energy(found)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80
    assert "layers more; --json has them all" in lines[-1]


def test_json_has_all_of_it_and_answers_are_the_same(
    trained: Path, small_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained), "--cache", str(small_cache / "cache"), "--device", "cpu"]
    assert run([*words, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert run([*words, "--json", "--energy", "--pj-mac", "2", "--pj-ac", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    cost = told.pop("cost")
    assert told == plain
    assert "cost" not in plain
    assert cost["samples"] == plain["recordings"]
    assert cost["energy"]["pJ"] == 2 * cost["SynapticOperations"]["Effective_MACs"]
    rates = {name: 1 - each["ActivationSparsity"] for name, each in cost["neurons"].items()}
    layers = {name: each["rate"] for name, each in plain["firing"]["layers"].items()}
    assert rates.pop("second") != layers.pop("second")  # 17 x 17, of which NASFR has 16 x 16
    assert rates == pytest.approx(layers)
    assert set(cost["synapses"]) == {"first.conv", "second.conv", "hidden.linear", "event_head"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--pj-mac", "3"], "--pj-mac and --pj-ac belong to --energy; add it"),
        (["--energy", "--pj-ac", "-1"], "--pj-ac -1.0: expected picojoules, a number of 0 or more"),
        (["--energy", "--pj-ac", "nan"], "--pj-ac nan: expected picojoules"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str],
    line: str,
    trained: Path,
    small_cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = str(small_cache / "cache")
    assert run(["evaluate", str(trained), "--cache", root, "--device", "cpu", *words]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert line in said
