"""A last checkpoint whose states do not fit its recipe ends in one line, before anything moves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.cli import run

CARD = "simulated-digits"
SETTINGS = ("steps=3", "batch_size=16", "draws_per_epoch=16", "width=0.25", "tensorboard=false")


@pytest.fixture(scope="module")
def words(small_cache: Path) -> list[str]:
    """The command without its run directory and epochs."""
    given = [word for setting in SETTINGS for word in ("--set", setting)]
    return ["train", CARD, "--cache", str(small_cache / "cache"), *given]


@pytest.fixture(scope="module")
def started(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch whose recipe asks for two."""
    out = tmp_path_factory.mktemp("taking up") / "run"
    assert run([*words, "--set", "epochs=1", "--out", str(out)]) == 0
    path = out / "last.pt"
    content = torch.load(path, weights_only=True)
    content["recipe"]["optim"]["epochs"] = 2
    torch.save(content, path)
    return out


def _shorter(content: dict[str, Any]) -> None:
    content["model"]["event_head.weight"] = content["model"]["event_head.weight"][:, :-1].clone()


def _moments(content: dict[str, Any]) -> None:
    state = content["optimizer"]["state"]
    name = max(state, key=lambda number: state[number]["exp_avg"].numel())
    state[name]["exp_avg"] = torch.zeros(3, 5)


def _groups(content: dict[str, Any]) -> None:
    content["optimizer"]["param_groups"].pop()


def _no_groups(content: dict[str, Any]) -> None:
    del content["optimizer"]["param_groups"]


def _generator(content: dict[str, Any]) -> None:
    content["rng"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_shorter, "size mismatch for event_head.weight"),
        (_moments, "optimizer exp_avg"),
        (_groups, "different number of parameter groups"),
        (_no_groups, "param_groups"),
        (_generator, ""),
    ],
)
def test_states_that_do_not_fit(
    words: list[str],
    started: Path,
    tmp_path: Path,
    change: Any,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    shutil.copytree(started, out)
    content = torch.load(out / "last.pt", weights_only=True)
    change(content)
    torch.save(content, out / "last.pt")
    resumed = [*words, "--set", "epochs=2", "--out", str(out)]
    assert run([*resumed, "--resume"]) == 1
    (error,) = (line for line in capsys.readouterr().err.splitlines() if "error" in line)
    assert error.startswith(f"snntx: error: {out / 'last.pt'}: does not fit the network of its rec")
    assert problem in error
    assert error.endswith(f"; remove {out} and train it again")
    shutil.rmtree(out)
    assert run(resumed) == 0


def test_states_that_fit_are_taken_up(words: list[str], started: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(started, out)
    assert run([*words, "--set", "epochs=2", "--out", str(out), "--resume"]) == 0
    assert len((out / "log.jsonl").read_text().splitlines()) == 2
