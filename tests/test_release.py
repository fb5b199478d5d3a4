"""What release 0.1 left behind: its caches are found, its runs resumed, evaluated and compared.

The folder ``fixtures/release-0.1`` was made by commit b62aab6, with one thread on a CPU.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from snntx.cli import run
from snntx.preprocess.digits import write_simulated_digits
from snntx.preprocess.upkeep.verify import verify
from snntx.train.checkpoints.state import load_checkpoint

KEPT = Path(__file__).parent / "fixtures" / "release-0.1"
CARD = "simulated-digits"
KEY = "23eae219f7338201"
SETTINGS = (
    "steps=2",
    "width=0.06",
    "epochs=4",
    "batch_size=8",
    "draws_per_epoch=24",
    "backend=torch",
)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(KEPT, tmp_path / "kept", copy_function=shutil.copy)
    monkeypatch.chdir(tmp_path / "kept")
    return tmp_path / "kept"


def given(*settings: str) -> list[str]:
    return [word for each in (*SETTINGS, *settings) for word in ("--set", each)]


def test_a_cache_is_found_by_its_key(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(kept / "cache" / CARD / KEY).problems == ()
    write_simulated_digits(kept / "data", seed=1, recordings=50)
    folders = ["--raw", "data/raw", "--static", "data/static"]
    assert run(["preprocess", CARD, *folders, "--steps", "2", "--cache", "cache"]) == 0
    told = capsys.readouterr().out
    assert f"reusing the sealed cache: cache/{CARD}/{KEY}" in told


def test_the_same_files_make_the_same_bytes(kept: Path) -> None:
    write_simulated_digits(kept / "data", seed=1, recordings=50)
    folders = ["--raw", "data/raw", "--static", "data/static"]
    assert run(["preprocess", CARD, *folders, "--steps", "2", "--cache", "new"]) == 0
    for name in ("frames-00000.h5", "static.h5", "index.h5", "SEALED"):
        old, new = (kept / root / CARD / KEY / name for root in ("cache", "new"))
        assert new.read_bytes() == old.read_bytes(), name


def test_a_stopped_run_goes_on_to_the_same_weights(kept: Path) -> None:
    words = ["train", CARD, "--cache", "cache", *given("domain_weight=1.0")]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert run([*words, "--out", "runs/stopped", "--resume"]) == 0
    finally:
        torch.set_num_threads(threads)
    found = load_checkpoint(kept / "runs" / "stopped" / "last.pt")
    expected = load_checkpoint(kept / "runs" / "resumed" / "last.pt")
    assert found.recipe == expected.recipe
    assert found.epoch == expected.epoch == 4
    for name, value in expected.model.items():
        torch.testing.assert_close(found.model[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sliding-seed42", "event-seed42"])
def test_a_run_is_evaluated_with_the_same_words(
    kept: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", f"runs/{name}", "--cache", "cache"]) == 0
    assert capsys.readouterr().out == (kept / f"evaluate-{name}.txt").read_text()


def test_an_export_is_evaluated(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "sliding-seed7.safetensors", "--cache", "cache"]) == 0
    assert "recordings 13" in capsys.readouterr().out


def test_runs_are_compared_with_the_same_words(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"runs/{kind}-seed{seed}" for kind in ("sliding", "event") for seed in (42, 7)]
    assert run(["compare", *names, "--baseline", "event"]) == 0
    assert capsys.readouterr().out == (kept / "compare.txt").read_text()


def test_every_kind_of_run_is_compared(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs that release 0.1 told apart by transfer, strategy, sliding and hard_switch."""
    (kept / "some").mkdir()
    for name in ("hard", "mixup", "nostatic"):
        shutil.copytree(kept / "runs" / name, kept / "some" / name)
    assert run(["compare", "some", "--baseline", "nostatic"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n{name} " in told for name in ("hard", "mixup", "nostatic"))
