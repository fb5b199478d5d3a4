"""``snntx evaluate --card``: published checkpoints measured on a cache, and what does not fit."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.tests import published_files as files
from snntx.train.measure.metrics import event_logits, measure
from snntx.train.network.create import create_model

pytestmark = pytest.mark.usefixtures("compiled")

CARD = "simulated-digits"
CPU = torch.device("cpu")
KEPT = Path(__file__).parents[2] / "fixtures" / "release-0.1"


layouts = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


def evaluate(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["evaluate", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@layouts
@pytest.mark.parametrize("protocol", [None, "holdout"])
def test_evaluate_on_a_cache(
    legacy: bool,
    protocol: str | None,
    cache: FrameCache,
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = files.write_small(tmp_path / "model_best.pth.tar", legacy=legacy)
    words = ["--card", CARD, "--cache", small_cache / "cache"]
    words += [] if protocol is None else ["--protocol", protocol, "--key", cache.key[:6]]
    code, out, err = evaluate(capsys, path, *words, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    test = cache.split(protocol or "paper", "test")
    logits = event_logits(files.small(), cache, test, CPU)
    expected = measure(logits, cache.labels[test], cache.classes)
    assert result["recordings"] == test.size > 0
    assert (result["top1"], result["top5"]) == (expected.top1, expected.top5)
    assert result["loss"] == pytest.approx(expected.loss)
    assert result["confusion"] == expected.confusion
    assert {name: result[name] for name in ("model", "card", "cache_key", "protocol", "part")} == {
        "model": "scnn",
        "card": CARD,
        "cache_key": cache.key,
        "protocol": protocol or "paper",
        "part": "test",
    }
    assert (result["seed"], result["epoch"], result["reference_top1"]) == (1024, 8, 92.64)
    code, out, err = evaluate(capsys, path, *words)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{path}: published scnn, epoch 8, seed 1024"
    assert lines[3].split() == ["top-1", f"{expected.top1:.4f}"]
    text = " ".join(out.split())
    assert "classes are numbered as in the cache (0, 1, 2, ...)" in text
    assert f"protocol {protocol or 'paper'} is the cache's, which goes by name" in text
    assert "the file notes 92.64 % on its own test part" in text
    assert [path.name for path in tmp_path.iterdir()] == ["model_best.pth.tar"]


def error(output: tuple[int, str, str], code: int, *parts: str) -> None:
    assert output[0] == code, output
    assert output[1] == ""
    assert output[2].startswith("snntx: error: ")
    assert output[2].count("\n") == 1
    for part in parts:
        assert part in output[2]


def test_evaluate_refuses_what_does_not_fit(
    cache: FrameCache,
    small_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, path = small_cache / "cache", tmp_path / "a.pth.tar"
    words = ["--card", CARD, "--cache", root]
    files.write(path, files.state_of(files.small(7)), argparse.Namespace())
    error(evaluate(capsys, path, *words), 2, "trained on 7 classes, the cache has 10")

    model = create_model("scnn", num_classes=10, steps=4, size=(34, 34))
    files.write(path, files.state_of(model), argparse.Namespace())
    error(evaluate(capsys, path, *words), 1, "no sealed cache with frames (4, 2, 34, 34)")
    keyed = [*words, "--key", cache.key]
    error(evaluate(capsys, path, *keyed), 2, "trained on 4 time steps, the cache has 3")

    model = create_model("resnet18", num_classes=10, steps=3)
    args = files.arguments("resnet18", steps=3, classes=10)
    files.write(path, files.state_of(model), args)
    error(evaluate(capsys, path, *keyed), 2, "trained on (48, 48) pixels a side")

    model = create_model("scnn", num_classes=10, steps=3)
    files.write(path, files.state_of(model), argparse.Namespace())
    error(evaluate(capsys, path, *words), 1, "fc1.weight (300, 640) instead of (300, 1000)")

    files.write_small(path)
    error(evaluate(capsys, path, *words, "--protocol", "papr"), 2, "did you mean 'paper'?")
    path.write_bytes(path.read_bytes()[:-99])
    error(evaluate(capsys, path, *words), 1, "not a readable checkpoint")


def test_a_published_checkpoint_needs_a_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = files.write_small(tmp_path / "a.pth.tar")
    error(evaluate(capsys, path), 2, "does not name its data; add --card CARD")
    error(
        evaluate(capsys, tmp_path, "--protocol", "paper"),
        2,
        "--protocol is of published ones alone",
    )
    words = ["--card", CARD, "--part", "all"]
    error(evaluate(capsys, path, *words), 2, "is measured on the test part alone; leave out --part")


def test_a_checkpoint_of_ours_needs_none(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copy(KEPT / "runs" / "stopped" / "best.pt", tmp_path / "a.pth.tar"))
    words = ["--card", CARD, "--cache", small_cache / "cache"]
    error(evaluate(capsys, path, *words), 1, "was trained on is not there; give its root")
