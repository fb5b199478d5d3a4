"""``snntx evaluate --card n-mnist``: weights in the layout of the published N-MNIST network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from snntx.cli import run
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.framing.events import Events
from snntx.preprocess.readers.formats.atis import encode
from snntx.tests import published_files as files
from snntx.train.checkpoints.reference import load_reference_state
from snntx.train.network.create import create_model

pytestmark = pytest.mark.usefixtures("compiled")

STEPS, CLASSES, EACH = 2, 10, 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    """Squares in ten places as recordings of every digit, in frames of two steps."""
    folder = tmp_path_factory.mktemp("random")
    rng = np.random.default_rng(0)
    for number in range(2 * CLASSES * EACH):
        part, digit = ("Train", "Test")[number % 2], number // 2 % CLASSES
        corner = np.array([[2 * digit], [20 - 2 * digit]])
        x, y = (rng.integers(0, 14, (2, 4000)) + corner).clip(0, 33)
        t, p = np.sort(rng.integers(0, 300_000, 4000)), rng.integers(0, 2, 4000)
        path = folder / "raw" / part / str(digit) / f"{number:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(Events(x, y, t, p)))  # type: ignore[arg-type]
    words = ["--raw", folder / "raw", "--cache", folder / "cache", "--steps", STEPS]
    assert run(["preprocess", "n-mnist", *map(str, words)]) == 0
    (directory,) = (folder / "cache" / "n-mnist").glob("*/")
    return FrameCache(directory)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The golden weights by their published names, but for two steps and with lively heads.

    The golden heads fire for few classes, so that nearly every recording would have the same.
    """
    golden, meta = files.golden_state("nmnist-published")
    names = {f"coefficient.{step}" for step in range(STEPS, meta["T"])}
    chosen = {name: value for name, value in golden.items() if name not in names}
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(chosen["dvs_fc.0.weight"].shape, generator=generator)
    return chosen | {"dvs_fc.0.weight": 0.2 * weight}


def voted(state: dict[str, Tensor], frames: Tensor) -> Tensor:
    """Logits of each recording, from the event branch alone, ``(N, 10)``."""
    model = create_model("nmnist-published", num_classes=CLASSES, steps=STEPS, backend="torch")
    load_reference_state(model, state)
    with torch.no_grad():
        return model.eval().forward_event(frames).mean(0)


@pytest.mark.parametrize("bare", [False, True], ids=["checkpoint", "state"])
def test_its_accuracy_is_the_networks_own(
    bare: bool,
    cache: FrameCache,
    state: dict[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "W.pth"
    if bare:
        torch.save(state, path)
    else:
        args = files.arguments("nmnist-published", steps=STEPS, classes=CLASSES, event_size=34)
        files.write(path, state, args)
    test = cache.split("paper", "test")
    assert test.size == CLASSES * EACH
    logits = voted(state, torch.from_numpy(cache.frames(test)))
    labels = torch.from_numpy(cache.labels[test])
    guesses = logits.argmax(1)
    assert len(set(guesses.tolist())) > 2
    capsys.readouterr()
    root = str(cache.directory.parent.parent)
    code = run(["evaluate", str(path), "--card", "n-mnist", "--cache", root, "--json"])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    result = json.loads(captured.out)
    assert (result["model"], result["card"], result["protocol"]) == (
        "nmnist-published",
        "n-mnist",
        "paper",
    )
    assert result["recordings"] == test.size
    assert [note for note in result["notes"] if "part" in note] == [
        note for note in result["notes"] if "the file notes" in note
    ]  # official parts: nothing to be said of the split
    mixed = [str(path), "--card", "n-mnist", "--cache", root, "--protocol", "holdout"]
    assert run(["evaluate", *mixed]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "protocol holdout mixes the official training and test recordings" in said
    assert result["top1"] == pytest.approx(float((guesses == labels).double().mean()))
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert result["loss"] == pytest.approx(float(expected), abs=1e-6)


def test_it_starts_a_run(
    cache: FrameCache, state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state, tmp_path / "W.pth")
    root, out = str(cache.directory.parent.parent), tmp_path / "run"
    chosen = ["epochs=1", "batch_size=20", "lr=0", f"steps={STEPS}", f"initial={tmp_path}/W.pth"]
    words = ["n-mnist", "--recipe", "published", "--cache", root, "--out", str(out)]
    settings = [word for each in (*chosen, "method=event-only") for word in ("--set", each)]
    code = run(["train", *words, *settings])
    assert code == 0, capsys.readouterr().err
    kept = torch.load(out / "best.pt", weights_only=True)["model"]
    assert torch.equal(kept["event_head.linear.weight"], state["dvs_fc.0.weight"])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (110, "was trained on 11 classes, the cache has 10; "),
        (10, "was trained on 1 classes, the cache has 10; "),
        (95, "dvs_fc.0.weight should be (10 x classes, inputs), found (95, 2048)"),
    ],
)
def test_voters_of_another_number_of_classes_are_refused_in_one_line(
    cache: FrameCache,
    state: dict[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: int,
    reason: str,
) -> None:
    """Ten neurons vote for a class, so a head of 110 tells 11 apart, and not 110."""
    heads = ("rgb_fc.0.", "dvs_fc.0.")
    changed = {
        name: torch.zeros(rows, *value.shape[1:]) if name.startswith(heads) else value
        for name, value in state.items()
    }
    torch.save(changed, tmp_path / "W.pth")
    root = str(cache.directory.parent.parent)
    code = run(["evaluate", str(tmp_path / "W.pth"), "--card", "n-mnist", "--cache", root])
    captured = capsys.readouterr()
    assert code in (1, 2)
    assert captured.out == ""
    assert captured.err.startswith(f"snntx: error: {tmp_path / 'W.pth'}: ")
    assert reason in captured.err
    assert captured.err.count("\n") == 1
