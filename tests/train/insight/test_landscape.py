"""``snntx landscape``: directions, surfaces that are known, going on, several processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snntx.cli import run
from snntx.draw.landscape import landscape_png
from snntx.errors import SnntxError, UsageError
from snntx.preprocess.disk.locks import Lock
from snntx.train.assess.evaluate import evaluate_run
from snntx.train.insight import landscape as module
from snntx.train.insight.directions import Origin, draw_direction, remade_statistics
from snntx.train.insight.landscape import landscape
from snntx.train.insight.landscape_file import Asked, Point, read_landscape, text_of
from snntx.train.network.norm import StepNorm

CARD = "simulated-digits"
SETTINGS = (
    "steps=3", "epochs=2", "batch_size=16", "lr=0.1", "draws_per_epoch=0", "width=0.25",
    "recordings_per_class=0", "backend=torch",
)  # fmt: skip
SMALL = {"points": 3, "recordings": 8}


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("landscape") / "run"
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    root = str(small_cache / "cache")
    assert run(["train", CARD, "--cache", root, "--out", str(out), "--device", "cpu", *words]) == 0
    return out


@pytest.fixture
def root(small_cache: Path) -> Path:
    return small_cache / "cache"


def toy() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(4, 5)).double()


def test_every_filter_is_as_long_as_the_networks() -> None:
    model = toy()
    found = draw_direction(model, 7)
    assert set(found) == {"0.weight", "2.weight"}
    for name, direction in found.items():
        for one, weight in zip(direction, model.get_parameter(name), strict=True):
            assert float(one.norm()) == pytest.approx(float(weight.detach().norm()), rel=1e-12)
    again, other = draw_direction(model, 7), draw_direction(model, 8)
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert not torch.equal(found["2.weight"], other["2.weight"])
    moved = draw_direction(model, 7, norms=True)
    assert set(moved) == {"0.weight", "1.weight", "1.bias", "2.weight"}
    assert moved["1.weight"].abs().tolist() == [1, 1, 1]
    assert moved["1.bias"].abs().tolist() == [0, 0, 0]
    assert torch.equal(moved["2.weight"], found["2.weight"])


def test_a_filter_of_noughts_does_not_move() -> None:
    model = nn.Linear(4, 2, bias=False)
    nn.init.zeros_(model.weight)
    assert not draw_direction(model, 0)["weight"].any()


def test_a_quadratic_has_the_surface_that_is_known() -> None:
    """Of |w|² along a and b: |w|² + a² |d|² + b² |e|² + 2a w·d + 2b w·e + 2ab d·e."""
    model = nn.Linear(6, 4, bias=False).double()
    d, e = draw_direction(model, 0), draw_direction(model, 1)
    three = (model.weight, *d.values(), *e.values())
    w, u, v = (each.detach().numpy().ravel().copy() for each in three)
    origin = Origin(model)
    for a in (-1.0, 0.0, 0.3):
        for b in (-0.5, 0.0, 1.0):
            origin.move([d, e], [a, b])
            expected = w @ w + a * a * u @ u + b * b * v @ v + 2 * a * w @ u + 2 * b * w @ v
            expected += 2 * a * b * u @ v
            assert float(model.weight.detach().square().sum()) == pytest.approx(
                float(expected), rel=1e-12
            )
    origin.move([d, e], [0, 0])
    assert np.array_equal(model.weight.detach().numpy().ravel(), w)


@pytest.mark.parametrize("kind", ["merged", "per-step", "per-step-own", "per-step-pooled"])
def test_remade_statistics_are_the_running_mean_without_its_first_value(kind: str) -> None:
    norm = StepNorm(2, kind, 3).double().eval()
    norm.running_mean.fill_(1e6)
    draw = torch.Generator().manual_seed(0)
    batches = [torch.randn(3, 5, 2, 4, generator=draw, dtype=torch.float64) + i for i in range(3)]
    with remade_statistics(norm):
        for each in batches:
            norm(each)
    assert not norm.training

    def mean(values: list[Tensor]) -> Tensor:
        weights = np.array([0.9 ** (len(values) - 1 - i) for i in range(len(values))])
        weights /= weights.sum()
        return sum((w * v for w, v in zip(weights, values, strict=True)), torch.zeros(2))

    if kind == "per-step":
        expected = mean([step.mean((0, 2)) for each in batches for step in each])
    elif kind == "per-step-own":
        expected = torch.stack([mean([each[t].mean((0, 2)) for each in batches]) for t in range(3)])
    else:
        expected = mean([each.mean((0, 1, 3)) for each in batches])
    torch.testing.assert_close(norm.running_mean, expected.double())


def test_at_nought_it_is_what_evaluate_measures(trained: Path, root: Path, tmp_path: Path) -> None:
    found = landscape(trained, tmp_path / "a.json", root, asked=Asked(points=3, two=True))
    expected = evaluate_run(trained, root, "cpu").metrics
    assert found.axis.tolist() == [-1, 0, 1]
    assert found.loss[1, 1] == pytest.approx(expected.loss, rel=1e-6)
    assert found.top1[1, 1] == expected.top1
    assert np.isfinite(found.loss).all()
    assert landscape_png(found)[:4] == b"\x89PNG"


def test_several_processes_and_going_on_change_no_byte(
    trained: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(**SMALL, norm_statistics="recompute")  # type: ignore[arg-type]
    whole, other, cut = (tmp_path / f"{name}.json" for name in ("whole", "two", "cut"))
    landscape(trained, whole, root, asked=asked)
    landscape(trained, other, root, asked=asked, workers=2)
    assert whole.read_bytes() == other.read_bytes()

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        landscape(trained, cut, root, asked=asked, on_point=stop)
    assert np.isnan(read_landscape(cut).loss).sum() == 1
    counted: list[Any] = []
    value = module.Ground.value

    def watched(self: module.Ground, at: Point) -> tuple[float, float]:
        counted.append(at)
        return value(self, at)

    monkeypatch.setattr(module.Ground, "value", watched)
    landscape(trained, cut, root, asked=asked)
    assert counted == [(2,)]
    assert cut.read_bytes() == whole.read_bytes()


def test_a_call_that_is_terminated_is_gone_on_with(
    trained: Path, root: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / "cut.json", tmp_path / "whole.json"
    words = ["landscape", str(trained), "--cache", str(root), "--device", "cpu", "--points", "150"]
    words += ["--recordings", "8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "snntx", *words, "--out", str(out)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    end = time.monotonic() + 120
    while not out.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 143, told
    assert "run the same command again to go on" in told
    done = json.loads(out.read_text())["points"]
    assert 0 < len(done) < 150
    assert run([*words, "--out", str(out)]) == 0
    assert run([*words, "--out", str(whole)]) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_run_by_another_loss_is_told(small_cache: Path, root: Path, tmp_path: Path) -> None:
    settings = [*SETTINGS, "epochs=1", "loss=squared", "tet=false"]
    words = [word for setting in settings for word in ("--set", setting)]
    words += ["--cache", str(root), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert run(["train", CARD, *words]) == 0
    told: list[str] = []
    landscape(tmp_path / "run", tmp_path / "a.json", root, asked=Asked(2), on_note=told.append)
    assert "trained by the squared loss" in told[-1]


def test_what_is_drawn_and_known_is_said(trained: Path, root: Path, tmp_path: Path) -> None:
    told: list[str] = []
    asked = Asked(points=2, recordings=8, part="train", norm_statistics="recompute")
    landscape(trained, tmp_path / "a.json", root, asked=asked, on_note=told.append)
    assert len(told) == 2
    assert "recordings it was trained on" in told[0]
    assert re.fullmatch(r"8 of \d+ train recordings, drawn by --seed", told[1])


@pytest.mark.parametrize(
    "change", [{"points": 2}, {"points": "x"}, {"two": True}, {"low": 3.0}, {"part": None}]
)
def test_a_file_that_does_not_fit_itself_is_no_landscape(
    change: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**asdict(Asked(points=3)), **change}
    settings = {name: value for name, value in settings.items() if value is not None}
    path = tmp_path / "a.json"
    path.write_text(text_of(settings, {(2,): (1.0, 0.5)}))
    with pytest.raises(SnntxError, match="is no whole landscape"):
        read_landscape(path)


def test_other_settings_in_the_file_are_named(trained: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    landscape(trained, out, root, asked=Asked(**SMALL))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"landscape of points = 3 \(not 5\), seed = 0 \(not 4\)"):
        landscape(trained, out, root, asked=Asked(points=5, recordings=8, seed=4))
    out.write_text("{}")
    with pytest.raises(SnntxError, match="is no landscape"):
        landscape(trained, out, root, asked=Asked(**SMALL))  # type: ignore[arg-type]
    with Lock(tmp_path / ".b.json.lock"), pytest.raises(SnntxError, match="is being written by"):
        landscape(trained, tmp_path / "b.json", root, asked=Asked(**SMALL))  # type: ignore[arg-type]


def test_wrong_calls_are_one_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["landscape", str(trained), "--out"]
    for more, told in (
        (["a.txt"], "has to end with .json"),
        (["a.json", "--plot", "a.jpg"], "has to end with .png"),
        (["a.json", "--range", "1", "-1"], "expected the least one first"),
    ):
        assert run([*words, *more]) == 2
        assert told in capsys.readouterr().err
