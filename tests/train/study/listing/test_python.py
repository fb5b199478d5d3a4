"""What a notebook calls: caches, cards and recipes by name, and results read from a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from snntx.data_cards import load_card
from snntx.errors import SnntxError, UsageError
from snntx.preprocess import open_cache
from snntx.train import evaluate, load_recipe, read_run, train

CARD = "simulated-digits"
SETTINGS = ["steps=3", "epochs=2", "draws_per_epoch=20", "batch_size=10", "width=0.125",
            "backend=torch", "tensorboard=false"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("notebook") / "run"
    cache = open_cache(str(small_cache / "cache"), CARD)
    train(CARD, cache, load_recipe(CARD, settings=SETTINGS), str(out))
    return out


def test_a_cache_is_opened_by_names(small_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = small_cache / "cache"
    named = open_cache(root, load_card(CARD), steps=3, size=None, key=None)
    assert open_cache(root, CARD).directory == named.directory
    monkeypatch.setenv("SNNTX_CACHE", str(root))
    assert open_cache(None, CARD).directory == named.directory
    with pytest.raises(UsageError, match="did you mean 'simulated-digits'"):
        open_cache(root, "simulated-digit")


def test_a_cache_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(SnntxError, match=f"snntx preprocess {CARD} --raw DIR"):
        open_cache(str(tmp_path), CARD)


def test_the_implied_root_is_the_users(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNNTX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "snntx").symlink_to(small_cache / "cache")
    assert len(open_cache(None, CARD)) == 80


def test_a_run_is_read_from_its_folder(trained: Path) -> None:
    run = read_run(str(trained))
    assert (run.state, run.recipe, run.card) == ("trained", "default", CARD)
    assert run.changed is not None
    assert run.changed["epochs"] == {"recipe": 10, "run": 2}
    records = run.records()
    assert [each["epoch"] for each in records] == [1, 2]
    assert run.best is not None
    best = records[run.best["epoch"] - 1]["selection"]
    assert run.best["top1"] == best["top1"] == max(each["selection"]["top1"] for each in records)


def test_what_is_no_run_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run directory of snntx train"):
        read_run(tmp_path)


def test_a_run_is_measured_on_the_cache_that_it_was_trained_on(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNTX_CACHE", str(tmp_path))  # has no cache
    measured = evaluate(str(trained))
    assert json.loads((trained / "metrics.json").read_text())["top1"] == measured.metrics.top1
    run = read_run(trained)
    assert run.tested is not None
    assert (run.state, run.tested["top1"]) == ("tested", measured.metrics.top1)
    with pytest.raises(SnntxError, match="is not there; give its root"):
        evaluate(trained, tmp_path)


def test_reading_needs_no_torch(trained: Path) -> None:
    program = (
        "import sys; from snntx.train import read_run; from snntx.preprocess import open_cache; "
        "print(len(read_run(sys.argv[1]).records()), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(trained)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2", "False"]
