"""Ctrl-C and SIGTERM, to one process or to the whole group: one line and the signal's exit code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from snntx.data_cards import load_card
from snntx.errors import SnntxError
from snntx.preprocess.cache.frame_cache import FrameCache
from snntx.preprocess.cache.opening import open_cache
from snntx.train.batches.loader import epoch_batches
from snntx.train.batches.training import TrainingData
from snntx.train.checkpoints.state import load_checkpoint
from snntx.train.recipe.sources import load_recipe
from snntx.train.run.fit import train

CARD = "simulated-digits"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SETTINGS = ["steps=3", "epochs=200", "batch_size=4", "width=0.25", "tensorboard=false"]


def set_words() -> list[str]:
    return [word for each in SETTINGS for word in ("--set", each)]


class Command:
    """A command in a process group of its own, whose standard error is a file."""

    def __init__(self, folder: Path, *words: object) -> None:
        self.err = folder / "err.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snntx", *map(str, words)],
                stdout=subprocess.DEVNULL,
                stderr=err,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )

    def wait_for(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not done():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.02)

    def end(self, number: int) -> list[str]:
        """Send a signal to the whole group; returns the lines that were printed by then."""
        os.killpg(self.process.pid, number)
        code = self.process.wait(60)
        lines = self.err.read_text().splitlines()
        assert code == CODES[signal.Signals(number)], lines
        assert "Traceback" not in self.err.read_text()
        assert not any(line.startswith("snntx: error") for line in lines)
        deadline = time.monotonic() + 20
        while self.is_left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self.is_left()
        return lines

    def is_left(self) -> bool:
        """Whether a worker of the group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


def begun(path: Path) -> Callable[[], bool]:
    return lambda: path.is_file() and path.stat().st_size > 0


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", CODES)
def test_a_training_group_that_is_asked_to_end(
    small_cache: Path, tmp_path: Path, number: int, workers: int
) -> None:
    out = tmp_path / "run"
    call = ["train", CARD, "--cache", small_cache / "cache", "--out", out, "--workers", workers]
    command = Command(tmp_path, *call, *set_words())
    command.wait_for(begun(out / "log.jsonl"))
    lines = command.end(number)
    assert lines[-1].startswith(f"snntx: {out}: stopped in epoch ")
    assert lines[-1].endswith("; run the same command again with --resume to go on")
    assert sum("run the same command" in line for line in lines) == 1
    kept = load_checkpoint(out / "last.pt")
    assert kept.epoch >= 1
    again = Command(tmp_path, *call, *set_words(), "--resume")
    count = (out / "log.jsonl").read_text().count("\n")
    again.wait_for(lambda: (out / "log.jsonl").read_text().count("\n") > count)
    lines = again.end(number)
    assert lines[-1].endswith("; run the same command again to go on")
    assert load_checkpoint(out / "last.pt").epoch > kept.epoch


def test_a_sweep_group_that_is_asked_to_end(small_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text("seeds = [1, 2]\n")
    call = ["sweep", "two.toml", CARD, "--cache", small_cache / "cache", "--out", tmp_path / "all"]
    command = Command(tmp_path, *call, *set_words())
    command.wait_for(begun(tmp_path / "all" / "default-seed1" / "log.jsonl"))
    lines = command.end(signal.SIGTERM)
    assert lines[-1] == (
        "snntx: stopped: 0 of 2 runs are finished; run the same command again to go on"
    )
    assert load_checkpoint(tmp_path / "all" / "default-seed1" / "last.pt").epoch >= 1


WAITING = """
import importlib, os, signal, sys
from snntx.cli import run

module, name, number = sys.argv[1].split(":")

def asked(*_, **__):
    os.kill(os.getpid(), int(number))

setattr(importlib.import_module(module), name, asked)
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def short(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    out = tmp_path_factory.mktemp("short") / "run"
    cache, recipe = (
        frames(small_cache),
        load_recipe(load_card(CARD), settings=[*SETTINGS, "epochs=1"]),
    )
    train(load_card(CARD), cache, recipe, out, device=torch.device("cpu"))
    return out


def frames(small_cache: Path) -> FrameCache:
    opened = open_cache(small_cache / "cache", load_card(CARD), steps=3, size=None, key=None)
    assert isinstance(opened, FrameCache)
    return opened


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("snntx.train.assess.evaluate:evaluate_run", ["evaluate", "RUN"]),
        ("snntx.train.assess.predict:predictions", ["predict", "RUN", "some.bin"]),
        ("snntx.train.study.compare:compare", ["compare", "RUN"]),
        ("snntx.train.study.sweep:load_sweep", ["sweep", "few-labels", CARD]),
        ("snntx.train.run.fit:train", ["train", CARD, *set_words(), "--out", "new"]),
        ("snntx.data_cards:load_card", ["preprocess", CARD, "--raw", "."]),
    ],
)
def test_every_command_that_is_asked_to_end_says_so_in_one_line(
    short: Path, small_cache: Path, tmp_path: Path, where: str, words: list[str], number: int
) -> None:
    call = [str(short) if word == "RUN" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-c", WAITING, f"{where}:{int(number)}", *call],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "SNNTX_CACHE": str(small_cache / "cache")},
    )
    assert done.returncode == CODES[signal.Signals(number)], done.stderr
    assert done.stdout == ""
    *before, last = done.stderr.splitlines()
    assert last == "snntx: interrupted; run the same command again to go on"
    assert all(line.startswith("snntx: ") and "again" not in line for line in before)


def test_a_process_that_is_forked_off_dies_of_sigterm_as_ever(tmp_path: Path) -> None:
    program = (
        "import os, signal, time\n"
        "from snntx.commands.ending import interrupted_by_sigterm\n"
        "with interrupted_by_sigterm():\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(60)\n"
        "    time.sleep(0.2)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    _, status = os.waitpid(child, 0)\n"
        "assert os.WTERMSIG(status) == signal.SIGTERM, status\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


# workers


def test_a_worker_that_is_killed_is_one_line_and_the_run_goes_on(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, cache, out = load_card(CARD), frames(small_cache), tmp_path / "run"
    recipe = load_recipe(card, settings=[*SETTINGS, "epochs=1"])
    batch = TrainingData.batch

    def dies(self: TrainingData, *arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingData, "batch", dies)
        with pytest.raises(SnntxError, match=r"batches ahead was ended from outside .*; run the"):
            train(card, cache, recipe, out, device=torch.device("cpu"), workers=1)
    assert TrainingData.batch is batch
    best = train(card, cache, recipe, out, device=torch.device("cpu"), workers=1)
    assert best["epoch"] == 1


def test_what_a_worker_cannot_read_is_one_line(
    small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingData(frames(small_cache), load_recipe(load_card(CARD), settings=SETTINGS))

    def fails(self: TrainingData, *arguments: object) -> object:
        raise SnntxError("frames.h5: cannot be read; mend it")

    monkeypatch.setattr(TrainingData, "batch", fails)
    for workers in (0, 1):
        with pytest.raises(SnntxError) as caught:
            list(epoch_batches(data, 0, workers=workers))
        assert str(caught.value) == "frames.h5: cannot be read; mend it"


def test_a_command_that_is_stopped_before_it_wrote_anything_needs_no_resume(
    short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(short, out)
    (out / "last.pt").unlink()
    (out / "best.pt").unlink()
    done = subprocess.run(
        [sys.executable, "-c", WAITING, "snntx.train.run.fit:train:15", "train", "--resume", out],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 143
    assert done.stderr.splitlines()[-1].endswith("; run the same command again to go on")
