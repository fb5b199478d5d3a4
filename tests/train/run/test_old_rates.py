"""Runs and cards of release 0.1 keep their learning rates, and what goes on says how."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.cache.opening import open_cache
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.recipe.sources import load_recipe
from snntx.train.run.fit import train
from snntx.train.run.schedule import learning_rate

pytestmark = pytest.mark.usefixtures("compiled")

KEPT = Path(__file__).parents[2] / "fixtures" / "release-0.1"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what release 0.1 left."""
    shutil.copytree(KEPT, tmp_path / "kept")
    monkeypatch.chdir(tmp_path / "kept")
    return tmp_path / "kept"


def rates(out: Path) -> list[float]:
    return [json.loads(line)["lr"] for line in (out / "log.jsonl").open()]


def test_a_run_goes_on_by_its_directory_at_its_own_rates(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = kept / "runs" / "stopped"
    assert run(["train", "--resume", str(out), "--cache", "cache"]) == 0
    assert rates(out) == rates(kept / "runs" / "resumed")
    lines = capsys.readouterr().err
    assert " / 1024 (lr_scaling = linear-nominal)\n" in lines
    assert "does not say how many processes it was trained by" in lines
    assert load_checkpoint(out / "last.pt").recipe.optim.lr_scaling == "linear-nominal"


@pytest.mark.parametrize(
    ("scaling", "scaled"),
    [("none", 0.05), ("linear", 0.05 * 10 / 1024), ("linear-nominal", 0.05 * 64 / 1024)],
)
def test_the_rate_in_force_where_there_are_fewer_recordings_than_a_batch(
    small_cache: Path, tmp_path: Path, scaling: str, scaled: float
) -> None:
    card, lines = load_card("simulated-digits"), list[str]()
    cache = open_cache(small_cache / "cache", card, steps=3, size=None, key=None)
    settings = ["epochs=2", "batch_size=64", "lr=0.05", "recordings_per_class=1", "width=0.25"]
    recipe = load_recipe(
        card,
        settings=[*settings, "draws_per_epoch=0", "tensorboard=false", f"lr_scaling={scaling}"],
    )
    steps: list[int] = []
    train(
        card, cache, recipe, tmp_path / "run", device=torch.device("cpu"),
        on_note=lambda line: lines.append(f"{len(steps)} {line}"),
        on_step=lambda record: steps.append(record["step"]),
    )  # fmt: skip
    assert rates(tmp_path / "run") == [learning_rate(e, base_lr=scaled, epochs=2) for e in (0, 1)]
    assert [line.partition(":")[0] for line in lines[:2]] == [
        f"0 learning rate {scaled:.4g}",
        "0 batches of 10, not 64",
    ]
    assert lines[2] == "0 warm-up of 0 epochs, not 5: at most a third of epochs = 2"
