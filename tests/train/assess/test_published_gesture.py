"""``snntx evaluate --card`` of a .pth by the names of Yao et al., and runs that start from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from snntx.cli import run
from snntx.tests import asa_golden as golden
from snntx.train.network.create import create_model

pytestmark = pytest.mark.usefixtures("compiled")

CARD = "simulated-digits"
DEAD = "15 of its tensors are in no computation of the published code: left out"


def state(attended: bool) -> dict[str, Tensor]:
    """Weights for the small cache's frames: 3 steps, 34x34, 10 classes."""
    case: dict[str, Any] = {"arch": "A", "T": 3, "HW": 34, "num_classes": 10}
    case |= {} if attended else {"attention": "no"}
    return golden.state(case, create_model(**golden.options(case)))


def evaluate(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["evaluate", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("attended", [True, False])
def test_a_state_of_theirs_is_measured(
    attended: bool, small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pth"
    torch.save(state(attended), path)
    words = [path, "--card", CARD, "--cache", small_cache / "cache"]
    code, out, err = evaluate(capsys, *words, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["model"], result["recordings"] > 0) == ("asa3", True)
    notes = " ".join(result["notes"])
    assert ("masks are united over each batch, of 64 recordings here" in notes) == attended
    assert (DEAD in notes) == attended
    assert "the published split went by the listing" not in notes
    code, out, err = evaluate(capsys, *words)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: published asa3")


def test_one_for_other_frames_says_which(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = {"arch": "A", "T": 8, "HW": 34, "num_classes": 10}
    path = tmp_path / "net.pth"
    torch.save(golden.state(case, create_model(**golden.options(case))), path)
    words = [path, "--card", CARD, "--cache", small_cache / "cache"]
    code, _, err = evaluate(capsys, *words)
    assert code
    assert "8" in err
    case |= {"T": 3, "HW": 64}
    torch.save(golden.state(case, create_model(**golden.options(case))), path)
    code, _, err = evaluate(capsys, *words)
    assert code
    assert "FCs.0.linear.0.weight (256, 32768) instead of (256, 8192)" in err
    assert "\n" not in err.strip()


def test_a_run_starts_from_it(
    small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pth"
    torch.save(state(attended=True), path)
    settings = {"initial": path, "model": "asa3", "attention": "asa", "layout": "xy"}
    settings |= {"epochs": 1, "steps": 3, "batch_size": 4, "draws_per_epoch": 4}
    settings |= {"method": "event-only", "loss": "squared", "tet": "false", "optimizer": "adam"}
    words = ["train", CARD, "--cache", small_cache / "cache", "--out", tmp_path / "run"]
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    capsys.readouterr()
    assert run([*map(str, words), *given]) == 2
    assert "train it with --set norm=merged" in " ".join(capsys.readouterr().err.split())
    assert run([*map(str, words), *given, "--set", "norm=merged"]) == 0
    captured = capsys.readouterr()
    told = " ".join((captured.out + captured.err).split())
    assert DEAD in told
    assert "static_head: left fresh, the source has one branch" in told
    assert run(["evaluate", str(tmp_path / "run"), "--cache", str(small_cache / "cache")]) == 0
