"""What release 0.1 left behind: its caches are found, its runs resumed, evaluated and compared.

The folder ``fixtures/release-0.1`` was made by commit b62aab6, with one thread on a CPU.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from snntx.cli import run
from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.preprocess.cache.seal import parse_seal
from snntx.preprocess.digits import write_simulated_digits
from snntx.preprocess.upkeep.verify import verify
from snntx.train import read_run
from snntx.train.checkpoints.origin import read_origin
from snntx.train.checkpoints.state import load_checkpoint

KEPT = Path(__file__).parent / "fixtures" / "release-0.1"
CARD = "simulated-digits"
KEY = "23eae219f7338201"
NEW_DIGESTS = {
    "frames-00000.h5": "12c95d2431b0dd339890a3ab4dcfbde6",
    "index.h5": "d64d094774d5993f2dfc7ad049d255ed",
    "static.h5": "fe3366a23678ed76c1463a1e161b7378",
}
"""XXH3-128 of every file of the format-2 cache of the same recordings."""
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


def test_an_older_cache_is_named_beside_a_new_one(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(kept / "cache" / CARD / KEY).problems == ()
    assert FrameCache(kept / "cache" / CARD / KEY).index.notes == ()
    write_simulated_digits(kept / "data", seed=1, recordings=50)
    folders = ["--raw", "data/raw", "--static", "data/static"]
    words = ["preprocess", CARD, *folders, "--steps", "2", "--cache", "cache"]
    assert run(words) == 0
    told = capsys.readouterr()
    assert "sealed a new cache: cache/" in told.out
    (line,) = told.err.splitlines()
    assert f"an older cache of these files is there, of format 1: cache/{CARD}/{KEY};" in line
    assert f"train can still use it with --key {KEY}" in line
    assert run(words) == 0  # the new one is found from now on
    told = capsys.readouterr()
    assert told.out.startswith("reusing the sealed cache: ")
    assert KEY not in told.out + told.err
    card = load_card(CARD)
    chosen = open_cache(kept / "cache", card, steps=2, size=None, key=KEY)
    assert chosen.directory.name == KEY
    newer = open_cache(kept / "cache", card, steps=2, size=None, key=None)
    assert newer.directory.name != KEY
    for i in range(len(chosen)):
        np.testing.assert_array_equal(chosen.frames(i), newer.frames(i))
    for protocol in chosen.protocols:
        np.testing.assert_array_equal(chosen.index.splits[protocol], newer.index.splits[protocol])
        np.testing.assert_array_equal(
            chosen.index.static_splits[protocol], newer.index.static_splits[protocol]
        )


def test_an_older_cache_is_compared_with_its_raw_files(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_simulated_digits(kept / "data", seed=1, recordings=50)
    words = ["cache", "verify", CARD, "--raw", "data/raw", "--static", "data/static"]
    assert run([*words, "--cache", "cache"]) == 0, capsys.readouterr().out
    assert "52 raw files match the manifest" in capsys.readouterr().out
    path = min((kept / "data" / "raw").rglob("*.bin"))
    path.write_bytes(path.read_bytes()[:-5])
    assert run([*words, "--cache", "cache"]) == 1
    assert capsys.readouterr().out.count("\n") == 1


def test_a_cache_of_other_files_is_not_called_older(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_simulated_digits(kept / "data", seed=2, recordings=50)
    folders = ["--raw", "data/raw", "--static", "data/static"]
    assert run(["preprocess", CARD, *folders, "--steps", "2", "--cache", "cache"]) == 0
    assert "older" not in capsys.readouterr().err


def test_the_pixels_of_older_and_new_caches_are_the_same_bytes(kept: Path) -> None:
    """Format 2 adds columns; the frames, images and their checksums stay what they were."""
    write_simulated_digits(kept / "data", seed=1, recordings=50)
    folders = ["--raw", "data/raw", "--static", "data/static"]
    assert run(["preprocess", CARD, *folders, "--steps", "2", "--cache", "new"]) == 0
    (seal,) = (kept / "new" / CARD).glob("*/SEALED")
    old = kept / "cache" / CARD / KEY
    assert (seal.parent / "static.h5").read_bytes() == (old / "static.h5").read_bytes()
    expected = {name: digest for name, (_, digest) in parse_seal(seal.read_bytes()).files.items()}
    assert expected == NEW_DIGESTS
    with (
        h5py.File(old / "frames-00000.h5") as file,
        h5py.File(seal.parent / "frames-00000.h5") as new,
    ):
        for i in range(50):
            assert file["frames"].id.read_direct_chunk((i, 0, 0, 0, 0)) == new[
                "frames"
            ].id.read_direct_chunk((i, 0, 0, 0, 0))


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
    told, _, layers = capsys.readouterr().out.partition("\nclass taken for ")
    since = ("  NASFR ", "  balanced ", "  ECE ", "  by step ", "  confused ", " " * 13)
    lines = [line for line in told.splitlines() if not line.startswith(since)]
    words = [line.partition(" (95 % interval")[0] for line in lines]
    assert words == (kept / f"evaluate-{name}.txt").read_text().splitlines()
    assert "firing rate" in layers  # which that release did not measure


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


# epochs, which release 0.1 counted from 0


def raw_log(run_directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_directory / "log.jsonl").open()]


@pytest.mark.parametrize(
    "name", ["sliding-seed42", "event-seed42", "event-seed7", "hard", "static"]
)
def test_epochs_of_older_files_are_read_as_one_more(kept: Path, name: str) -> None:
    path = kept / "runs" / name
    logged, found = raw_log(path), read_run(path)
    assert logged[0]["epoch"] == 0
    assert "format" not in logged[0]
    assert [each["epoch"] for each in found.records()] == [1, 2, 3, 4]
    assert all(each["format"] == 2 for each in found.records())
    best = logged[-1]["best_epoch"]
    assert found.best is not None
    assert found.best["epoch"] == best + 1
    assert found.best["top1"] == logged[best]["selection"]["top1"]
    if (path / "last.pt").is_file():
        assert read_origin(path / "last.pt").best == load_checkpoint(path / "last.pt").best
        assert load_checkpoint(path / "last.pt").best["epoch"] == best + 1
    if (path / "metrics.json").is_file():
        assert found.tested is not None
        assert found.tested["epoch"] == best + 1


def test_measured_again_the_epoch_is_one_more(kept: Path) -> None:
    path = kept / "runs" / "event-seed42" / "metrics.json"
    before = json.loads(path.read_text())
    assert run(["evaluate", "runs/event-seed42", "--cache", "cache"]) == 0
    after = json.loads(path.read_text())
    assert (after["format"], after["epoch"]) == (2, before["epoch"] + 1)
    assert after["top1"] == before["top1"]


def test_a_run_that_goes_on_has_one_log_of_one_format(kept: Path) -> None:
    before = raw_log(kept / "runs" / "stopped")
    words = ["train", CARD, "--cache", "cache", *given("domain_weight=1.0")]
    assert run([*words, "--out", "runs/stopped", "--resume"]) == 0
    log = raw_log(kept / "runs" / "stopped")
    assert [each["epoch"] for each in log] == [1, 2, 3, 4]
    assert {each["format"] for each in log} == {2}
    for old, new in zip(before, log, strict=False):
        expected = {"format": 2, **old, "epoch": old["epoch"] + 1}
        assert new == {**expected, "best_epoch": old["best_epoch"] + 1}
    last = load_checkpoint(kept / "runs" / "stopped" / "last.pt")
    assert last.best["epoch"] == log[-1]["best_epoch"]
    assert log[-1]["best_epoch"] in [each["epoch"] for each in log]
    assert read_origin(kept / "runs" / "stopped" / "last.pt").best == last.best


def scalars(run_directory: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_directory)).Reload()
    return [(each.step, each.value) for each in events.Scalars(tag)]


@pytest.mark.parametrize("times", [1, 2])
def test_tensorboards_files_of_a_run_that_goes_on_count_alike(
    kept: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.summary.writer import event_file_writer as files
    from torch.utils.tensorboard import SummaryWriter

    # files of one second are read in the order of their names, and of one process 10 is before 9
    monkeypatch.setattr(files, "_global_uid", files.AtomicCounter(0))
    path = kept / "runs" / "stopped"
    with SummaryWriter(str(path)) as writer:
        for record in raw_log(path):
            writer.add_scalar("train/loss", record["train"]["loss"], record["epoch"])
    assert [step for step, _ in scalars(path, "train/loss")] == [0, 1]
    words = ["train", "--cache", "cache", "--resume", "runs/stopped"]
    for epochs in (4, 5)[:times]:
        assert run([*words, "--set", f"epochs={epochs}"]) == 0
    expected = [(each["epoch"], each["train"]["loss"]) for each in raw_log(path)]
    found = scalars(path, "train/loss")
    assert [step for step, _ in found] == list(range(1, 4 + times))
    assert dict(found) == pytest.approx(dict(expected))
    assert [step for step, _ in scalars(path, "run/lr")] == list(range(1, 4 + times))
