"""A run that is asked to end while it validates: left within a batch, and validated again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from snntx.data_cards import load_card
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.measure import metrics
from snntx.train.network.model import TransferModel
from snntx.train.recipe.sources import load_recipe
from snntx.train.run.fit import train
from snntx.train.run.stopping import StoppedError

CARD = "simulated-digits"
SMALL = ["steps=3", "epochs=3", "batch_size=16", "lr=0.05", "width=0.25", "tensorboard=false"]
SMALL += ["recordings_per_class=4"]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture
def cache(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


def fit(
    cache: FrameCache, out: Path, *settings: str, resume: bool = False, workers: int = 0
) -> Any:
    chosen = load_recipe(load_card(CARD), settings=[*SMALL, *settings])
    cpu = torch.device("cpu")
    return train(load_card(CARD), cache, chosen, out, device=cpu, workers=workers, resume=resume)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Validation in batches of two; ``number`` of them so far, ``at`` which one to ask."""
    calls = {"number": 0, "at": -1, "signal": signal.SIGTERM, "layers": 0}
    monkeypatch.setattr(metrics, "BATCH", 2)
    for name in ("forward_event", "forward_static"):

        def counted(self: TransferModel, *arguments: Any, _whole: Any = None) -> Any:
            if not self.training:
                if calls["number"] == calls["at"]:
                    os.kill(os.getpid(), calls["signal"])
                calls["number"] += 1
            return _whole(self, *arguments)

        whole = getattr(TransferModel, name)
        monkeypatch.setattr(
            TransferModel, name, lambda self, *a, _c=counted, _w=whole: _c(self, *a, _whole=_w)
        )
    return calls


@pytest.mark.parametrize(
    ("epoch", "workers", "settings"),
    [
        (0, 0, ()),
        (2, 1, ()),
        (1, 0, ("method=static-only",)),
        pytest.param(1, 0, ("ema_decay=0.9", "patience=2"), marks=pytest.mark.slow),
    ],
)
def test_it_is_left_within_a_batch_and_goes_on_to_the_same_bytes(
    cache: FrameCache,
    tmp_path: Path,
    calls: dict[str, int],
    epoch: int,
    workers: int,
    settings: tuple[str, ...],
) -> None:
    fit(cache, tmp_path / "whole", *settings)
    each = calls["number"] // load_checkpoint(tmp_path / "whole/last.pt").epoch
    assert each > 3
    calls |= {"number": 0, "at": epoch * each + 1}
    cut = tmp_path / "cut"
    with pytest.raises(StoppedError) as stopped:
        fit(cache, cut, *settings, workers=workers)
    assert str(stopped.value) == f"{cut}: stopped in epoch {epoch + 1}, while it was validated"
    assert stopped.value.code == 143
    assert calls["number"] == epoch * each + 2  # and the batch that was asked in was the last
    kept = load_checkpoint(cut / "last.pt")
    assert (kept.epoch, kept.batch > 0) == (epoch, True)
    calls["at"] = -1
    fit(cache, cut, *settings, resume=True, workers=workers)
    for name in ("last.pt", "best.pt"):
        assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    lines = [[json.loads(line) for line in log] for log in logs]
    for name in ("epoch", "train", "selection", "best_epoch", "rates"):
        assert [line[name] for line in lines[0]] == [line[name] for line in lines[1]]
    assert all(line["recordings_per_second"] >= 0 for line in lines[1])


def test_nothing_is_left_on_the_model(cache: FrameCache, tmp_path: Path) -> None:
    models = []

    def noted(self: TransferModel, *arguments: Any) -> Any:
        models.append(self)
        return whole(self, *arguments)

    whole = TransferModel.forward_event
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransferModel, "forward_event", noted)
        fit(cache, tmp_path / "run", "epochs=1")
    assert not any(module._forward_pre_hooks for module in models[-1].modules())


SLOW = """
import sys, time
from pathlib import Path
from snntx.cli import run
from snntx.train.measure import metrics
from snntx.train.network.model import TransferModel

metrics.BATCH = 1
seen, whole = Path(sys.argv[1]), TransferModel.forward_event

def slow(self, *arguments):
    if not self.training:
        with seen.open("a") as file:
            file.write("batch\\n")
        time.sleep(0.5)
    return whole(self, *arguments)

TransferModel.forward_event = slow
sys.exit(run(sys.argv[2:]))
"""


def ended(folder: Path, number: int, *words: object) -> tuple[list[str], str, int]:
    """Call a command whose batches take half a second, and end its group in the first.

    Returns:
        Its lines on standard error, its standard output, and how many batches it began.
    """
    seen = folder / "seen.txt"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, seen, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"},
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not seen.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == CODES[signal.Signals(number)], err
    assert "Traceback" not in err
    return err.splitlines(), out, seen.read_text().count("batch")


@pytest.mark.parametrize("number", CODES)
def test_a_training_process_says_how_to_go_on(
    small_cache: Path, tmp_path: Path, number: int
) -> None:
    call = ["train", CARD, "--cache", small_cache / "cache", "--out", "run"]
    call += [word for each in SMALL for word in ("--set", each)]
    lines, out, batches = ended(tmp_path, number, *call)
    assert out == ""
    assert batches <= 2
    assert " ".join(lines).endswith(
        "run: stopped in epoch 1, while it was validated; run the same command again with "
        "--resume to go on"
    )
    assert load_checkpoint(tmp_path / "run/last.pt").epoch == 0
    again = [sys.executable, "-m", "snntx", *map(str, call), "--resume"]
    done = subprocess.run(again, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "run/last.pt").epoch == 3


@pytest.mark.slow
def test_two_processes_are_left_within_a_batch_and_go_on(small_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    call = ["train", CARD, "--cache", str(small_cache / "cache")]
    call += [word for each in SMALL for word in ("--set", each)]
    seen = tmp_path / "seen.txt"
    process = subprocess.Popen(
        [*torchrun, "slow.py", str(seen), *call, "--out", "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + 180
    while not seen.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "run: stopped in epoch 1, while it was validated; run the same" in " ".join(told.split())
    assert seen.read_text().count("batch") <= 2
    assert load_checkpoint(tmp_path / "run/last.pt").epoch == 0
    for out, more in (("run", ["--resume"]), ("whole", [])):
        words = [*torchrun, "-m", "snntx", *call, "--out", out, *more]
        subprocess.run(words, check=True, capture_output=True, cwd=tmp_path)
    found, expected = (load_checkpoint(tmp_path / out / "last.pt") for out in ("run", "whole"))
    assert found.epoch == expected.epoch == 3
    for name, value in expected.model.items():
        torch.testing.assert_close(found.model[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_what_only_measures_is_left_within_a_batch_too(
    small_cache: Path, cache: FrameCache, tmp_path: Path, command: str, number: int
) -> None:
    fit(cache, tmp_path / "run", "epochs=1")
    files = sorted((small_cache / "data/raw").glob("*/*/*.bin"))[:6]
    words = ["--cache", small_cache / "cache"] if command == "evaluate" else files
    lines, out, batches = ended(tmp_path, number, command, "run", *words)
    assert lines[-1] == "snntx: interrupted; run the same command again to go on"
    assert (out, batches) == ("", 1)
    assert not (tmp_path / "run/metrics.json").exists()
